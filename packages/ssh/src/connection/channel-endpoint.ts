// One end of a channel (RFC 4254, section 5): its two numbers, its windows, what EOF and CLOSE allow and forbid.
// connection.ts hands it the peer's messages; the streams of channel.ts what the owner reads and writes.

import { message } from '../transport/messages.ts';
import { ProtocolError } from '../transport/transport-error.ts';
import { Reader, Writer } from '../wire.ts';
import { Channel, StderrReader, StderrWriter } from './channel.ts';
import { ChannelError, type ChannelOpenError } from './channel-error.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import { type Answer, RequestQueue, type RequestQuota } from './request-queue.ts';
import { ReceiveWindow, type WindowOptions } from './window.ts';

const maximumWindow = 0xffffffff;
const stderrCode = 1;
// What a channel sends before another one that waits gets its turn.
const turnBytes = 128 * 1024;

/** What a channel needs of its connection. */
export interface ChannelHost {
  readonly windows: WindowOptions;
  readonly quota: RequestQuota;
  /** Whether data must wait until `ChannelEndpoint.drained`, which `waitForDrain` asks for. */
  readonly isCongested: boolean;
  send(payload: Uint8Array): void;
  waitForDrain(endpoint: ChannelEndpoint): void;
  /** Both sides sent CLOSE: the number may be given to another channel. */
  numberIsFree(endpoint: ChannelEndpoint): void;
  /** Nothing is left of the channel. */
  forget(endpoint: ChannelEndpoint): void;
  /** A handler of a request threw this. */
  failed(error: unknown): void;
}

export interface PeerEnd {
  readonly number: number;
  readonly windowBytes: number;
  readonly maximumPacketBytes: number;
}

/** Which stream carries the other side's standard error, or this side's own. */
export type StderrDirection = 'none' | 'reads' | 'writes';

export class ChannelEndpoint {
  readonly number: number;
  readonly channel: Channel;
  /** Answers the peer's requests; parses them before it returns. */
  onRequest: (name: string, reader: Reader) => () => Answer = () => () => false;
  /** The peer sent CLOSE, or the connection is over. */
  onClosed: (error: Error | undefined) => void = () => {};
  /** Whether a program is running whose exit status the peer is still to be told. */
  owesExitStatus: () => boolean = () => false;
  /** Whether the peer waits for this side's confirmation, not the other way round. */
  isOpenedByPeer = false;
  readonly stderrReader: StderrReader | undefined;
  readonly #stderrDirection: StderrDirection;
  readonly #host: ChannelHost;
  readonly #window: ReceiveWindow;
  readonly #inbound: Inbound;
  readonly #stderrInbound: Inbound | undefined;
  #stderrWriter: StderrWriter | undefined;
  #awaitsStderr = false;
  readonly #outbound = new Outbound();
  /** The peer's requests, and what this side's own wait for. */
  readonly #requests: RequestQueue<boolean>;
  readonly #replies: ((isSuccess: boolean | Error) => void)[] = [];
  readonly #opened = Promise.withResolvers<void>();

  #peerNumber = 0;
  #sendWindow = 0;
  #maximumPacketBytes = 0;
  #isOpen = false;
  #eofReceived = false;
  #eofSent = false;
  #closeSent = false;
  /** The peer sent CLOSE, and is answered when the program has ended. */
  #owesClose = false;
  /** CLOSE was received, or will never be. */
  #isOver = false;
  #isDestroyed = false;
  #closeWhenFlushed = false;
  #finishing: ((error?: Error | null) => void) | undefined;

  constructor(host: ChannelHost, number: number, type: string, stderr: StderrDirection = 'none') {
    // A session goes on when both directions have ended: its exit status is still to come.
    const closesAtEnd = stderr === 'none';
    this.#host = host;
    this.number = number;
    this.#window = new ReceiveWindow(host.windows);
    this.#requests = new RequestQueue(host.quota, (error) => host.failed(error));
    this.channel = new Channel(type, closesAtEnd, {
      pull: () => this.#inbound.pull(),
      consumed: () => this.#grant(),
      write: (chunks, done) => this.#write(chunks, false, done),
      finish: (done) => this.#finish(done),
      destroyed: (error) => this.#destroyed(error),
    });
    this.#inbound = new Inbound(this.channel);
    this.#stderrDirection = stderr;
    if (stderr === 'reads') {
      this.stderrReader = new StderrReader({
        pull: () => this.#stderrInbound?.pull(),
        consumed: () => this.#grant(),
      });
      this.#stderrInbound = new Inbound(this.stderrReader);
    }
    // Who opened a channel may have stopped waiting for it.
    this.#opened.promise.catch(() => {});
  }

  /** Resolves when the peer confirmed the channel; rejects with ChannelOpenError, or why the connection ended. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** For the peer, in SSH_MSG_CHANNEL_OPEN and its confirmation. */
  get windowBytes(): number {
    return this.#window.sizeBytes;
  }

