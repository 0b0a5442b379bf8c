// A real ssh logs in at a real sshd with what is made here: keys, user and host certificates of each type, a
// revocation, and known_hosts lines. No password, agent or setting of this machine has a part in it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Sshd, missingSshd, startSshd } from '../testing/sshd.ts';
import { signCertificate } from './certificate-authority.ts';
import { knownHostsLine } from './known-hosts.ts';
import { formatPrivateKey } from './private-key.ts';
import { type SigningKey, type SigningKeyType, generateSigningKey } from './signing-key.ts';

const types: readonly SigningKeyType[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];
// sshd lets nobody in but its own user without root, and that one only if the account has a password.
const skip = process.getuid?.() === 0 ? missingSshd : 'only root may let others in';
const always = { validAfter: new Date(0), validBefore: 'forever' as const };
const user = userInfo().username;
const folder = mkdtempSync(join(tmpdir(), 'login-test-'));
let authority: SigningKey;
let sshd: Sshd;

function write(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

function publicLine({ type, publicKey }: SigningKey): string {
  return `${type} ${publicKey.blob.toString('base64')}`;
}

before(async () => {
  if (skip !== false) return;
  authority = await generateSigningKey('ecdsa-sha2-nistp384');
  const hostKey = await generateSigningKey('ssh-ed25519');
  const { line } = signCertificate({
    ...{ ca: authority, role: 'host', publicKey: hostKey.publicKey.blob, keyId: 'host' },
    ...{ principals: ['ssh.example.com'], ...always },
  });
  sshd = await startSshd(formatPrivateKey(hostKey.keyObject), [
    `HostCertificate ${write('host-cert.pub', line)}`,
    `TrustedUserCAKeys ${write('authority.pub', publicLine(authority))}`,
    'AuthorizedKeysFile none',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin yes',
    'StrictModes no',
    'UsePAM no',
  ]);
});

after(async () => {
  if (skip === false) await sshd.stop();
  rmSync(folder, { recursive: true });
});

/** What `ssh` exits with and says, for a key with a certificate and a known_hosts file. */
function logIn(
  key: SigningKey,
  certificate: string,
  knownHosts: string,
): { status: number | null; output: string } {
  const settings = [
    `IdentityFile=${write('key', formatPrivateKey(key.keyObject))}`,
    `CertificateFile=${write('key-cert.pub', certificate)}`,
    `UserKnownHostsFile=${write('known_hosts', `${knownHosts}\n`)}`,
    ...['GlobalKnownHostsFile=none', 'StrictHostKeyChecking=yes', 'IdentitiesOnly=yes', 'IdentityAgent=none'],
    ...[
      'HostKeyAlias=ssh.example.com',
      'PreferredAuthentications=publickey',
      'BatchMode=yes',
      `Port=${sshd.port}`,
    ],
  ].flatMap((setting) => ['-o', setting]);
  const parameters = ['-F', 'none', ...settings, `${user}@${sshd.host}`, 'echo', 'in'];
  const { status, stdout, stderr } = spawnSync('ssh', parameters, { encoding: 'utf8', timeout: 20_000 });
  return { status, output: stdout + stderr };
}

function trustLine(hashed = false): string {
  // ssh looks an alias up without its port.
  return `@cert-authority ${knownHostsLine('ssh.example.com', 22, publicLine(authority), { hashed })}`;
}

function certify(key: SigningKey, principals: readonly string[] = [user]): string {
  const { line } = signCertificate({
    ...{ ca: authority, role: 'user', publicKey: key.publicKey.blob, keyId: `for ${key.type}` },
    ...{ principals, extensions: ['permit-pty'], ...always },
  });
  return line;
}

test(
  'sshd lets in the certificate of each type of key, and ssh believes the host by its own',
  { skip },
  async () => {
    for (const type of types) {
      const key = await generateSigningKey(type, { rsaBits: 2048 });
      const { status, output } = logIn(key, certify(key), trustLine(type === 'ssh-rsa'));
      assert.equal(status, 0, `${output}\n${sshd.log()}`);
      assert.match(output, /^in$/m);
      await sshd.logged(new RegExp(`ID for ${type} \\(serial 0\\) CA ECDSA`, 'g'), 1);
    }
  },
);

test('sshd refuses a certificate for another user, and ssh a host that is not known', { skip }, async () => {
  const key = await generateSigningKey('ssh-ed25519');
  assert.match(logIn(key, certify(key, ['somebody-else']), trustLine()).output, /Permission denied/);
  const stranger = knownHostsLine('ssh.example.com', 22, publicLine(key));
  assert.match(logIn(key, certify(key), stranger).output, /Host key verification failed/);
  const revoked = `${trustLine()}\n@revoked * ${publicLine(authority)}`;
  assert.match(logIn(key, certify(key), revoked).output, /Host key verification failed/);
});
