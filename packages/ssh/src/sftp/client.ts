// A client of SFTP version 3 on one channel: what moves files into and out of a server without a program on this side.
// Requests are pipelined, so that a file moves as fast as the connection, and bounded, so that it does not matter how
// large it is. The server is not trusted: what it sends is bounded and checked.

import type { Duplex } from 'node:stream';
import { Reader, WireError, Writer } from '../wire.ts';
import {
  type FileAttributes,
  formatAttributes,
  openFlag,
  readAttributes,
  sftpMessage,
  sftpStatus,
  sftpVersion,
} from './messages.ts';

/** What every server takes in one request (draft-ietf-secsh-filexfer-02, section 3). */
const chunkBytes = 32 * 1024;
/** Requests that are on their way at once: 2 MiB, which fills a path of 100 MB/s and 20 ms. */
const pipelined = 64;
const mostMessageBytes = 256 * 1024 + 1024;

export class SftpError extends Error {
  override readonly name = 'SftpError';
  /** One of `sftpStatus`, or what else the server says. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface FolderEntry {
  readonly name: string;
  /** Of a symbolic link itself. */
  readonly attributes: FileAttributes;
}

/** An open file or folder on the server. */
export type Handle = Buffer & { readonly handle: never };

interface Answer {
  readonly type: number;
  readonly reader: Reader;
}

export class SftpClient {
  readonly #stream: Duplex;
  readonly #asked = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #version = Promise.withResolvers<void>();
  readonly #extensions = new Set<string>();
  #waiting: Buffer = Buffer.alloc(0);
  #number = 0;
  #lost: Error | undefined;

  private constructor(stream: Duplex) {
    this.#stream = stream;
    this.#version.promise.catch(() => {});
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    const ended = (): void => this.#lose(new SftpError(sftpStatus.connectionLost, 'The connection is over.'));
    stream.on('end', ended).on('close', ended).on('error', ended);
  }

  /** `stream` carries the subsystem `sftp`. Rejects with SftpError when no such server answers. */
  static async open(stream: Duplex): Promise<SftpClient> {
    const client = new SftpClient(stream);
    client.#send(sftpMessage.init, sftpVersion);
    await client.#version.promise;
    return client;
  }

  /** Ends the connection; what was asked and not answered rejects. */
  close(): void {
    this.#lose(new SftpError(sftpStatus.connectionLost, 'The connection was closed.'));
  }

  /** Absolute, without symbolic links; of what is not there, only its folder must be. */
  async realPath(path: string): Promise<string> {
    const { reader } = await this.#ask(sftpMessage.realPath, new Writer().string(path), sftpMessage.name);
    reader.uint32('count');
    return reader.string('path').toString();
  }

  /** Of what a symbolic link leads to. */
  async stat(path: string): Promise<FileAttributes> {
    const { reader } = await this.#ask(sftpMessage.stat, new Writer().string(path), sftpMessage.attributes);
    return readAttributes(reader);
  }

  async makeFolder(path: string): Promise<void> {
    await this.#do(sftpMessage.makeFolder, new Writer().string(path).bytes(formatAttributes({})));
  }

  async remove(path: string): Promise<void> {
    await this.#do(sftpMessage.remove, new Writer().string(path));
  }

  /** Whether something of the name `to` is replaced at once, or left alone, which fails. */
  async rename(from: string, to: string, { replace }: { readonly replace: boolean }): Promise<void> {
    const paths = new Writer().string(from).string(to).toBuffer();
    if (replace) await this.#extended('posix-rename@openssh.com', paths);
    else await this.#do(sftpMessage.rename, new Writer().bytes(paths));
  }

  /** Bytes that the user may still write to where the path is; undefined where the server does not tell. */
  async freeBytes(path: string): Promise<number | undefined> {
    const extension = 'statvfs@openssh.com';
    if (!this.#extensions.has(extension)) return undefined;
    const { reader } = await this.#ask(
      sftpMessage.extended,
      new Writer().string(extension).string(path),
      sftpMessage.extendedReply,
    );
    reader.uint64('block size');
    const unit = reader.uint64('fragment size');
    reader.uint64('blocks');
    reader.uint64('free blocks');
    return Number(unit * reader.uint64('free blocks for the user'));
  }

