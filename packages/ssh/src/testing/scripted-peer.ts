// One end of a transport whose every message is written and read by a test, right or wrong.

import type { PacketHandler, PacketTransport } from '../transport/packet-transport.ts';
import type { TransportError } from '../transport/transport-error.ts';

export class ScriptedPeer implements PacketHandler {
  readonly transport: PacketTransport;
  readonly #received: Buffer[] = [];
  readonly #ended = Promise.withResolvers<TransportError | undefined>();
  #wake: () => void = () => {};

  constructor(transport: PacketTransport) {
    this.transport = transport;
    transport.handle(this);
  }

  send(...payloads: readonly Uint8Array[]): void {
    for (const payload of payloads) this.transport.send(payload);
  }

  /** The next message, or why there is none any more. */
  async receive(): Promise<Buffer | TransportError | undefined> {
    const arrived = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#received.length === 0) await Promise.race([arrived, this.ended]);
    return this.#received.shift() ?? this.ended;
  }

  get ended(): Promise<TransportError | undefined> {
    return this.#ended.promise;
  }

  packet(payload: Buffer): void {
    this.#received.push(Buffer.from(payload));
    this.#wake();
  }

  closed(error: TransportError | undefined): void {
    this.#ended.resolve(error);
  }
}
