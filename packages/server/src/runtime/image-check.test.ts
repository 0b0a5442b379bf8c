import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { checkScript, judge, rootlessScript } from './image-check.ts';

const start = { entrypoint: ['/usr/bin/tini', '--', '/usr/local/lib/berth/entrypoint'], user: '' };
const whole = [
  'entrypoint',
  'bash 5.2',
  'user developer /home/developer',
  ...['tini', 'sudo', 'setpriv', 'chpasswd', 'usermod', 'inotifywait', 'git', 'curl', 'tar', 'rsync'].map(
    (name) => `program ${name}`,
  ),
  'program jupyter-lab',
  'library glibc',
  'library libstdc++',
  'sshd',
  'sshd port 22',
  'sshd authorizedkeysfile /run/berth/authorized_keys',
  'sshd trustedusercakeys /run/berth/trusted_user_ca.pub',
  'sshd hostkey /run/berth/ssh_host_ed25519_key',
  'sshd permitrootlogin no',
  'end',
];

const wholeWithoutRoot = ['entrypoint', 'sshd port 2222', 'end'];

/** What is not as it should be, each as `what: result`. */
const faults = (facts: string[], how = start, withoutRoot = wholeWithoutRoot) =>
  judge(how, facts, withoutRoot)
    .filter(({ result }) => result !== 'ok')
    .map(({ what, result }) => `${what}: ${result}`);
const without = (...gone: string[]) => whole.filter((fact) => !gone.some((each) => fact.startsWith(each)));

test('finds nothing amiss where all is there', () => {
  assert.deepEqual(faults(whole), []);
});

test('says of each thing that is not there whether an environment can do without', () => {
  const cases: [gone: string, said: string][] = [
    ['entrypoint', 'entrypoint: missing'],
    ['bash', 'bash: missing'],
    ['user', 'user: missing'],
    ['program chpasswd', 'chpasswd: missing'],
    ['program usermod', 'usermod: missing'],
    ['program setpriv', 'setpriv: missing'],
    ['program sudo', 'sudo: warning'],
    ['program inotifywait', 'inotify: warning'],
    ['program rsync', 'tools: warning'],
    ['program jupyter-lab', 'jupyter: warning'],
    ['library libstdc++', 'vscode: warning'],
    ['library glibc', 'vscode: warning'],
    ['sshd', 'sshd: missing'],
    ['sshd authorizedkeysfile', 'sshd: missing'],
    ['sshd hostkey', 'sshd: missing'],
  ];
  for (const [gone, said] of cases) assert.deepEqual(faults(without(gone)), [said], gone);
});

test('says what sshd says of settings that it does not take', () => {
  const old = [
    ...without('sshd '),
    'sshd /etc/ssh/sshd_config: line 38: Bad configuration option: PerSourcePenalties',
  ];
  const finding = judge(start, old, wholeWithoutRoot).find(({ result }) => result === 'missing');
  assert.match(finding?.detail ?? '', /Bad configuration option: PerSourcePenalties/);
  assert.match(finding?.cure ?? '', /OpenSSH/);
});

test('looks at how the image is started', () => {
  assert.deepEqual(faults(whole, { ...start, entrypoint: ['/bin/bash'] }), ['entrypoint: missing']);
  assert.deepEqual(faults(whole, { ...start, entrypoint: [] }), ['entrypoint: missing']);
  assert.deepEqual(faults(whole, { ...start, user: 'jovyan' }), ['entrypoint: missing']);
  for (const user of ['root', '0', '0:0', 'root:root'])
    assert.deepEqual(faults(whole, { ...start, user }), []);
  const bare = { ...start, entrypoint: ['/usr/local/lib/berth/entrypoint'] };
  assert.deepEqual(faults(whole, bare), ['entrypoint: warning']);
});

test('warns of an image that runs as root only, and says which environments do not start from it', () => {
  for (const facts of [
    [],
    ['sshd port 2222', 'end'],
    ['entrypoint', 'sshd /etc/ssh/sshd_config: Permission denied', 'end'],
  ]) {
    assert.deepEqual(faults(whole, start, facts), ['rootless: warning']);
    assert.deepEqual(faults(without('sshd'), start, facts), ['sshd: missing'], 'said once');
    const finding = judge(start, whole, facts).find(({ what }) => what === 'rootless');
    assert.match(finding?.detail ?? '', /^With exposure gateway and sudo off an environment does not start/);
  }
});

test('takes an old bash and a home elsewhere for what they are', () => {
  assert.deepEqual(faults([...without('bash'), 'bash 5.0']), ['bash: missing']);
  assert.deepEqual(faults([...without('bash'), 'bash 4.4']), ['bash: missing']);
  assert.deepEqual(faults([...without('user'), 'user ubuntu /home/ubuntu']), []);
  assert.deepEqual(faults([...without('user'), 'user app /app']), ['user: warning']);
});

test('does not trust a script that did not end', () => {
  assert.deepEqual(faults(without('end')), ['shell: missing']);
  assert.deepEqual(faults([]), ['shell: missing']);
});

test('is made of scripts that a POSIX shell reads', () => {
  for (const input of [checkScript('a key'), rootlessScript('a key')]) {
    for (const shell of ['dash', 'bash']) {
      const { status, stderr, error } = spawnSync(shell, ['-n'], { input, encoding: 'utf8' });
      if (error) continue;
      assert.equal(status, 0, `${shell}: ${stderr}`);
    }
  }
});
