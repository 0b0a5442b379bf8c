// Opener and Protector on the addon (native/packet-protection.c), which works on all packets of a call at
// once and keeps OpenSSL's contexts, with their expanded keys, from call to call.

import type { Addon, State } from '../../native/addon.ts';
import type { PacketKeys } from './key-derivation.ts';
import type { PacketAlgorithm } from './packet-algorithms.ts';
import { PacketError, type PacketErrorCode } from './packet-error.ts';
import {
  type Opener,
  type OpenerOptions,
  type PacketProtection,
  type Protector,
  checkKeys,
  checkOptions,
  payloadOffset,
  sealedBytes,
} from './packet-protection.ts';
import { nodeProtection } from './packet-protection-node.ts';
import { Packets } from './packets.ts';

// As packet-protection.c numbers them.
const modes = { gcm: 0, 'chacha20-poly1305': 1, ctr: 2 } as const;
const doesNotFit = -1;
const packetErrors = new Map<number, PacketErrorCode>([
  [-2, 'length'],
  [-3, 'mac'],
  [-4, 'padding'],
]);
const rangeErrors = new Map([
  [-5, 'outside of the buffer, or fits in no packet'],
  [-6, 'no room for what is sealed'],
]);
const closed = -7;

export function nativeProtection(addon: Addon): PacketProtection {
  return {
    createOpener(algorithm, keys, options = {}) {
      // What has nothing to compute is not worth a second implementation.
      if (algorithm.mode === 'none') return nodeProtection.createOpener(algorithm, keys, options);
      return new NativeOpener(addon, create(addon, false, algorithm, keys, options));
    },
    createProtector(algorithm, keys, options = {}) {
      if (algorithm.mode === 'none') return nodeProtection.createProtector(algorithm, keys, options);
      return new NativeProtector(addon, create(addon, true, algorithm, keys, options), algorithm);
    },
  };
}

function create(
  addon: Addon,
  isSealing: boolean,
  algorithm: PacketAlgorithm,
  keys: PacketKeys,
  options: OpenerOptions,
): State {
  checkKeys(algorithm, keys);
  const { sequenceNumber, maximumPacketBytes } = checkOptions(options);
  const { mode, mac, isLengthInBlocks, blockBytes, tagBytes } = algorithm;
  if (mode === 'none') throw new TypeError('clear text needs no addon');
  return addon.create(
    isSealing,
    modes[mode],
    mac?.hash ?? '',
    isLengthInBlocks,
    blockBytes,
    tagBytes,
    maximumPacketBytes,
    sequenceNumber,
    keys.encryptionKey,
    keys.iv,
    keys.macKey,
  );
}

class NativeOpener implements Opener {
  readonly #addon: Addon;
  readonly #state: State;

  constructor(addon: Addon, state: State) {
    this.#addon = addon;
    this.#state = state;
  }

  get sequenceNumber(): number {
    return this.#addon.sequenceNumber(this.#state);
  }

  open(bytes: Buffer, start: number, end: number, packets: Packets): number {
    const result = this.#addon.open(this.#state, bytes, start, end, packets.words);
    if (result < 0) throw failure(result);
    return result;
  }

  close(): void {
    this.#addon.close(this.#state);
  }
}

class NativeProtector implements Protector {
  readonly #addon: Addon;
  readonly #state: State;
  readonly #algorithm: PacketAlgorithm;

  constructor(addon: Addon, state: State, algorithm: PacketAlgorithm) {
    this.#addon = addon;
    this.#state = state;
    this.#algorithm = algorithm;
  }

  get sequenceNumber(): number {
    return this.#addon.sequenceNumber(this.#state);
  }

  sealedBytes(payloadBytes: number): number {
    return sealedBytes(this.#algorithm, payloadBytes);
  }

  seal(source: Buffer, packets: Packets, output: Buffer, offset: number): number {
    const result = this.#addon.seal(this.#state, source, packets.words, output, offset);
    if (result < doesNotFit) throw failure(result);
    return result;
  }

  sealOne(payload: Uint8Array): Buffer {
    const output = Buffer.allocUnsafe(this.sealedBytes(payload.length));
    output.set(payload, payloadOffset);
    one.clear();
    one.add(payloadOffset, payload.length);
    this.seal(output, one, output, 0);
    return output;
  }

  close(): void {
    this.#addon.close(this.#state);
  }
}

const one = new Packets(1);

function failure(result: number): Error {
  const packetError = packetErrors.get(result);
  if (packetError !== undefined) return new PacketError(packetError);
  const rangeError = rangeErrors.get(result);
  if (rangeError !== undefined) return new RangeError(rangeError);
  return result === closed ? new TypeError('used after close()') : new Error('OpenSSL failed');
}
