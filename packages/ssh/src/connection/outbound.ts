// What is to be sent on a channel, in the order in which it was written to its standard output and error: cut and
// joined into packets as large as the peer's window and maximum allow (RFC 4254, section 5.2). Used by
// channel-endpoint.ts.

import { message } from '../transport/messages.ts';

type Done = (error?: Error | null) => void;

interface Write {
  readonly chunks: readonly Buffer[];
  readonly isStderr: boolean;
  readonly done: Done;
  /** What is sent already: chunks, and bytes of the next. */
  index: number;
  offset: number;
  remainingBytes: number;
}

// More than 32 KiB in one packet is nothing that every peer takes (RFC 4253, section 6.1).
export const maximumDataBytes = 32 * 1024;
const stderrCode = 1;
const dataHeaderBytes = 9;
const stderrHeaderBytes = 13;

// The transport copies what it is given, so one is enough for the process.
const packet = Buffer.allocUnsafe(stderrHeaderBytes + maximumDataBytes);

export class Outbound {
  /** One for standard output and one for standard error at most: a Writable waits for `done`. */
  readonly #writes: Write[] = [];

  get isEmpty(): boolean {
    return this.#writes.length === 0;
  }

  add(chunks: readonly Buffer[], isStderr: boolean, done: Done): void {
    let remainingBytes = 0;
    for (const chunk of chunks) remainingBytes += chunk.length;
    if (remainingBytes === 0) done();
    else this.#writes.push({ chunks, isStderr, done, index: 0, offset: 0, remainingBytes });
  }

  /**
   * The next message, with up to `limitBytes` of data, for the peer's channel `peerNumber`; a view that the next call
   * overwrites, to be sent at once, and before `settle`. There must be something to send.
   */
  take(peerNumber: number, limitBytes: number): { readonly payload: Buffer; readonly dataBytes: number } {
    const write = this.#writes[0];
    if (write === undefined) throw new RangeError('nothing to send');
    const dataBytes = Math.min(write.remainingBytes, limitBytes, maximumDataBytes);
    packet[0] = write.isStderr ? message.channelExtendedData : message.channelData;
    packet.writeUInt32BE(peerNumber, 1);
    let end = dataHeaderBytes;
    if (write.isStderr) {
      packet.writeUInt32BE(stderrCode, 5);
      end = stderrHeaderBytes;
    }
    packet.writeUInt32BE(dataBytes, end - 4);
    const stop = end + dataBytes;
    while (end < stop) {
      const chunk = write.chunks[write.index];
      if (chunk === undefined) break;
      const count = Math.min(chunk.length - write.offset, stop - end);
      chunk.copy(packet, end, write.offset, write.offset + count);
      end += count;
      write.offset += count;
      if (write.offset === chunk.length) {
        write.index += 1;
        write.offset = 0;
      }
    }
    write.remainingBytes -= dataBytes;
    return { payload: packet.subarray(0, stop), dataBytes };
  }

  /** Tells the oldest write's owner when all of it is sent. */
  settle(): void {
    const write = this.#writes[0];
    if (write === undefined || write.remainingBytes > 0) return;
    this.#writes.shift();
    write.done();
  }

  /** Tells every owner that nothing more is sent. */
  fail(error: Error): void {
    for (const { done } of this.#writes.splice(0)) done(error);
  }
}
