/** What the console says of a pasted key, against keys that ssh-keygen's formats have. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { fingerprintOf, readPastedKey } from '../src/pages/ssh-keys/pasted-key.ts';

// Of `ssh-keygen -t ed25519`; its fingerprint is that of `ssh-keygen -l`.
const ed25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
const fingerprint = 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU';

/** RFC 4253, section 6.6. */
function rsaLine(bits: number): string {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  const string = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const number = (value: string) => {
    const bytes = Buffer.from(value, 'base64url');
    return string((bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
  };
  const blob = Buffer.concat([string(Buffer.from('ssh-rsa')), number(e), number(n)]);
  return `ssh-rsa ${blob.toString('base64')}`;
}

describe('a pasted key', () => {
  test('is told by its type, its length and its comment', () => {
    const read = readPastedKey(`\n  ${ed25519}   me@laptop \r\n`);
    assert.ok(read !== null && typeof read !== 'string');
    const { type, bits, comment } = read;
    assert.deepEqual({ type, bits, comment }, { type: 'ssh-ed25519', bits: 256, comment: 'me@laptop' });
    for (const length of [2048, 3072, 4096]) {
      const rsa = readPastedKey(rsaLine(length));
      assert.ok(rsa !== null && typeof rsa !== 'string', String(rsa));
      assert.equal(rsa.bits, length);
    }
  });

  test('has the fingerprint that ssh shows, where the browser hashes', async (t) => {
    const read = readPastedKey(ed25519);
    assert.ok(read !== null && typeof read !== 'string');
    assert.equal(await fingerprintOf(read), null, 'without HTTPS there is none');
    t.after(() => Reflect.deleteProperty(globalThis, 'isSecureContext'));
    Reflect.set(globalThis, 'isSecureContext', true);
    assert.equal(await fingerprintOf(read), fingerprint);
  });

  test('that is none is told why', () => {
    const [, blob = ''] = ed25519.split(' ');
    const privateKey = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
    const bad: [text: string, problem: string][] = [
      [String(privateKey), 'private_key'],
      ['-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA', 'private_key'],
      ['b3BlbnNzaC1rZXktdjEAAAAABG5vbmU', 'private_key'],
      ['PuTTY-User-Key-File-3: ssh-ed25519', 'private_key'],
      ['---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----', 'ssh2_format'],
      ['-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----', 'pem_format'],
      [`ssh-ed25519-cert-v01@openssh.com ${blob}`, 'certificate'],
      [`${ed25519}\n${ed25519}`, 'several_lines'],
      [`ssh-dss ${blob}`, 'dsa'],
      [`from="10.0.0.1",no-pty ${ed25519}`, 'options'],
      ['hello', 'unknown_type'],
      [ed25519.slice(0, -5), 'not_whole'],
      [`ssh-rsa ${blob}`, 'not_whole'],
      ['ssh-ed25519 !!!!', 'not_whole'],
      ['ssh-ed25519', 'not_whole'],
      [rsaLine(1024), 'weak_rsa'],
    ];
    for (const [text, problem] of bad) assert.equal(readPastedKey(text), problem, text);
    assert.equal(readPastedKey('  \n'), null);
  });
});
