// The keys of one direction, against RFC 4253 section 7.2 written out by hand for each hash.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { derivePacketKeys } from './key-derivation.ts';
import { packetAlgorithm } from './packet-algorithms.ts';

const sharedSecret = Buffer.from('00000003010203', 'hex');
const exchangeHash = Buffer.from('exchange hash');
const sessionId = Buffer.from('session');

for (const hashName of ['sha256', 'sha384', 'sha512'] as const) {
  const digest = (...parts: (Buffer | string)[]): Buffer => {
    const hash = createHash(hashName);
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  /** K1 || K2 || K3 of the RFC. */
  const keyStream = (letter: string): Buffer => {
    const first = digest(sharedSecret, exchangeHash, letter, sessionId);
    const second = digest(sharedSecret, exchangeHash, first);
    const third = digest(sharedSecret, exchangeHash, first, second);
    return Buffer.concat([first, second, third]);
  };

  test(`${hashName}: gives each direction keys of its own, lengthened where one hash is too short`, () => {
    const material = { hashName, sharedSecret, exchangeHash, sessionId };
    const counter = packetAlgorithm('aes256-ctr', 'hmac-sha2-512');
    assert.deepEqual(derivePacketKeys(material, counter, 'clientToServer'), {
      iv: keyStream('A').subarray(0, 16),
      encryptionKey: keyStream('C').subarray(0, 32),
      macKey: keyStream('E').subarray(0, 64),
    });
    const chacha = packetAlgorithm('chacha20-poly1305@openssh.com');
    assert.deepEqual(derivePacketKeys(material, chacha, 'serverToClient'), {
      iv: Buffer.alloc(0),
      encryptionKey: keyStream('D').subarray(0, 64),
      macKey: Buffer.alloc(0),
    });
    const longer = { ...chacha, keyBytes: 3 * digest('').length - 1, ivBytes: 20 };
    assert.deepEqual(derivePacketKeys(material, longer, 'serverToClient'), {
      iv: keyStream('B').subarray(0, 20),
      encryptionKey: keyStream('D').subarray(0, longer.keyBytes),
      macKey: Buffer.alloc(0),
    });
  });
}

test('sha384: a MAC key of two hashes, as hashlib of Python computes it', () => {
  const material = { hashName: 'sha384', sharedSecret, exchangeHash, sessionId } as const;
  const algorithm = packetAlgorithm('aes128-ctr', 'hmac-sha2-512');
  const expected =
    'd6c713a8f3dd8d359f1d85389f820e9b38a5b69122574d2214b2c821b710674c' +
    '69dfe5b6e13e60a7b8bf66749be8f378418256deda8b85cf9088fc2dfd39e3cc';
  assert.equal(derivePacketKeys(material, algorithm, 'clientToServer').macKey.toString('hex'), expected);
});
