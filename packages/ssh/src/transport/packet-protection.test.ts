// Both implementations of packet protection, held to each other, to published vectors of the primitives,
// and to what must be refused.

import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { loadAddon } from '../../native/addon.ts';
import { implementation } from './implementation.ts';
import type { PacketKeys } from './key-derivation.ts';
import { type PacketAlgorithm, packetAlgorithm } from './packet-algorithms.ts';
import { createPacketCipher } from './packet-cipher-node.ts';
import { PacketError } from './packet-error.ts';
import {
  type Opener,
  type PacketProtection,
  type Protector,
  largestPacketBytes,
} from './packet-protection.ts';
import { nativeProtection } from './packet-protection-native.ts';
import { nodeProtection } from './packet-protection-node.ts';
import { Packets } from './packets.ts';
import { reseal } from './reseal.ts';

const addon = loadAddon();
const implementations = new Map<string, PacketProtection>([['node:crypto', nodeProtection]]);
if (typeof addon !== 'string') implementations.set('addon', nativeProtection(addon));

const macs = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
];
const algorithms = new Map<string, PacketAlgorithm>(
  [
    ['none'],
    ['aes128-gcm@openssh.com'],
    ['aes256-gcm@openssh.com'],
    ['chacha20-poly1305@openssh.com'],
    ...['aes128-ctr', 'aes192-ctr', 'aes256-ctr'].flatMap((cipher) => macs.map((mac) => [cipher, mac])),
  ].map(([cipher = '', mac]) => [
    mac === undefined ? cipher : `${cipher} ${mac}`,
    packetAlgorithm(cipher, mac),
  ]),
);
const protectedAlgorithms = [...algorithms].filter(([name]) => name !== 'none');

function keysFor(algorithm: PacketAlgorithm, fill: (bytes: number) => Buffer = randomBytes): PacketKeys {
  return {
    encryptionKey: fill(algorithm.keyBytes),
    iv: fill(algorithm.ivBytes),
    macKey: fill(algorithm.mac?.bytes ?? 0),
  };
}

function algorithmCalled(name: string): PacketAlgorithm {
  const algorithm = algorithms.get(name);
  assert.ok(algorithm);
  return algorithm;
}

/** The payloads, one behind the other in one buffer, sealed in one call. */
function sealAll(protector: Protector, payloads: readonly Uint8Array[]): Buffer {
  const source = Buffer.concat(payloads);
  const packets = new Packets(Math.max(payloads.length, 1));
  let start = 0;
  let bytes = 0;
  for (const payload of payloads) {
    packets.add(start, payload.length);
    start += payload.length;
    bytes += protector.sealedBytes(payload.length);
  }
  const output = Buffer.alloc(bytes);
  assert.equal(protector.seal(source, packets, output, 0), bytes);
  return output;
}

/** Copies of all payloads in `bytes`, which hold whole packets only. */
function openAll(opener: Opener, bytes: Buffer, packets = new Packets()): Buffer[] {
  const payloads: Buffer[] = [];
  let at = 0;
  do {
    at = opener.open(bytes, at, bytes.length, packets);
    for (let index = 0; index < packets.count; index += 1) {
      payloads.push(Buffer.from(packets.payload(bytes, index)));
    }
  } while (packets.stopped !== 'partial');
  assert.equal(at, bytes.length);
  return payloads;
}

function failureOf(action: () => unknown): PacketError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof PacketError, String(error));
    return error;
  }
  return assert.fail('was accepted');
}

/** Seals a packet as its parts say, right or wrong, with `length` in its length field. */
function forge(algorithm: PacketAlgorithm, keys: PacketKeys, length: number, paddingBytes: number): Buffer {
  const packetBytes = Math.max(4 + length, 16);
  const bytes = Buffer.alloc(packetBytes + algorithm.tagBytes, 7);
  bytes.writeUInt32BE(length);
  bytes[4] = paddingBytes;
  createPacketCipher(algorithm, keys).seal(bytes, 0, packetBytes, 0);
  return bytes;
}

