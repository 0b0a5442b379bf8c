/**
 * The listening sockets of all workers: bound once, here, and handed on. This process never listens on them itself nor
 * accepts anything. As long as it holds a socket, the kernel keeps the queue of those who wait to be accepted, whatever
 * becomes of the workers.
 */
import * as net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { PortTaken } from '../listeners/sockets.ts';
import { sentenceFor } from '../listeners/supervised-sockets.ts';
import type { SocketHandle } from '../listeners/supervised-sockets.ts';

/** Node's own way to bind without listening, which its cluster module uses; a number is a negative errno. */
const { _createServerHandle: bind } = net as unknown as {
  _createServerHandle(
    address: string,
    port: number,
    family: 4 | 6,
  ): number | (SocketHandle & { getsockname(into: object): number });
};

interface SharedSocket {
  handle: SocketHandle;
  address: string;
  /** The workers that want it. */
  holders: Set<number>;
  isListening: boolean;
}

export class SharedSockets {
  readonly #sockets = new Map<number, SharedSocket>();
  /** Why a port could not be opened the last time. */
  readonly refusals = new Map<number, string>();

  /** @throws PortTaken */
  take(port: number, address: string, holder: number): SocketHandle {
    const known = this.#sockets.get(port);
    if (known !== undefined && known.address === address) {
      known.holders.add(holder);
      return known.handle;
    }
    if (known !== undefined) {
      const message = `Port ${port} is open on ${known.address}; to open it on ${address}, start the gateway anew.`;
      throw new PortTaken(port, message);
    }
    const handle = bind(address, port, net.isIPv6(address) ? 6 : 4);
    if (typeof handle === 'number') throw this.#refused(handle, port, address);
    // What bind(2) says of an address in use comes out of the first call after it (libuv's delayed error).
    const fault = handle.getsockname({});
    if (fault !== 0) {
      handle.close();
      throw this.#refused(fault, port, address);
    }
    this.refusals.delete(port);
    this.#sockets.set(port, { handle, address, holders: new Set([holder]), isListening: false });
    return handle;
  }

  #refused(errno: number, port: number, address: string): PortTaken {
    const sentence = sentenceFor(getSystemErrorName(errno), port, address);
    this.refusals.set(port, sentence);
    return new PortTaken(port, sentence);
  }

  release(port: number, holder: number): void {
    const socket = this.#sockets.get(port);
    if (socket === undefined || !socket.holders.delete(holder) || socket.holders.size > 0) return;
    this.#sockets.delete(port);
    socket.handle.close();
  }

  releaseAll(holder: number): void {
    for (const port of this.#sockets.keys()) this.release(port, holder);
  }

  /** Takes no more connections: those in the queues are refused. */
  close(): void {
    for (const { handle } of this.#sockets.values()) handle.close();
    this.#sockets.clear();
  }

  /** A worker accepts connections on it. */
  listening(port: number): void {
    const socket = this.#sockets.get(port);
    if (socket !== undefined) socket.isListening = true;
  }

  /** Ports that are open. */
  get ports(): number[] {
    return [...this.#sockets].flatMap(([port, { isListening }]) => (isListening ? port : []));
  }
}