  /** Batches, as the server sends them, without `.` and `..`. */
  async *list(path: string): AsyncGenerator<FolderEntry[]> {
    const handle = await this.#open(sftpMessage.openFolder, new Writer().string(path));
    try {
      for (;;) {
        const batch = await this.#readFolder(handle);
        if (batch === undefined) return;
        yield batch.filter(({ name }) => name !== '.' && name !== '..');
      }
    } finally {
      await this.closeHandle(handle);
    }
  }

  openForReading(path: string): Promise<Handle> {
    const flags = new Writer().string(path).uint32(openFlag.read).bytes(formatAttributes({}));
    return this.#open(sftpMessage.open, flags);
  }

  /** A file that is not there yet. */
  openNew(path: string, permissions: number | undefined): Promise<Handle> {
    const flags = openFlag.write | openFlag.create | openFlag.exclusive;
    const attributes = formatAttributes(permissions === undefined ? {} : { permissions });
    return this.#open(sftpMessage.open, new Writer().string(path).uint32(flags).bytes(attributes));
  }

  async closeHandle(handle: Handle): Promise<void> {
    await this.#do(sftpMessage.close, new Writer().string(handle));
  }

  async setPermissions(handle: Handle, permissions: number): Promise<void> {
    const attributes = formatAttributes({ permissions });
    await this.#do(sftpMessage.fileSetAttributes, new Writer().string(handle).bytes(attributes));
  }

