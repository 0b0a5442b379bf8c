/**
 * What Berth's server and the keeper of a session inside an environment say to each other, over the standard streams of
 * `berth-session attach` (image/berth-session.c; image/README.md has the protocol).
 *
 * The keeper is the environment's, and whoever works there may put another program in its place: what it says is bounded
 * and checked here, and believed of its own session only.
 */

/** Where the program is in an environment's image. */
export const keeperProgram = '/usr/local/lib/berth/berth-session';

const protocolVersion = 1;
/** The program's first words: what a shell's start-up files print comes before them. */
const marker = Buffer.from('\0berth-session 1\n', 'latin1');
const mostNoiseBytes = 64 * 1024;
const headBytes = 5;
const mostBodyBytes = 64 * 1024;

/** Why nothing is kept. */
const failures = ['gone', 'many', 'failed'] as const;
export type KeeperFailure = (typeof failures)[number];

export type KeeperWord =
  /**
   * First, and again whenever output was missed: the offset of what follows and of the end of what was said so far, how
   * many bytes of this writer's input were taken, the size in force. `modes` bring a terminal that was reset into the state in which what follows was said.
   */
  | {
      type: 'welcome';
      hasGap: boolean;
      offset: number;
      end: number;
      taken: number;
      columns: number;
      rows: number;
      modes: string;
    }
  | { type: 'output'; bytes: Buffer }
  | { type: 'taken'; taken: number }
  /** Somebody else who is attached has chosen it. */
  | { type: 'size'; columns: number; rows: number }
  | { type: 'exit'; status: number | null; signal: number | null }
  | { type: 'failed'; why: KeeperFailure };

export class KeeperError extends Error {
  override name = 'KeeperError';
}

export class KeeperReader {
  #waiting: Buffer = Buffer.alloc(0);
  #noiseBytes = 0;
  #begun = false;

  /** Whether the program has said its first words. */
  get begun(): boolean {
    return this.#begun;
  }

  /** @throws KeeperError when it is not the protocol */
  *read(chunk: Buffer): Generator<KeeperWord> {
    let bytes = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk]);
    if (!this.#begun) {
      const at = bytes.indexOf(marker);
      if (at < 0) {
        const kept = Math.min(bytes.length, marker.length - 1);
        this.#noiseBytes += bytes.length - kept;
        if (this.#noiseBytes > mostNoiseBytes) throw new KeeperError('the program does not begin as it must');
        this.#waiting = bytes.subarray(bytes.length - kept);
        return;
      }
      this.#begun = true;
      bytes = bytes.subarray(at + marker.length);
    }
    while (bytes.length >= headBytes) {
      const bodyBytes = bytes.readUInt32BE(1);
      if (bodyBytes > mostBodyBytes) throw new KeeperError(`a frame has ${bodyBytes} bytes`);
      if (bytes.length < headBytes + bodyBytes) break;
      const word = parse(bytes.toString('latin1', 0, 1), bytes.subarray(headBytes, headBytes + bodyBytes));
      bytes = bytes.subarray(headBytes + bodyBytes);
      yield word;
    }
    this.#waiting = bytes;
  }
}

function parse(type: string, body: Buffer): KeeperWord {
  switch (type) {
    case 'O':
      return { type: 'output', bytes: body };
    case 'W':
      atLeast(body, 30);
      if (body[0] !== protocolVersion) throw new KeeperError(`the program speaks version ${body[0]}`);
      return {
        type: 'welcome',
        hasGap: body[1] !== 0,
        offset: offsetAt(body, 2),
        end: offsetAt(body, 10),
        taken: offsetAt(body, 18),
        columns: body.readUInt16BE(26),
        rows: body.readUInt16BE(28),
        modes: body.toString('latin1', 30),
      };
    case 'T':
      atLeast(body, 8);
      return { type: 'taken', taken: offsetAt(body, 0) };
    case 'S':
      atLeast(body, 4);
      return { type: 'size', columns: body.readUInt16BE(0), rows: body.readUInt16BE(2) };
    case 'X':
      atLeast(body, 2);
      return body[0] === 0
        ? { type: 'exit', status: body.readUInt8(1), signal: null }
        : { type: 'exit', status: null, signal: body.readUInt8(1) };
    case 'F': {
      const code = body.toString('latin1');
      return { type: 'failed', why: failures.find((each) => each === code) ?? 'failed' };
    }
    default:
      throw new KeeperError(`a frame has the type ${JSON.stringify(type)}`);
  }
}

function atLeast(body: Buffer, bytes: number): void {
  if (body.length < bytes) throw new KeeperError(`a frame has ${body.length} bytes, not ${bytes}`);
}

function offsetAt(body: Buffer, at: number): number {
  const offset = Number(body.readBigUInt64BE(at));
  if (!Number.isSafeInteger(offset)) throw new KeeperError('an offset is beyond all bounds');
  return offset;
}

function frame(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(headBytes);
  head.write(type, 'latin1');
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

export const toKeeper = {
  /** First. @param writer whose input it is, 16 hexadecimal digits; the same after a cut */
  attach({
    from,
    columns,
    rows,
    writer,
  }: {
    from: number;
    columns: number;
    rows: number;
    writer: string;
  }): Buffer {
    const body = Buffer.alloc(21);
    body.writeUInt8(protocolVersion, 0);
    body.writeBigUInt64BE(BigInt(from), 1);
    body.writeUInt16BE(columns, 9);
    body.writeUInt16BE(rows, 11);
    body.write(writer, 13, 'hex');
    return frame('A', body);
  },
  /** At most the contract's `inputWindowBytes` beyond what was taken; more ends the connection to the keeper. */
  input: (bytes: Buffer): Buffer => frame('I', bytes),
  size(columns: number, rows: number): Buffer {
    const body = Buffer.alloc(4);
    body.writeUInt16BE(columns, 0);
    body.writeUInt16BE(rows, 2);
    return frame('S', body);
  },
  /** All output before that offset has been taken. */
  acknowledge(offset: number): Buffer {
    const body = Buffer.alloc(8);
    body.writeBigUInt64BE(BigInt(offset));
    return frame('K', body);
  },
  /** Whether the program waits where this attacher does not keep up; it does unless told otherwise. */
  hold: (holds: boolean): Buffer => frame('H', Buffer.from([holds ? 1 : 0])),
  /** Goes, and does not come back soon. */
  leave: (): Buffer => frame('D', Buffer.alloc(0)),
};
