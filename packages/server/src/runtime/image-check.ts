/**
 * What an image must hold to be an environment: a script that looks, and the judgement on what it saw.
 *
 * The scripts run in containers of the image without a network, one as root and one as the user, and are for every
 * POSIX shell. They print facts only, one a line; what they mean is decided here. image/README.md has the contract that
 * this follows.
 */
import type { ImageFinding } from '@berth/contract';

const entrypoint = '/usr/local/lib/berth/entrypoint';

/** Folders that the script writes to; empty ones in memory. */
export const scratchFolders = ['/run/berth', '/run/sshd'];

const programs = [
  ...['tini', 'sudo', 'setpriv', 'chpasswd', 'usermod', 'inotifywait'],
  ...['git', 'curl', 'tar', 'rsync', 'jupyter-lab'],
];

/** @param hostKey a private key of no value in OpenSSH's format, without which sshd does not read its settings */
export function checkScript(hostKey: string): string {
  return `
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
printf '%s\\n' '${hostKey.trim()}' > /run/berth/ssh_host_ed25519_key
umask 022
if [ -x ${entrypoint} ]; then echo 'entrypoint'; fi
if [ -x /bin/bash ]; then /bin/bash -c 'echo "bash \${BASH_VERSINFO[0]}.\${BASH_VERSINFO[1]}"'; fi
while IFS=: read -r name _ uid _ _ home _; do
  if [ "$uid" = 1000 ]; then echo "user $name $home"; fi
done < /etc/passwd
for program in ${programs.join(' ')}; do
  if command -v "$program" > /dev/null 2>&1; then echo "program $program"; fi
done
for file in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
  if [ -e "$file" ]; then echo 'library glibc'; fi
done
for file in /usr/lib/*/libstdc++.so.6 /usr/lib64/libstdc++.so.6 /usr/lib/libstdc++.so.6; do
  if [ -e "$file" ]; then echo 'library libstdc++'; fi
done
if [ -x /usr/sbin/sshd ]; then
  echo 'sshd'
  /usr/sbin/sshd -T -o AllowUsers=developer -o PerSourcePenaltyExemptList=127.0.0.1 2>&1 |
    while IFS= read -r line; do echo "sshd $line"; done
fi
echo 'end'
`;
}

/** For the user with the id 1000, as which sshd runs behind the gateway where nobody gets sudo. */
export function rootlessScript(hostKey: string): string {
  return `
umask 077
printf '%s\\n' '${hostKey.trim()}' > /run/berth/ssh_host_ed25519_key
if [ -r ${entrypoint} ] && [ -x ${entrypoint} ]; then
  while IFS= read -r line; do
    case $line in *BERTH_EXPOSURE*) echo 'entrypoint'; break ;; esac
  done < ${entrypoint}
fi
if [ -x /usr/sbin/sshd ]; then
  /usr/sbin/sshd -T -p 2222 -o AllowUsers=developer 2>&1 | while IFS= read -r line; do echo "sshd $line"; done
fi
echo 'end'
`;
}

/** How the image says that it is started. */
export interface ImageStart {
  entrypoint: string[];
  user: string;
}

/**
 * @param facts lines that the script for root printed
 * @param rootlessFacts lines that the script for the user printed
 */
export function judge(start: ImageStart, facts: string[], rootlessFacts: string[]): ImageFinding[] {
  const has = (fact: string) => facts.includes(fact);
  const after = (word: string) =>
    facts.filter((fact) => fact.startsWith(`${word} `)).map((fact) => fact.slice(word.length + 1));
  const has1000 = after('user')[0]?.split(' ');
  const programsThere = new Set(after('program'));
  const lacking = (...names: string[]) => names.filter((name) => !programsThere.has(name));
  if (!has('end')) {
    return [
      missing(
        'shell',
        `Its /bin/sh did not get to the end of the check${facts.length > 0 ? `; it said: ${facts.at(-1)}` : ''}.`,
        'Build the image for the processor of this host, with a /bin/sh that works.',
      ),
    ];
  }
  const asRoot = [judgeStart(start, has('entrypoint')), judgeSshd(has('sshd'), after('sshd'))];
  return [
    ...asRoot,
    // What does not start as root has been said already.
    ...(asRoot.every(({ result }) => result !== 'missing') ? [judgeRootless(rootlessFacts)] : []),
    judgeBash(after('bash')[0]),
    has1000 === undefined
      ? missing(
          'user',
          'It has no user with the id 1000.',
          'useradd --uid 1000 --user-group --create-home --shell /bin/bash developer',
        )
      : has1000[1] === `/home/${has1000[0]}`
        ? ok('user', `${has1000[0]}, id 1000`)
        : warning(
            'user',
            `The home of ${has1000[0]} is ${has1000[1]}; only a folder in /home lasts.`,
            `usermod --home /home/${has1000[0]} ${has1000[0]}`,
          ),
    ...(['chpasswd', 'usermod', 'setpriv'] as const).map((program) =>
      programsThere.has(program)
        ? ok(program, 'is there')
        : missing(program, `It lacks ${program}, which the start needs.`, `Install ${packages[program]}.`),
    ),
    programsThere.has('sudo')
      ? ok('sudo', 'is there')
      : warning('sudo', 'It lacks sudo, so "sudo": true gives nothing.', 'Install sudo.'),
    programsThere.has('inotifywait')
      ? ok('inotify', 'is there')
      : warning(
          'inotify',
          'It lacks inotifywait: a changed key or password is seen after 0.7 s only.',
          'Install inotify-tools.',
        ),
    judgeTools(lacking('git', 'curl', 'tar', 'rsync')),
    has('library glibc') && has('library libstdc++')
      ? ok('vscode', 'glibc and libstdc++ are there')
      : warning(
          'vscode',
          'VS Code Remote-SSH finds no glibc or no libstdc++ for its server.',
          'Use a base with glibc, and install libstdc++6.',
        ),
    programsThere.has('jupyter-lab')
      ? ok('jupyter', 'is there')
      : warning('jupyter', 'It lacks JupyterLab.', 'pip install jupyterlab'),
  ];
}