  /** What was written is on the disk; where the server can say so. */
  async sync(handle: Handle): Promise<void> {
    const extension = 'fsync@openssh.com';
    if (this.#extensions.has(extension))
      await this.#extended(extension, new Writer().string(handle).toBuffer());
  }

  /**
   * The bytes from `start` to before `end`, in order. Ends early, with SftpError, where the file does. Not more than what
   * is pipelined is held, however slowly it is taken.
   */
  async *read(handle: Handle, { start, end }: { start: number; end: number }): AsyncGenerator<Buffer> {
    const flying: { offset: number; length: number; bytes: Promise<Buffer> }[] = [];
    const ask = (offset: number, length: number) => {
      const bytes = this.#read(handle, offset, length);
      bytes.catch(() => {});
      return { offset, length, bytes };
    };
    for (let next = start; ;) {
      while (next < end && flying.length < pipelined) {
        const length = Math.min(chunkBytes, end - next);
        flying.push(ask(next, length));
        next += length;
      }
      const first = flying.shift();
      if (first === undefined) return;
      const bytes = await first.bytes;
      if (bytes.length === 0) throw new SftpError(sftpStatus.endOfFile, 'The file has become shorter.');
      // A server may give less than it is asked for: the rest is asked for again, before what follows.
      if (bytes.length < first.length)
        flying.unshift(ask(first.offset + bytes.length, first.length - bytes.length));
      yield bytes;
    }
  }

  /** Writes from the file's beginning. Returns how many bytes. `source` is read no faster than the server writes. */
  async write(handle: Handle, source: AsyncIterable<Buffer>): Promise<number> {
    const flying: Promise<void>[] = [];
    let offset = 0;
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length; at += chunkBytes) {
        const part = chunk.subarray(at, at + chunkBytes);
        const head = new Writer().string(handle).uint64(BigInt(offset)).uint32(part.length);
        const written = this.#do(sftpMessage.write, head, part);
        written.catch(() => {});
        flying.push(written);
        offset += part.length;
        if (flying.length >= pipelined) await flying.shift();
      }
    }
    await Promise.all(flying);
    return offset;
  }

  async #read(handle: Handle, offset: number, length: number): Promise<Buffer> {
    const body = new Writer().string(handle).uint64(BigInt(offset)).uint32(length);
    try {
      const { reader } = await this.#ask(sftpMessage.read, body, sftpMessage.data);
      const bytes = reader.string('data');
      if (bytes.length > length)
        throw new SftpError(sftpStatus.badMessage, 'The server sent more than was asked for.');
      return bytes;
    } catch (error) {
      if (error instanceof SftpError && error.status === sftpStatus.endOfFile) return Buffer.alloc(0);
      throw error;
    }
  }

  async #readFolder(handle: Handle): Promise<FolderEntry[] | undefined> {
    try {
      const { reader } = await this.#ask(
        sftpMessage.readFolder,
        new Writer().string(handle),
        sftpMessage.name,
      );
      const entries: FolderEntry[] = [];
      for (let left = reader.uint32('count'); left > 0; left -= 1) {
        const name = reader.string('name').toString();
        reader.string('long name');
        entries.push({ name, attributes: readAttributes(reader) });
      }
      return entries;
    } catch (error) {
      if (error instanceof SftpError && error.status === sftpStatus.endOfFile) return undefined;
      throw error;
    }
  }

  async #open(type: number, body: Writer): Promise<Handle> {
    const { reader } = await this.#ask(type, body, sftpMessage.handle);
    return Buffer.from(reader.string('handle')) as Handle;
  }

  async #extended(name: string, body: Buffer): Promise<void> {
    if (!this.#extensions.has(name))
      throw new SftpError(sftpStatus.unsupported, `The server does not have ${name}.`);
    await this.#do(sftpMessage.extended, new Writer().string(name).bytes(body));
  }

  async #do(type: number, body: Writer, data?: Buffer): Promise<void> {
    await this.#ask(type, body, sftpMessage.status, data);
  }

  /** Rejects with SftpError for every status but the one that says that it was done. */
  async #ask(type: number, body: Writer, expected: number, data?: Buffer): Promise<Answer> {
    if (this.#lost !== undefined) throw this.#lost;
    const number = (this.#number = (this.#number + 1) >>> 0);
    const asked = Promise.withResolvers<Answer>();
    this.#asked.set(number, asked);
    this.#send(type, number, body, data);
    const answer = await asked.promise;
    if (answer.type === sftpMessage.status) {
      const status = answer.reader.uint32('status');
      const message = answer.reader.remaining > 0 ? answer.reader.string('message').toString() : '';
      if (status !== sftpStatus.ok) throw new SftpError(status, message || `The server says ${status}.`);
    }
    if (answer.type !== expected)
      throw new SftpError(
        sftpStatus.badMessage,
        `The server answered with a message of type ${answer.type}.`,
      );
    return answer;
  }

  /** @param number of the request; the first message has the version in its place */
  #send(type: number, number: number, body: Writer = new Writer(), data: Buffer = Buffer.alloc(0)): void {
    const bytes = body.toBuffer();
    const head = new Writer()
      .uint32(5 + bytes.length + data.length)
      .byte(type)
      .uint32(number)
      .toBuffer();
    this.#stream.write(Buffer.concat([head, bytes, data]));
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk]);
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0);
      if (length === 0 || length > mostMessageBytes)
        return this.#lose(
          new SftpError(sftpStatus.badMessage, `The server sent a message of ${length} bytes.`),
        );
      if (bytes.length < 4 + length) break;
      const message = bytes.subarray(4, 4 + length);
      bytes = bytes.subarray(4 + length);
      try {
        this.#take(message);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        return this.#lose(new SftpError(sftpStatus.badMessage, error.message));
      }
    }
    this.#waiting = bytes;
  }

  #take(message: Buffer): void {
    const reader = new Reader(message);
    const type = reader.byte('type');
    if (type === sftpMessage.version) {
      reader.uint32('version');
      while (reader.remaining > 0) {
        this.#extensions.add(reader.string('extension').toString());
        reader.string('value of an extension');
      }
      this.#version.resolve();
      return;
    }
    const number = reader.uint32('number of the request');
    const asked = this.#asked.get(number);
    this.#asked.delete(number);
    asked?.resolve({ type, reader });
  }

  #lose(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#version.reject(error);
    for (const asked of this.#asked.values()) asked.reject(error);
    this.#asked.clear();
    this.#stream.destroy();
  }
}