// As bytes that fast-check itself makes they would take it minutes.
const payload = fc.integer({ min: 1, max: 32768 }).map((bytes) => randomBytes(bytes));
const smallPayload = fc.uint8Array({ minLength: 1, maxLength: 40 });

test('uses the addon where it could be built', () => {
  const { name, reason } = implementation();
  assert.equal(name, typeof addon === 'string' ? 'node:crypto' : 'addon');
  assert.match(reason, typeof addon === 'string' ? /^the|^there/ : /^built on OpenSSL 3\./);
});

for (const [sealer, sealing] of implementations) {
  for (const [reader, opening] of implementations) {
    test(`what ${sealer} sealed ${reader} opens, whatever the sizes and the algorithm`, () => {
      for (const [name, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const protector = sealing.createProtector(algorithm, keys);
        const opener = opening.createOpener(algorithm, keys);
        fc.assert(
          fc.property(fc.array(payload, { minLength: 1, maxLength: 12 }), (payloads) => {
            // A NEWKEYS in its midst ends what the keys are for.
            for (const each of payloads) if (each[0] === 21) each[0] = 94;
            const opened = openAll(opener, sealAll(protector, payloads));
            assert.equal(opened.length, payloads.length);
            for (const [index, each] of opened.entries())
              assert.ok(each.equals(payloads[index] ?? each), name);
          }),
          { numRuns: 12 },
        );
        assert.equal(opener.sequenceNumber, protector.sequenceNumber);
      }
    });
  }
}

for (const [name, protection] of implementations) {
  describe(name, () => {
    test('opens packets that are cut anywhere, and leaves what is not whole as it was', () => {
      for (const [algorithmName, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const payloads = [1, 12, 33].map((bytes) => Buffer.alloc(bytes, 94));
        const sealed = sealAll(protection.createProtector(algorithm, keys), payloads);
        for (let cut = 0; cut <= sealed.length; cut += 1) {
          const opener = protection.createOpener(algorithm, keys);
          const packets = new Packets();
          const head = Buffer.from(sealed.subarray(0, cut));
          const at = opener.open(head, 0, cut, packets);
          const before = packets.count;
          assert.equal(packets.stopped, 'partial');
          assert.ok(head.subarray(at).equals(sealed.subarray(at, cut)), algorithmName);
          assert.ok(packets.neededBytes > cut - at);
          // What is left moves to another buffer, at another place.
          const rest = Buffer.concat([Buffer.alloc(3), head.subarray(at), sealed.subarray(cut)]);
          assert.equal(opener.open(rest, 3, rest.length, packets), rest.length);
          assert.equal(before + packets.count, payloads.length);
          const last = packets.count - 1;
          if (last >= 0) assert.ok(packets.payload(rest, last).equals(Buffer.alloc(33, 94)));
        }
      }
    });

    test('opens packets that arrive byte by byte', () => {
      for (const [, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        fc.assert(
          fc.property(fc.array(smallPayload, { minLength: 1, maxLength: 4 }), (payloads) => {
            for (const each of payloads) each[0] = 94;
            const bytes = sealAll(protection.createProtector(algorithm, keys), payloads);
            const opener = protection.createOpener(algorithm, keys);
            const packets = new Packets();
            const opened: Buffer[] = [];
            let at = 0;
            for (let end = 0; end <= bytes.length; end += 1) {
              at = opener.open(bytes, at, end, packets);
              if (packets.count > 0) opened.push(packets.payload(bytes, 0));
            }
            assert.deepEqual(
              opened,
              payloads.map((each) => Buffer.from(each)),
            );
          }),
          { numRuns: 10 },
        );
      }
    });

    test('says how many bytes the next packet needs as soon as it can know', () => {
      for (const [, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const sealed = protection.createProtector(algorithm, keys).sealOne(Buffer.alloc(1000, 94));
        const opener = protection.createOpener(algorithm, keys);
        const packets = new Packets();
        opener.open(sealed, 0, 3, packets);
        opener.open(sealed, 0, packets.neededBytes, packets);
        assert.equal(packets.neededBytes, sealed.length);
        opener.open(sealed, 0, sealed.length - 1, packets);
        assert.equal(packets.neededBytes, sealed.length);
        assert.equal(opener.open(sealed, 0, sealed.length, packets), sealed.length);
      }
    });

    test('refuses a packet with any bit changed', () => {
      for (const [algorithmName, algorithm] of protectedAlgorithms) {
        const keys = keysFor(algorithm);
        const sealed = protection.createProtector(algorithm, keys).sealOne(Buffer.alloc(20, 94));
        for (let bit = 0; bit < sealed.length * 8; bit += 1) {
          const changed = Buffer.from(sealed);
          changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
          const opener = protection.createOpener(algorithm, keys);
          const packets = new Packets();
          try {
            opener.open(changed, 0, changed.length, packets);
            // A larger length makes it wait for the rest.
            assert.ok(bit < 32 && packets.stopped === 'partial', `${algorithmName}: bit ${bit}`);
          } catch (error) {
            assert.ok(error instanceof PacketError, String(error));
            assert.ok(error.code === 'mac' || (error.code === 'length' && bit < 32), `bit ${bit}`);
            assert.equal(error.disconnectReason, error.code === 'mac' ? 5 : 2);
          }
          assert.equal(packets.count, 0);
        }
      }
    });

    test('refuses a packet that comes twice, is missing, or has another number', () => {
      for (const [, algorithm] of protectedAlgorithms) {
        const keys = keysFor(algorithm);
        const protector = protection.createProtector(algorithm, keys);
        const [first, second] = [1, 2].map((fill) => protector.sealOne(Buffer.alloc(8, fill)));
        assert.ok(first && second);
        const twice = protection.createOpener(algorithm, keys);
        failureOf(() => openAll(twice, Buffer.concat([first, first])));
        const missing = protection.createOpener(algorithm, keys);
        failureOf(() => openAll(missing, Buffer.concat([second, second, second])));
        if (algorithm.mode === 'gcm') continue; // counts by itself
        const other = protection.createOpener(algorithm, keys, { sequenceNumber: 1 });
        failureOf(() => openAll(other, Buffer.concat([first, first, first])));
      }
    });

    test('hands out what came before a wrong packet, and stays with its refusal', () => {
      for (const [, algorithm] of protectedAlgorithms) {
        const keys = keysFor(algorithm);
        const bytes = sealAll(protection.createProtector(algorithm, keys), [
          Buffer.alloc(9, 1),
          Buffer.alloc(9, 2),
          Buffer.alloc(9, 3),
        ]);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
        const opener = protection.createOpener(algorithm, keys);
        const packets = new Packets();
        assert.equal(failureOf(() => opener.open(bytes, 0, bytes.length, packets)).code, 'mac');
        assert.equal(packets.count, 2);
        assert.ok(packets.payload(bytes, 1).equals(Buffer.alloc(9, 2)));
        assert.equal(failureOf(() => opener.open(bytes, 0, 0, packets)).code, 'mac');
        assert.equal(packets.count, 0);
      }
    });

    test('refuses lengths out of bounds and out of step with the blocks', () => {
      for (const [algorithmName, algorithm] of algorithms) {
        const lengthIn = (blocks: number): number =>
          blocks * algorithm.blockBytes - (algorithm.isLengthInBlocks ? 4 : 0);
        const keys = keysFor(algorithm);
        for (const length of [0, 1, lengthIn(2) - 1, lengthIn(2) + 1, lengthIn(2) + 4, lengthIn(5000)]) {
          const bytes = forge(algorithm, keys, length, 5);
          const opener = protection.createOpener(algorithm, keys);
          const { code } = failureOf(() => opener.open(bytes, 0, bytes.length, new Packets()));
          assert.equal(code, 'length', `${algorithmName}: ${length}`);
        }
        for (const length of [2 ** 31, 2 ** 32 - 1, 2 ** 32 - 16]) {
          const bytes = forge(algorithm, keys, lengthIn(2), 5);
          bytes.writeUInt32BE(length);
          const opener = protection.createOpener(algorithm, keys);
          // An encrypted length becomes another one, mostly as wrong.
          if (algorithm.isLengthInBlocks ? algorithm.mode !== 'none' : algorithm.mode === 'chacha20-poly1305')
            continue;
          assert.equal(failureOf(() => opener.open(bytes, 0, bytes.length, new Packets())).code, 'length');
        }
      }
    });

    test('holds packets to the bound that it was given', () => {
      for (const [, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const largest = protection.createProtector(algorithm, keys).sealOne(Buffer.alloc(262_000, 94));
        const wide = protection.createOpener(algorithm, keys, { maximumPacketBytes: largestPacketBytes });
        assert.equal(openAll(wide, Buffer.from(largest)).length, 1);
        const packetBytes = largest.length - algorithm.tagBytes;
        const exact = protection.createOpener(algorithm, keys, { maximumPacketBytes: packetBytes });
        assert.equal(openAll(exact, Buffer.from(largest)).length, 1);
        const narrow = protection.createOpener(algorithm, keys, { maximumPacketBytes: packetBytes - 1 });
        assert.equal(failureOf(() => openAll(narrow, Buffer.from(largest))).code, 'length');
        const usual = protection.createOpener(algorithm, keys);
        assert.equal(failureOf(() => openAll(usual, Buffer.from(largest))).code, 'length');
      }
    });

    test('refuses a padding under 4 bytes, and one that leaves no payload', () => {
      for (const [algorithmName, algorithm] of algorithms) {
        const length = 48 - (algorithm.isLengthInBlocks ? 4 : 0);
        for (const [padding, isRight] of [
          [0, false],
          [3, false],
          [4, true],
          [length - 2, true],
          [length - 1, false],
          [length, false],
          [255, false],
        ] as const) {
          const keys = keysFor(algorithm);
          const bytes = forge(algorithm, keys, length, padding);
          const opener = protection.createOpener(algorithm, keys);
          const packets = new Packets();
          if (isRight) {
            opener.open(bytes, 0, bytes.length, packets);
            assert.equal(packets.payloadBytes(0), length - 1 - padding);
          } else {
            const { code } = failureOf(() => opener.open(bytes, 0, bytes.length, packets));
            assert.equal(code, 'padding', `${algorithmName}: ${padding}`);
            assert.equal(packets.count, 0);
          }
        }
      }
    });

    test('pads with the least whole blocks, and with new random bytes each time', () => {
      for (const [algorithmName, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        for (let bytes = 1; bytes <= 64; bytes += 1) {
          const packet = protection.createProtector(algorithm, keys).sealOne(Buffer.alloc(bytes, 94));
          const counted = packet.length - algorithm.tagBytes - (algorithm.isLengthInBlocks ? 0 : 4);
          const least = bytes + 1 + 4 + (algorithm.isLengthInBlocks ? 4 : 0);
          assert.equal(counted % algorithm.blockBytes, 0);
          assert.ok(counted >= least && counted < least + algorithm.blockBytes, algorithmName);
          const again = protection.createProtector(algorithm, keys).sealOne(Buffer.alloc(bytes, 94));
          assert.ok(!again.equals(packet));
        }
      }
    });

    test('counts on from 2^32-1 to 0', () => {
      for (const [, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const options = { sequenceNumber: 0xffff_fffe };
        const protector = protection.createProtector(algorithm, keys, options);
        const bytes = sealAll(
          protector,
          [1, 2, 3, 4].map((fill) => Buffer.alloc(5, fill)),
        );
        assert.equal(protector.sequenceNumber, 2);
        for (const opening of implementations.values()) {
          const opener = opening.createOpener(algorithm, keys, options);
          const packets = new Packets();
          const copy = Buffer.from(bytes);
          opener.open(copy, 0, copy.length, packets);
          assert.deepEqual(
            [0, 1, 2, 3].map((index) => packets.sequenceNumber(index)),
            [0xffff_fffe, 0xffff_ffff, 0, 1],
          );
          assert.equal(opener.sequenceNumber, 2);
        }
      }
    });

    test('carries the packet counter of AES-GCM over all 8 bytes', () => {
      const algorithm = algorithmCalled('aes128-gcm@openssh.com');
      for (const iv of ['0123456700000000000000ff', '01234567ffffffffffffffff', '0123456700000000ffffffff']) {
        const keys = { ...keysFor(algorithm), iv: Buffer.from(iv, 'hex') };
        const bytes = sealAll(protection.createProtector(algorithm, keys), [
          Buffer.alloc(5, 1),
          Buffer.alloc(5, 2),
        ]);
        const second = bytes.subarray(bytes.length / 2);
        const next = Buffer.from(keys.iv);
        next.writeBigUInt64BE(BigInt.asUintN(64, next.readBigUInt64BE(4) + 1n), 4);
        for (const opening of implementations.values()) {
          assert.equal(
            openAll(opening.createOpener(algorithm, { ...keys, iv: next }), Buffer.from(second)).length,
            1,
          );
        }
      }
    });

    test('stops behind NEWKEYS, where other keys go on with the count or begin anew', () => {
      for (const [, algorithm] of algorithms) {
        for (const isStrict of [false, true]) {
          const [oldKeys, newKeys] = [keysFor(algorithm), keysFor(algorithm)];
          const before = protection.createProtector(algorithm, oldKeys, { sequenceNumber: 7 });
          const early = sealAll(before, [Buffer.from('one'), Buffer.from([21])]);
          const sequenceNumber = isStrict ? 0 : before.sequenceNumber;
          const after = protection.createProtector(algorithm, newKeys, { sequenceNumber });
          const bytes = Buffer.concat([early, after.sealOne(Buffer.from('two'))]);

          const packets = new Packets();
          const opener = protection.createOpener(algorithm, oldKeys, { sequenceNumber: 7 });
          assert.equal(opener.open(bytes, 0, bytes.length, packets), early.length);
          assert.equal(packets.stopped, 'newKeys');
          assert.equal(packets.count, 2);
          assert.equal(opener.sequenceNumber, 9);
          opener.close();
          const next = protection.createOpener(algorithm, newKeys, {
            sequenceNumber: isStrict ? 0 : opener.sequenceNumber,
          });
          next.open(bytes, early.length, bytes.length, packets);
          assert.equal(packets.payload(bytes, 0).toString(), 'two');
          assert.equal(packets.sequenceNumber(0), isStrict ? 0 : 9);
        }
      }
    });

    test('goes on where it had no more places', () => {
      for (const [, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const payloads = Array.from({ length: 10 }, (_, index) => Buffer.alloc(index + 1, index + 30));
        const bytes = sealAll(protection.createProtector(algorithm, keys), payloads);
        const packets = new Packets(3);
        const opener = protection.createOpener(algorithm, keys);
        opener.open(bytes, 0, bytes.length, packets);
        assert.equal(packets.stopped, 'full');
        const rest = openAll(opener, bytes.subarray(packets.words[4]), packets);
        assert.deepEqual(rest, payloads.slice(3));
      }
    });

    test('refuses buffers, payloads and keys that do not fit, and changes nothing', () => {
      const algorithm = algorithmCalled('aes128-gcm@openssh.com');
      const keys = keysFor(algorithm);
      const protector = protection.createProtector(algorithm, keys);
      const opener = protection.createOpener(algorithm, keys);
      const packets = new Packets(2);
      const bytes = Buffer.alloc(100);
      for (const [start, end] of [
        [-1, 10],
        [0, 101],
        [50, 49],
        [101, 101],
        [0, 2 ** 32 + 1],
      ] as const) {
        if (end > 2 ** 32) continue;
        assert.throws(() => opener.open(bytes, start, end, packets), RangeError);
      }
      const sealing = (start: number, length: number, output: Buffer, offset: number) => () => {
        packets.clear();
        packets.add(start, length);
        protector.seal(bytes, packets, output, offset);
      };
      assert.throws(sealing(90, 11, Buffer.alloc(100), 0), RangeError);
      assert.throws(sealing(0xffff_ffff, 2, Buffer.alloc(100), 0), RangeError);
      assert.throws(sealing(0, 10, Buffer.alloc(35), 0), RangeError);
      assert.throws(sealing(0, 10, Buffer.alloc(36), 1), RangeError);
      assert.throws(sealing(0, 10, Buffer.alloc(36), -1), RangeError);
      assert.throws(() => protector.sealOne(Buffer.alloc(largestPacketBytes)), RangeError);
      assert.throws(() => protector.sealOne(Buffer.alloc(0)), RangeError);
      assert.equal(protector.sequenceNumber, 0);
      assert.equal(bytes.equals(Buffer.alloc(100)), true);
      sealing(0, 10, Buffer.alloc(36), 0)();
      assert.equal(protector.sequenceNumber, 1);

      for (const part of ['encryptionKey', 'iv', 'macKey'] as const) {
        const wrong = { ...keys, [part]: Buffer.alloc(3) };
        assert.throws(() => protection.createOpener(algorithm, wrong), RangeError);
        assert.throws(() => protection.createProtector(algorithm, wrong), RangeError);
      }
      assert.throws(
        () => protection.createOpener(algorithm, keys, { maximumPacketBytes: 2 ** 20 }),
        RangeError,
      );
      assert.throws(() => protection.createOpener(algorithm, keys, { sequenceNumber: -1 }), RangeError);
    });

    test('changes no byte outside of the packets', () => {
      for (const [, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const protector = protection.createProtector(algorithm, keys);
        const payloads = [Buffer.alloc(1, 94), Buffer.alloc(100, 95)];
        const packets = new Packets();
        packets.add(0, 1);
        packets.add(1, 100);
        const bytes = Buffer.alloc(500, 0xa5);
        const end = protector.seal(Buffer.concat(payloads), packets, bytes, 77);
        const opener = protection.createOpener(algorithm, keys);
        const isUntouched = (): boolean =>
          bytes.every((byte, index) => byte === 0xa5 || (index >= 77 && index < end));
        assert.ok(isUntouched());
        assert.equal(opener.open(bytes, 77, end, packets), end);
        assert.deepEqual(
          payloads.map((_, index) => packets.payload(bytes, index)),
          payloads,
        );
        assert.ok(isUntouched());
      }
    });

    test('opens nothing of what a stranger makes up', () => {
      for (const [, algorithm] of protectedAlgorithms) {
        const keys = keysFor(algorithm);
        const madeUp = fc.tuple(fc.nat(300), fc.uint8Array({ maxLength: 400 }));
        fc.assert(
          fc.property(madeUp, ([length, rest]) => {
            // Half of them with a length that is likely to be taken.
            const bytes = Buffer.concat([Buffer.from([0, 0, 0, (length * 16) & 255]), rest]);
            for (const each of [bytes, Buffer.from(rest)]) {
              const packets = new Packets();
              const opener = protection.createOpener(algorithm, keys);
              try {
                opener.open(each, 0, each.length, packets);
                assert.equal(packets.stopped, 'partial');
              } catch (error) {
                assert.ok(error instanceof PacketError, String(error));
              }
              assert.equal(packets.count, 0);
            }
          }),
          { numRuns: 100 },
        );
      }
    });

    test('does nothing more once it was closed', () => {
      for (const [, algorithm] of algorithms) {
        const keys = keysFor(algorithm);
        const protector = protection.createProtector(algorithm, keys);
        const opener = protection.createOpener(algorithm, keys);
        const sealed = protector.sealOne(Buffer.from('text'));
        for (const each of [protector, opener]) {
          each.close();
          each.close();
        }
        assert.throws(() => protector.sealOne(Buffer.from('text')), TypeError);
        assert.throws(() => opener.open(sealed, 0, sealed.length, new Packets()), TypeError);
      }
    });

    test('relays in one buffer between legs of the same cipher, and to smaller packets', () => {
      for (const [fromName, from] of protectedAlgorithms) {
        for (const [toName, to] of protectedAlgorithms) {
          const [inner, outer] = [keysFor(from), keysFor(to)];
          const bytes = sealAll(protection.createProtector(from, inner), dataMessages);
          const packets = new Packets();
          protection.createOpener(from, inner).open(bytes, 0, bytes.length, packets);
          for (let index = 0; index < packets.count; index += 1) {
            // What a relay may change in a message, it changes in place.
            bytes.writeUInt32BE(1000 + index, packets.payloadStart(index) + 1);
          }
          packets.drop(2);
          let sent = bytes.subarray(0, 0);
          const sealedBytes = reseal(protection.createProtector(to, outer), bytes, packets, (...where) => {
            const [sealed, start, end] = where;
            sent = sealed.subarray(start, end);
          });
          assert.equal(sent.length, sealedBytes);
          if (fromName === toName) assert.equal(sent.buffer, bytes.buffer);
          const received = openAll(protection.createOpener(to, outer), sent);
          const expected = dataMessages.flatMap((each, index) => {
            const message = Buffer.from(each);
            message.writeUInt32BE(1000 + index, 1);
            return index === 2 ? [] : [message];
          });
          assert.deepEqual(received, expected, `${fromName} to ${toName}`);
        }
      }
    });

    test('relays nothing over a packet that has come in part, between any two ciphers', () => {
      for (const [fromName, from] of protectedAlgorithms) {
        for (const [toName, to] of protectedAlgorithms) {
          for (let length = 20; length < 36; length += 1) {
            const messages = [Buffer.alloc(length, 94), Buffer.alloc(60, 94)];
            const [inner, outer] = [keysFor(from), keysFor(to)];
            const bytes = sealAll(protection.createProtector(from, inner), messages);
            const opener = protection.createOpener(from, inner);
            const packets = new Packets();
            const cut = bytes.length - 3;
            const next = opener.open(bytes, 0, cut, packets);
            const sent: Buffer[] = [];
            const protector = protection.createProtector(to, outer);
            const keep = (sealed: Buffer, start: number, end: number): void =>
              void sent.push(Buffer.from(sealed.subarray(start, end)));
            reseal(protector, bytes, packets, keep);
            opener.open(bytes, next, bytes.length, packets);
            reseal(protector, bytes, packets, keep);
            const received = openAll(protection.createOpener(to, outer), Buffer.concat(sent));
            assert.deepEqual(received, messages, `${fromName} to ${toName}`);
          }
        }
      }
    });

    test('covers no payload that it has not sealed yet, wherever the payloads lie', () => {
      const algorithm = algorithmCalled('chacha20-poly1305@openssh.com');
      const place = fc.record({ start: fc.nat(400), length: fc.integer({ min: 1, max: 100 }) });
      let inPlace = 0;
      fc.assert(
        fc.property(fc.array(place, { minLength: 1, maxLength: 4 }), fc.nat(300), (places, offset) => {
          const keys = keysFor(algorithm);
          const whole = Buffer.alloc(2000);
          for (let index = 0; index < whole.length; index += 1) whole[index] = (index % 200) + 30;
          // Two views of the same memory, apart by a few bytes.
          const [source, output] = [whole.subarray(10), whole.subarray(50)];
          const payloads = places.map(({ start, length }) =>
            Buffer.from(source.subarray(start, start + length)),
          );
          const packets = new Packets();
          for (const { start, length } of places) packets.add(start, length);
          const untouched = Buffer.from(whole);
          const protector = protection.createProtector(algorithm, keys);
          const end = protector.seal(source, packets, output, offset);
          if (end === -1) {
            assert.ok(whole.equals(untouched));
            assert.equal(protector.sequenceNumber, 0);
            return;
          }
          inPlace += 1;
          const sealed = output.subarray(offset, end);
          assert.deepEqual(openAll(protection.createOpener(algorithm, keys), sealed), payloads);
        }),
        { numRuns: 500 },
      );
      assert.ok(inPlace > 50 && inPlace < 500);
    });

    describe('agrees with the published vectors', () => {
      /** What a packet of 32 encrypted bytes was added to: the key stream, as far as its bytes are known. */
      function keyStream(packet: Buffer, clear: Buffer, at: number): Buffer {
        return Buffer.from(clear.map((byte, index) => byte ^ packet.readUInt8(at + index)));
      }
      const zeros = (bytes: number): Buffer => Buffer.alloc(bytes);

      test('RFC 8439, A.1: ChaCha20 with a key of zeros', () => {
        const algorithm = algorithmCalled('chacha20-poly1305@openssh.com');
        const packet = protection.createProtector(algorithm, keysFor(algorithm, zeros)).sealOne(zeros(59));
        const length = Buffer.from([0, 0, 0, 64]);
        assert.equal(keyStream(packet, length, 0).toString('hex'), '76b8e0ad');
        const clear = Buffer.concat([Buffer.from([4]), zeros(59)]);
        assert.equal(
          keyStream(packet, clear, 4).toString('hex'),
          '9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed' +
            '29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f',
        );
      });

      test('RFC 3686, vectors 2, 5 and 8: AES-CTR', () => {
        for (const [name, key, counter, vector] of [
          [
            'aes128-ctr',
            '7e24067817fae0d743d6ce1f32539163',
            '006cb6dbc0543b59da48d90b00000001',
            '5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28',
          ],
          [
            'aes192-ctr',
            '7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a',
            '0096b03b020c6eadc2cb500d00000001',
            '453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00',
          ],
          [
            'aes256-ctr',
            'f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884',
            '00faac24c1585ef15a43d87500000001',
            'f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c',
          ],
        ] as const) {
          const algorithm = algorithmCalled(`${name} hmac-sha2-256`);
          const keys = {
            encryptionKey: Buffer.from(key, 'hex'),
            iv: Buffer.from(counter, 'hex'),
            macKey: zeros(32),
          };
          const packet = protection.createProtector(algorithm, keys).sealOne(zeros(23));
          const clear = Buffer.concat([Buffer.from([0, 0, 0, 28, 4]), zeros(23)]);
          // The RFC encrypts the bytes 0, 1, 2 and so on.
          const encrypted = keyStream(packet, clear, 0).map((byte, index) => byte ^ index);
          assert.equal(Buffer.from(encrypted).toString('hex'), vector.slice(0, 56));
        }
      });

      test("NIST's AES-GCM, test case 2: a key of zeros", () => {
        const algorithm = algorithmCalled('aes128-gcm@openssh.com');
        const packet = protection.createProtector(algorithm, keysFor(algorithm, zeros)).sealOne(zeros(11));
        const clear = Buffer.concat([Buffer.from([4]), zeros(11)]);
        assert.equal(keyStream(packet, clear, 4).toString('hex'), '0388dace60b6a392f328c2b9');
      });

      test('RFC 4231: the tag is an HMAC over the sequence number and the packet', () => {
        // The RFC's first vector, which says that what makes the expected tags below is right.
        const ofRfc = createHmac('sha256', Buffer.alloc(20, 0x0b)).update('Hi There').digest('hex');
        assert.equal(ofRfc, 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7');
        for (const [hash, mac] of [
          ['sha256', 'hmac-sha2-256-etm@openssh.com'],
          ['sha512', 'hmac-sha2-512-etm@openssh.com'],
        ] as const) {
          const algorithm = algorithmCalled(`aes128-ctr ${mac}`);
          const keys = keysFor(algorithm);
          const options = { sequenceNumber: 0x48692054 };
          const packet = protection.createProtector(algorithm, keys, options).sealOne(Buffer.alloc(50, 94));
          const covered = packet.subarray(0, packet.length - algorithm.tagBytes);
          const expected = createHmac(hash, keys.macKey).update('Hi T').update(covered).digest();
          assert.deepEqual(packet.subarray(covered.length), expected);
        }
      });
    });
  });
}

const dataMessages = [1, 500, 3, 32768, 17, 64].map((bytes, channel) => {
  const message = Buffer.alloc(9 + bytes, createHash('sha256').update(String(bytes)).digest());
  message[0] = 94;
  message.writeUInt32BE(channel, 1);
  message.writeUInt32BE(bytes, 5);
  return message;
});
