// Which implementation protects the packets of this process: the addon where it was built and loads, and
// node:crypto where not. Decided once.

import { loadAddon } from '../../native/addon.ts';
import type { PacketProtection } from './packet-protection.ts';
import { nativeProtection } from './packet-protection-native.ts';
import { nodeProtection } from './packet-protection-node.ts';

export interface Implementation {
  readonly name: 'addon' | 'node:crypto';
  /** The end of a sentence for a person: what it stands on, or why it is the slower one. */
  readonly reason: string;
}

const loaded = loadAddon();
const addon = typeof loaded === 'string' ? undefined : loaded;

export const packetProtection: PacketProtection =
  addon === undefined ? nodeProtection : nativeProtection(addon);

const current: Implementation =
  typeof loaded === 'string'
    ? { name: 'node:crypto', reason: loaded }
    : { name: 'addon', reason: `built on OpenSSL ${process.versions.openssl}` };

export function implementation(): Implementation {
  return current;
}

/** Asks the kernel to acknowledge at once what arrived on this socket. Returns whether it could be asked. */
export function quickAck(descriptor: number): boolean {
  return addon?.quickAck(descriptor) ?? false;
}
