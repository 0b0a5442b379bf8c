/** A network that fails when it is told to: a relay in front of Berth whose connections can all be cut at once. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export class FailingNetwork {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isDown = false;

  private constructor(to: () => { host: string; port: number }) {
    this.#server = createServer((near) => {
      if (this.#isDown) return near.destroy();
      const far = connect({ ...to(), noDelay: true });
      near.setNoDelay(true);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  static async open(to: () => { host: string; port: number }): Promise<FailingNetwork> {
    const network = new FailingNetwork(to);
    await new Promise<void>((resolve) => network.#server.listen(0, '127.0.0.1', resolve));
    return network;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many connections there are. */
  get size(): number {
    return this.#sockets.size / 2;
  }

  /** Without a word, as a cable that was pulled and a router that has forgotten. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Nothing gets through, until it is up again. */
  down(): void {
    this.#isDown = true;
    this.cut();
  }

  up(): void {
    this.#isDown = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
