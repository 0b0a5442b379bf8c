// The key exchanges against published vectors (vectors/README.md says whose), each in both roles: with the private key
// of the vector as the client's, and then as the server's.

import assert from 'node:assert/strict';
import { type KeyObject, createPrivateKey, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { WireError, Writer } from '../wire.ts';
import { type Agreement, mlkem768, nistp256, nistp384, nistp521, x25519 } from './key-agreement.ts';
import { agreementHalves, hybridHalves } from './key-exchange.ts';

interface Vector {
  readonly tcId: number;
  readonly flags: readonly string[];
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

interface AgreementVector extends Vector {
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}

interface EncapsulationVectors {
  readonly decapsulation: {
    readonly tests: readonly (Vector & { seed: string; ek?: string; c: string; K: string })[];
  };
  readonly encapsulation: { readonly tests: readonly (Vector & { ek: string })[] };
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'vectors', file), 'utf8'));
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

function mpint(hex: string): Buffer {
  return new Writer().mpint(BigInt(`0x${hex}`)).toBuffer();
}

/** Both halves with `privateKey` for their ephemeral key. */
function halvesWith(
  agreement: Agreement<KeyObject, KeyObject>,
  privateKey: KeyObject,
): ReturnType<typeof agreementHalves> {
  return agreementHalves({ ...agreement, generate: () => privateKey });
}

function x25519PrivateKey(hex: string): KeyObject {
  return createPrivateKey({ key: bytes(hex), format: 'raw-private', asymmetricKeyType: 'x25519' });
}

/** The vectors write the number with as many bytes as it needs, or one more. */
function ecPrivateKey(hex: string, namedCurve: string, fieldBytes: number): KeyObject {
  const key = bytes(hex.padStart(2 * fieldBytes, '0').slice(-2 * fieldBytes));
  return createPrivateKey({ key, format: 'raw-private', asymmetricKeyType: 'ec', namedCurve });
}

const agreements = [
  {
    name: 'x25519',
    agreement: x25519,
    privateKey: x25519PrivateKey,
    refused: ['ZeroSharedSecret'],
  },
  {
    name: 'ecdh-nistp256',
    agreement: nistp256,
    privateKey: (hex: string) => ecPrivateKey(hex, 'P-256', 32),
    refused: ['CompressedPoint', 'InvalidCurveAttack', 'InvalidEncoding'],
  },
  {
    name: 'ecdh-nistp384',
    agreement: nistp384,
    privateKey: (hex: string) => ecPrivateKey(hex, 'P-384', 48),
    refused: ['CompressedPoint', 'InvalidCurveAttack', 'InvalidEncoding'],
  },
  {
    name: 'ecdh-nistp521',
    agreement: nistp521,
    privateKey: (hex: string) => ecPrivateKey(hex, 'P-521', 66),
    refused: ['CompressedPoint', 'InvalidCurveAttack', 'InvalidEncoding'],
  },
];

for (const { name, agreement, privateKey, refused } of agreements) {
  test(`${name}: agrees or refuses as each vector wants, in both roles`, () => {
    const { tests } = read(`${name}.json`) as { tests: AgreementVector[] };
    const seen = { agreed: 0, refused: 0 };
    for (const vector of tests) {
      const about = `vector ${vector.tcId} (${vector.flags.join(' ')})`;
      const halves = halvesWith(agreement, privateKey(vector.private));
      const peer = bytes(vector.public);
      const client = halves.start();
      if (vector.flags.some((flag) => refused.includes(flag))) {
        assert.notEqual(vector.result, 'valid', about);
        assert.throws(() => client.sharedSecret(peer), WireError, about);
        assert.throws(() => halves.answer(peer), WireError, about);
        seen.refused += 1;
      } else {
        assert.notEqual(vector.result, 'invalid', about);
        assert.deepEqual(client.sharedSecret(peer), mpint(vector.shared), about);
        const server = halves.answer(peer);
        assert.deepEqual(server.sharedSecret, mpint(vector.shared), about);
        assert.deepEqual(server.serverShare, client.clientShare, about);
        seen.agreed += 1;
      }
    }
    assert.ok(seen.agreed > 20 && seen.refused > 15, `${seen.agreed} agreed, ${seen.refused} refused`);
  });
}

// RFC 7748, section 6.1.
const alicePrivate = x25519PrivateKey('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
const aliceShare = bytes('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
const bobPrivate = x25519PrivateKey('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
const bobShare = bytes('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
const sharedByBoth = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';

test('x25519: RFC 7748, section 6.1, in both roles', () => {
  const alice = halvesWith(x25519, alicePrivate);
  const bob = halvesWith(x25519, bobPrivate);
  const sharedSecret = mpint(sharedByBoth);
  for (const [client, server, clientShare, serverShare] of [
    [alice, bob, aliceShare, bobShare],
    [bob, alice, bobShare, aliceShare],
  ] as const) {
    const started = client.start();
    assert.deepEqual(started.clientShare, clientShare);
    assert.deepEqual(server.answer(clientShare), { serverShare, sharedSecret });
    assert.deepEqual(started.sharedSecret(serverShare), sharedSecret);
  }
});

test('mlkem768x25519: the client decapsulates as each vector wants, beside RFC 7748', () => {
  const { decapsulation } = read('mlkem768.json') as EncapsulationVectors;
  const results = new Set<string>();
  for (const vector of decapsulation.tests) {
    const about = `vector ${vector.tcId} (${vector.flags.join(' ')})`;
    const postQuantum = createPrivateKey({
      key: bytes(vector.seed),
      format: 'raw-seed',
      asymmetricKeyType: 'ml-kem-768',
    });
    const client = hybridHalves(
      { ...mlkem768, generate: () => postQuantum },
      { ...x25519, generate: () => alicePrivate },
    ).start();
    if (vector.ek !== undefined) {
      assert.deepEqual(client.clientShare.subarray(0, mlkem768.keyBytes), bytes(vector.ek), about);
    }
    const serverShare = Buffer.concat([bytes(vector.c), bobShare]);
    results.add(vector.result);
    if (vector.result === 'invalid') {
      assert.throws(() => client.sharedSecret(serverShare), WireError, about);
    } else {
      const secret = hash('sha256', Buffer.concat([bytes(vector.K), bytes(sharedByBoth)]), 'buffer');
      assert.deepEqual(client.sharedSecret(serverShare), new Writer().string(secret).toBuffer(), about);
    }
  }
  assert.deepEqual(results, new Set(['valid', 'invalid']));
});

// The server's randomness cannot be chosen, so the secret in these vectors is not compared.
test('mlkem768x25519: the server takes or refuses a client share as each vector wants', () => {
  const { encapsulation } = read('mlkem768.json') as EncapsulationVectors;
  const results = new Set<string>();
  const halves = hybridHalves(mlkem768, x25519);
  for (const vector of encapsulation.tests) {
    const about = `vector ${vector.tcId} (${vector.flags.join(' ')})`;
    const clientShare = Buffer.concat([bytes(vector.ek), bobShare]);
    results.add(vector.result);
    if (vector.result === 'invalid') assert.throws(() => halves.answer(clientShare), WireError, about);
    else assert.equal(halves.answer(clientShare).serverShare.length, 1088 + 32, about);
  }
  assert.deepEqual(results, new Set(['valid', 'invalid']));
});
