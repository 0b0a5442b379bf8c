import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readSshdLine } from './sshd-log.ts';

const fingerprint = `SHA256:${'a'.repeat(43)}`;
const peer = { source: '203.0.113.7', port: 40001 };

describe("what sshd's log says", () => {
  it('names who got in, by what, from where', () => {
    assert.deepEqual(
      readSshdLine(
        `Accepted publickey for developer from 203.0.113.7 port 40001 ssh2: ED25519 ${fingerprint}\r`,
      ),
      { kind: 'accepted', method: 'publickey', user: 'developer', fingerprint, peer },
    );
    assert.deepEqual(readSshdLine('Accepted password for user7 from 2001:db8::1 port 5 ssh2'), {
      kind: 'accepted',
      method: 'password',
      user: 'user7',
      fingerprint: null,
      peer: { source: '2001:db8::1', port: 5 },
    });
  });

  it('takes a certificate for no key of the list', () => {
    const line = `Accepted publickey for developer from 203.0.113.7 port 40001 ssh2: ED25519-CERT ${fingerprint} ID abc (serial 0) CA ED25519 SHA256:x`;
    assert.equal((readSshdLine(line) as { fingerprint: unknown }).fingerprint, null);
  });

  it('counts wrong passwords, of names that exist and of others', () => {
    for (const who of ['developer', 'invalid user root']) {
      const fact = readSshdLine(`Failed password for ${who} from 203.0.113.7 port 40001 ssh2`);
      assert.deepEqual(fact, { kind: 'failed', user: who.replace('invalid user ', ''), peer });
    }
  });

  it('counts no keys that were shown', () => {
    const line = `Failed publickey for developer from 203.0.113.7 port 40001 ssh2: ED25519 ${fingerprint}`;
    assert.equal(readSshdLine(line), undefined);
  });

  it('takes no address out of a name that a stranger typed', () => {
    const name = 'x from 198.51.100.9 port 22 ssh2';
    const fact = readSshdLine(`Failed password for invalid user ${name} from 203.0.113.7 port 40001 ssh2`);
    assert.deepEqual(fact, { kind: 'failed', user: name, peer });
  });

  it('knows both ends of a connection, and not that of one that never got in', () => {
    assert.deepEqual(readSshdLine('Disconnected from user developer 203.0.113.7 port 40001'), {
      kind: 'ended',
      peer,
    });
    assert.deepEqual(readSshdLine('Closing connection to 203.0.113.7 port 40001'), { kind: 'ended', peer });
    assert.equal(
      readSshdLine('Disconnected from authenticating user developer 203.0.113.7 port 40001 [preauth]'),
      undefined,
    );
  });
});
