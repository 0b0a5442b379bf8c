/**
 * The ports of a worker, as its listeners see them. In a worker process the supervisor owns the sockets
 * (`supervised-sockets.ts`), so that they outlive the worker.
 */
import type { Socket } from 'node:net';

export interface Sockets {
  /**
   * Listens; ends when connections are being accepted. Sockets come unread (paused), without timeouts. Ask for all
   * ports of a state in the turn of the event loop in which its `complete` came: what was asked then is awaited before
   * an old worker stops accepting.
   *
   * @param address `::` for both families
   * @throws PortTaken
   */
  listen(port: number, address: string, onConnection: (socket: Socket) => void): Promise<void>;
  /** Takes no more connections on the port; those that there are stay. Unknown ports are no mistake. */
  close(port: number): void;
}

/** A port that cannot be opened; the message is a sentence for people. */
export class PortTaken extends Error {
  override name = 'PortTaken';
  readonly port: number;

  constructor(port: number, message: string) {
    super(message);
    this.port = port;
  }
}
