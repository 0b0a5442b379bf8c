// Host certificates at real peers, in either direction (OpenSSH's PROTOCOL.certkeys): ssh takes ours by a line of
// @cert-authority alone, and we take sshd's by its authority alone.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { signCertificate } from './keys/certificate-authority.ts';
import { checkCertificate, isCertificate, parseCertificate } from './keys/certificate.ts';
import { KeyError } from './keys/key-error.ts';
import { formatPrivateKey } from './keys/private-key.ts';
import { type SigningKey, generateSigningKey } from './keys/signing-key.ts';
import { dial } from './dial.ts';
import { onlyKey, startShellServer } from './testing/shell-server.ts';
import { missingSshd, startSshd } from './testing/sshd.ts';
import { serverHostKey } from './transport/host-keys.ts';
import { TransportError } from './transport/transport-error.ts';

const authority = await generateSigningKey('ssh-ed25519');
const userKey = await generateSigningKey('ssh-ed25519');
const { username: user } = userInfo();
const folder = mkdtempSync(join(tmpdir(), 'host-certificate-test-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

function publicLine({ type, publicKey }: SigningKey): string {
  return `${type} ${publicKey.blob.toString('base64')}`;
}

function certify(key: SigningKey, principal: string): { blob: Buffer; line: string } {
  return signCertificate({
    ...{ ca: authority, role: 'host', publicKey: key.publicKey.blob, keyId: 'a host' },
    ...{ principals: [principal], validAfter: new Date(0), validBefore: 'forever' },
  });
}

const types = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'] as const;

describe("ssh at our server's host certificate", { timeout: 60_000 }, () => {
  const identity = write('user_key', formatPrivateKey(userKey.keyObject));
  const known = write('known_hosts', `@cert-authority * ${publicLine(authority)}\n`);

  async function ssh(key: SigningKey, principal: string): Promise<{ code: unknown; stderr: string }> {
    const { blob } = certify(key, principal);
    const server = await startShellServer({
      hostKeys: [key],
      authentication: onlyKey(userKey.publicKey.blob),
      transport: { hostKeys: [serverHostKey(key, blob)] },
    });
    const options = [
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${known}`,
      'IdentitiesOnly=yes',
      'BatchMode=yes',
    ];
    const parameters = ['-F', 'none', '-i', identity, ...options.flatMap((option) => ['-o', option])];
    try {
      return await new Promise((resolve) => {
        execFile(
          'ssh',
          [...parameters, '-p', `${server.port}`, '127.0.0.1', 'true'],
          (error, _stdout, stderr) => {
            resolve({ code: error?.code ?? 0, stderr });
          },
        );
      });
    } finally {
      await server.stop();
    }
  }

  for (const type of types) {
    test(`takes one for a key of type ${type}`, async () => {
      const { code, stderr } = await ssh(await generateSigningKey(type, { rsaBits: 2048 }), '127.0.0.1');
      assert.equal(code, 0, stderr);
    });
  }

  test('takes none for another name', async () => {
    const { code, stderr } = await ssh(await generateSigningKey('ssh-ed25519'), 'elsewhere');
    assert.equal(code, 255);
    assert.match(stderr, /name is not a listed principal|Host key verification failed/);
  });
});

const skip = process.getuid?.() === 0 ? missingSshd : 'only root may let others in';

describe("our client at sshd's host certificate", { skip, timeout: 60_000 }, () => {
  async function logIn(key: SigningKey, principal: string): Promise<string | undefined> {
    const certificate = certify(key, principal);
    const sshd = await startSshd(formatPrivateKey(key.keyObject), [
      `HostCertificate ${write('host_key-cert.pub', `${certificate.line}\n`)}`,
      `AuthorizedKeysFile ${write('authorized_keys', `${publicLine(userKey)}\n`)}`,
      ...['PermitRootLogin yes', 'StrictModes no', 'UsePAM no'],
    ]);
    let seen: string | undefined;
    try {
      const transport = await dial({
        ...{ host: sshd.host, port: sshd.port, user },
        credentials: [{ method: 'publickey', key: userKey }],
        algorithms: { hostKey: serverHostKey(key, certificate.blob).algorithms },
        hostKey: (blob, algorithm) => {
          seen = algorithm;
          return whyNot(blob);
        },
      });
      transport.disconnect(11, 'The test is over.');
    } finally {
      await sshd.stop();
    }
    return seen;
  }

  /** Whether it is a host certificate of the authority for this host, and nothing else counts. */
  function whyNot(blob: Buffer): string | undefined {
    if (!isCertificate(blob)) return 'A bare key is not enough.';
    try {
      checkCertificate(parseCertificate(blob), {
        ...{ role: 'host', principals: ['127.0.0.1'] },
        isTrusted: (key) => key.equals(authority.publicKey.blob),
      });
      return undefined;
    } catch (error) {
      if (error instanceof KeyError) return error.message;
      throw error;
    }
  }

  for (const type of types) {
    test(`takes one for a key of type ${type}`, async () => {
      const algorithm = await logIn(await generateSigningKey(type, { rsaBits: 2048 }), '127.0.0.1');
      assert.match(algorithm ?? '', /-cert-v01@openssh\.com$/);
    });
  }

  test('takes none for another name', async () => {
    await assert.rejects(logIn(await generateSigningKey('ssh-ed25519'), 'elsewhere'), (error) => {
      assert.ok(error instanceof TransportError);
      assert.equal(error.code, 'host_key');
      return true;
    });
  });
});