  /** Once asked for, EOF waits for its end as well: it means that neither brings more. */
  get stderrWriter(): StderrWriter {
    if (this.#stderrDirection !== 'writes') throw new TypeError('a channel without a standard error');
    if (this.#stderrWriter === undefined) {
      this.#stderrWriter = new StderrWriter({
        write: (chunks, done) => this.#write(chunks, true, done),
        finish: (done) => {
          this.#stderrIsDone();
          done();
        },
      });
      this.#awaitsStderr = true;
      this.#stderrWriter.once('close', () => this.#stderrIsDone());
      if (this.#isDestroyed) this.#stderrWriter.destroy();
    }
    return this.#stderrWriter;
  }

  /** Both numbers are known now: the peer confirmed the channel, or is about to be told. */
  open(peer: PeerEnd): void {
    this.#peerNumber = peer.number;
    this.#sendWindow = peer.windowBytes;
    this.#maximumPacketBytes = peer.maximumPacketBytes;
    this.#isOpen = true;
    this.#opened.resolve();
    if (this.#isDestroyed) this.#sendClose();
    else this.#pump();
  }

  /** The peer, or the handler here, refused the channel. */
  refuse(error: ChannelOpenError): void {
    if (this.#isOver) return;
    this.#opened.reject(error);
    this.#endOfMessages();
    this.#host.numberIsFree(this);
    this.channel.destroy(error);
    this.#forgetIfDone();
  }

  /** Sends a request and resolves with whether it succeeded. Rejects with ChannelError when the channel closes. */
  request(name: string, body: Uint8Array = Buffer.alloc(0)): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (!this.#maySend()) {
        reject(new ChannelError('closed', 'The channel is closed.'));
        return;
      }
      this.#replies.push((reply) => (reply instanceof Error ? reject(reply) : resolve(reply)));
      this.#sendRequest(name, true, body);
    });
  }

  /** Sends a request that is not answered; nothing when the channel is closed. */
  notify(name: string, body: Uint8Array = Buffer.alloc(0)): void {
    if (this.#maySend()) this.#sendRequest(name, false, body);
  }

  /** Calls `run` when the peer's requests are answered, so that nothing overtakes their answers. */
  afterRequests(run: () => void): void {
    this.#requests.afterwards(run);
  }

  /** Closes the channel once all that was written is sent. */
  closeWhenFlushed(): void {
    if (this.#owesClose) {
      this.#answerClose();
      return;
    }
    if (this.#isOver) {
      this.channel.destroy();
      return;
    }
    this.#closeWhenFlushed = true;
    this.#stderrWriter?.end();
    this.channel.end(() => this.channel.destroy());
  }

  // What the peer sends. All throw ProtocolError or WireError.

  data(bytes: Buffer): void {
    this.#receive(bytes, this.#inbound);
  }

  extendedData(code: number, bytes: Buffer): void {
    this.#receive(bytes, code === stderrCode ? this.#stderrInbound : undefined);
  }

  windowAdjust(bytes: number): void {
    this.#sendWindow += bytes;
    if (this.#sendWindow > maximumWindow) {
      throw new ProtocolError('The peer made the window of a channel larger than 2^32 - 1 bytes.');
    }
    this.#pump();
  }

  eof(): void {
    this.#endOfData();
  }

  close(): void {
    // A client that has had EOF and has sent its own closes the channel at once, and takes the exit status until it is
    // closed from here too. A program ends a little after its output.
    if (this.#eofSent && !this.#closeSent && this.owesExitStatus()) {
      this.#owesClose = true;
      if (!this.#eofReceived) this.#endOfData();
      return;
    }
    this.#answerClose();
  }

  #answerClose(): void {
    this.#owesClose = false;
    this.#sendClose();
    this.#endOfMessages();
    this.#host.numberIsFree(this);
    this.onClosed(undefined);
    this.#leaveToReader();
  }

  /** `payload` starts behind the channel's number. */
  requested(payload: Buffer): void {
    const reader = new Reader(payload);
    const name = reader.string('request').toString('latin1');
    const wantsReply = reader.boolean('want reply');
    const run = this.onRequest(name, reader);
    if (this.#closeSent) return;
    this.#requests.add(payload.length, run, (isSuccess) => {
      if (wantsReply && !this.#closeSent) this.#sendReply(isSuccess === true);
    });
  }

  replied(isSuccess: boolean): void {
    const settle = this.#replies.shift();
    if (settle === undefined) throw new ProtocolError('The peer answered a request that was not made.');
    settle(isSuccess);
  }

  // What the connection says.

  /** It is this channel's turn to send. */
  drained(): void {
    this.#pump(turnBytes);
  }

  connectionClosed(error: Error): void {
    if (this.#isOver) return;
    const isWhole = this.#eofReceived && this.channel.writableFinished;
    this.#opened.reject(error);
    this.#endOfMessages();
    this.onClosed(error);
    if (isWhole) this.#leaveToReader();
    else this.channel.destroy(error);
    this.#forgetIfDone();
  }

  #maySend(): boolean {
    return this.#isOpen && !this.#closeSent;
  }

  #receive(bytes: Buffer, inbound: Inbound | undefined): void {
    if (this.#eofReceived) throw new ProtocolError('The peer sent data behind the end of a channel.');
    this.#window.received(bytes.length);
    inbound?.deliver(bytes);
    this.#grant();
  }

  #grant(): void {
    if (!this.#maySend() || this.#eofReceived) return;
    const bytes = this.#window.grant(this.#inbound.heldBytes + (this.#stderrInbound?.heldBytes ?? 0));
    if (bytes > 0) this.#send(message.channelWindowAdjust, (writer) => writer.uint32(bytes));
  }

  #endOfData(): void {
    this.#eofReceived = true;
    this.#inbound.end();
    this.#stderrInbound?.end();
  }

  #endOfMessages(): void {
    this.#isOver = true;
    this.#requests.close();
    const closed = new ChannelError('closed', 'The channel was closed before the request was answered.');
    for (const settle of this.#replies.splice(0)) settle(closed);
    if (!this.#eofReceived) this.#endOfData();
  }

  /** Nothing more can be sent, and nothing will come; what came is still to be read. */
  #leaveToReader(): void {
    const { channel } = this;
    if (this.#closeWhenFlushed || channel.readableEnded) channel.destroy();
    else channel.once('end', () => channel.destroy());
    // Where nobody reads there is nothing to wait for: a program that is over wants no input, nothing can be lost.
    const isUnwanted = this.#stderrDirection === 'writes' || this.#inbound.heldBytes === 0;
    if (channel.readableFlowing === null && isUnwanted) channel.resume();
    this.#forgetIfDone();
  }

  #write(chunks: readonly Buffer[], isStderr: boolean, done: (error?: Error | null) => void): void {
    this.#outbound.add(chunks, isStderr, done);
    this.#pump();
  }

  #finish(done: (error?: Error | null) => void): void {
    this.#finishing = done;
    this.#sendEof();
  }

  #pump(limitBytes = Infinity): void {
    let sentBytes = 0;
    // Behind CLOSE nothing is sent; who writes waits until the channel is destroyed.
    while (this.#maySend() && !this.#outbound.isEmpty && this.#sendWindow > 0) {
      if (this.#host.isCongested || sentBytes >= limitBytes) {
        this.#host.waitForDrain(this);
        return;
      }
      const allowedBytes = Math.min(this.#sendWindow, this.#maximumPacketBytes);
      const { payload, dataBytes } = this.#outbound.take(this.#peerNumber, allowedBytes);
      this.#sendWindow -= dataBytes;
      sentBytes += dataBytes;
      this.#host.send(payload);
      this.#outbound.settle();
    }
    this.#sendEof();
  }

  #sendEof(): void {
    const done = this.#finishing;
    if (done === undefined || !this.#isOpen) return;
    if (this.#awaitsStderr && !this.#isOver) return;
    this.#finishing = undefined;
    if (this.#maySend()) this.#send(message.channelEof);
    this.#eofSent = true;
    done();
  }

  #stderrIsDone(): void {
    this.#awaitsStderr = false;
    this.#sendEof();
  }

  #sendClose(): void {
    if (!this.#maySend()) return;
    this.#send(message.channelClose);
    this.#closeSent = true;
    this.#requests.close();
  }

  #destroyed(error: Error | null): void {
    this.#isDestroyed = true;
    if (this.#owesClose) this.#answerClose();
    this.#sendClose();
    this.#inbound.drop();
    const cause = error ?? new ChannelError('closed', 'The channel is closed.');
    this.#outbound.fail(cause);
    this.#stderrWriter?.destroy(error ?? undefined);
    if (this.#stderrInbound?.hasEnded === false) {
      this.#stderrInbound.drop();
      this.stderrReader?.destroy(error ?? undefined);
    }
    this.#window.close();
    this.#forgetIfDone();
  }

  #forgetIfDone(): void {
    if (this.#isDestroyed && this.#isOver) this.#host.forget(this);
  }

  #sendRequest(name: string, wantsReply: boolean, body: Uint8Array): void {
    this.#send(message.channelRequest, (writer) => writer.string(name).boolean(wantsReply).bytes(body));
  }

  #sendReply(isSuccess: boolean): void {
    this.#send(isSuccess ? message.channelSuccess : message.channelFailure);
  }

  #send(number: number, write?: (writer: Writer) => void): void {
    const writer = new Writer().byte(number).uint32(this.#peerNumber);
    write?.(writer);
    this.#host.send(writer.toBuffer());
  }
}