const packages = { chpasswd: 'passwd', usermod: 'passwd', setpriv: 'util-linux' };

function judgeStart({ entrypoint: words, user }: ImageStart, there: boolean): ImageFinding {
  const what = 'entrypoint';
  if (!there)
    return missing(
      what,
      `It has no program ${entrypoint}.`,
      "Make the image from Berth's own, or copy it from there; docs/images.md says how.",
    );
  if (!words.includes(entrypoint)) {
    const starts = words.length === 0 ? 'nothing of its own' : words.join(' ');
    return missing(
      what,
      `It starts ${starts} and not ${entrypoint}.`,
      `ENTRYPOINT ["/usr/bin/tini", "--", "${entrypoint}"]`,
    );
  }
  if (!/^(root|0)?(:.*)?$/.test(user))
    return missing(what, `It starts as the user ${user}; sshd needs root.`, 'USER root');
  return words[0] === entrypoint
    ? warning(
        what,
        'It starts without an init that reaps ended processes.',
        `ENTRYPOINT ["/usr/bin/tini", "--", "${entrypoint}"]`,
      )
    : ok(what, words.join(' '));
}

function judgeBash(version: string | undefined): ImageFinding {
  if (version === undefined)
    return missing('bash', 'It lacks /bin/bash, which the start needs.', 'Install bash.');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 1)
    ? ok('bash', version)
    : missing('bash', `Its bash is ${version}; the start needs 5.1.`, 'Use a newer base.');
}

/** `lines`: what `sshd -T` printed, its settings or what is wrong with them. */
function judgeSshd(there: boolean, lines: string[]): ImageFinding {
  const cure = 'Copy /etc/ssh/sshd_config from an image of Berth; it needs OpenSSH 9.9.';
  if (!there) return missing('sshd', 'It lacks /usr/sbin/sshd.', 'Install openssh-server, 9.9 or later.');
  if (!lines.includes('port 22'))
    return missing('sshd', `Its sshd does not take its settings: ${lines[0] ?? 'it says nothing'}.`, cure);
  const needed = [
    'authorizedkeysfile /run/berth/authorized_keys',
    'trustedusercakeys /run/berth/trusted_user_ca.pub',
    'hostkey /run/berth/ssh_host_ed25519_key',
    'permitrootlogin no',
  ];
  const wrong = needed.find((setting) => !lines.includes(setting));
  return wrong === undefined
    ? ok('sshd', 'takes its settings')
    : missing('sshd', `The settings of its sshd are not Berth's: "${wrong}" is not among them.`, cure);
}

/** A warning only, since with sudo, and with exposure `direct`, everything runs as root. */
function judgeRootless(facts: string[]): ImageFinding {
  const what = 'rootless';
  const consequence = 'With exposure gateway and sudo off an environment does not start from it';
  if (!facts.includes('entrypoint'))
    return warning(
      what,
      `${consequence}: its ${entrypoint} cannot run without root, or not everybody may read and run it.`,
      "Copy it from this Berth's own image, with mode 755.",
    );
  const said = facts.filter((fact) => fact.startsWith('sshd ')).map((fact) => fact.slice('sshd '.length));
  return said.includes('port 2222')
    ? ok(what, 'starts without root')
    : warning(
        what,
        `${consequence}: without root its sshd does not take its settings (${said[0] ?? 'it says nothing'}).`,
        'chmod 644 /etc/ssh/sshd_config; chmod 755 /usr/sbin/sshd',
      );
}

function judgeTools(lacking: string[]): ImageFinding {
  return lacking.length === 0
    ? ok('tools', 'git, curl, tar and rsync are there')
    : warning('tools', `It lacks ${lacking.join(', ')}.`, `Install ${lacking.join(', ')}.`);
}

function ok(what: string, detail: string): ImageFinding {
  return { what, result: 'ok', detail, cure: null };
}

function warning(what: string, detail: string, cure: string): ImageFinding {
  return { what, result: 'warning', detail, cure };
}

export function missing(what: string, detail: string, cure: string): ImageFinding {
  return { what, result: 'missing', detail, cure };
}
