/**
 * The account that stock servers let in. It is in no file of this machine: a server is started where its user exists,
 * in a mount namespace in which /etc/passwd and /etc/shadow are others, or in a container.
 */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerOptions } from './peer.ts';

const user = 'peer';
/** Above what Debian gives out, so that nobody's files become this account's. */
const id = 64_123;

export interface Account {
  readonly user: string;
  readonly home: string;
  /** Lines to add to the file of that name under /etc. */
  readonly files: { readonly passwd: string; readonly shadow: string };
  /** A whole PAM service that asks for the password of /etc/shadow and starts no session of the machine's. */
  readonly pam: string;
  readonly remove: () => void;
}

/** Why servers cannot be given an account here; else false. */
export const missingAccount: string | false =
  process.getuid?.() === 0 ? false : 'needs root: only root may let others in';

export function makeAccount({ password, authorizedKeys }: ServerOptions): Account {
  const folder = mkdtempSync(join(tmpdir(), 'ssh-account-'));
  const home = join(folder, 'home');
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 });
  writeFileSync(join(home, '.ssh', 'authorized_keys'), authorizedKeys.map((line) => `${line}\n`).join(''));
  for (const path of [home, join(home, '.ssh'), join(home, '.ssh', 'authorized_keys')])
    chownSync(path, id, id);
  execFileSync('chmod', ['755', folder]);
  const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], {
    input: password,
    encoding: 'utf8',
  }).trim();
  return {
    user,
    home,
    files: {
      passwd: write('passwd', `${user}:x:${id}:${id}::${home}:/bin/bash\n`),
      shadow: write('shadow', `${user}:${hash}:19000:0:99999:7:::\n`),
    },
    pam: write(
      'pam',
      'auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n',
    ),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The words that start a program of this machine where the account exists. */
export function whereAccountIs({ files, pam }: Account, program: string): [string, ...string[]] {
  const script = [
    'set -e',
    ...Object.entries(files).flatMap(([name, added]) => [
      `cat /etc/${name} ${added} > ${added}.whole`,
      `mount --bind ${added}.whole /etc/${name}`,
    ]),
    `if [ -e /etc/pam.d/sshd ]; then mount --bind ${pam} /etc/pam.d/sshd; fi`,
    'exec "$@"',
  ];
  return ['unshare', '--mount', 'sh', '-c', script.join('\n'), 'sh', program];
}
