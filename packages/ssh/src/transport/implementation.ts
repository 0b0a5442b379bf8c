// Which implementation protects the packets of this process: the addon where it was built and loads, and
// node:crypto where not. Decided once.

import type { Socket } from 'node:net';
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

/**
 * Asks the kernel to acknowledge at once what arrived on this socket, until it thinks otherwise (tcp(7),
 * TCP_QUICKACK). Returns whether it could be asked.
 */
export function quickAck(socket: Socket): boolean {
  const descriptor = descriptorOf(socket);
  return addon !== undefined && descriptor >= 0 && addon.quickAck(descriptor);
}

/**
 * Hands bytes to the kernel without waiting, and without keeping hold of `bytes`; only for a socket that has nothing
 * pending. Returns how many it took, which may be 0: the rest is for `socket.write`, which also tells of errors.
 */
export function sendAtOnce(socket: Socket, bytes: Buffer, start: number, end: number): number {
  const descriptor = descriptorOf(socket);
  if (addon === undefined || descriptor < 0) return 0;
  return Math.max(0, addon.send(descriptor, bytes, start, end));
}

/** Node names the descriptor nowhere but in its own handle, which is gone when the socket was destroyed. */
function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd?: number } | null };
  return handle?.fd ?? -1;
}
