// The connection protocol (RFC 4254) on a transport whose peer is authenticated, for both roles: many channels and
// some requests over one connection. It decides nothing: whether a session, a forwarded connection or a listening
// port is granted, its handlers say. Composed by server.ts and client.ts.

import type { SigningKey } from '../keys/signing-key.ts';
import { message } from '../transport/messages.ts';
import type { PacketHandler, PacketTransport } from '../transport/packet-transport.ts';
import { ProtocolError, TransportError, disconnectReason } from '../transport/transport-error.ts';
import { Reader, WireError, Writer } from '../wire.ts';
import type { Channel } from './channel.ts';
import { ChannelEndpoint, type ChannelHost, type PeerEnd, type StderrDirection } from './channel-endpoint.ts';
import { ChannelError, ChannelOpenError, openFailureReason } from './channel-error.ts';
import {
  type Forward,
  type Place,
  comesFrom,
  formatForward,
  formatPlace,
  isForwardType,
  openerOf,
  parseForward,
  readTcpPlace,
} from './forwarding.ts';
import {
  announceHostKeys,
  areHostKeysProven,
  formatBlobs,
  hostKeyProofs,
  proveHostKeys,
  readBlobs,
} from './host-keys.ts';
import { maximumDataBytes } from './outbound.ts';
import { type Answer, RequestQueue, RequestQuota } from './request-queue.ts';
import { Session, type SessionHandler } from './session.ts';
import { ClientSession } from './session-client.ts';
import { type WindowOptions, defaultWindow } from './window.ts';

export interface ConnectionHandlers {
  /**
   * The client opens a session: what answers its requests. Refused when it throws ChannelOpenError, or is missing.
   * `session` may be used at once; what is written before this resolves waits.
   */
  session?(session: Session): Answer<SessionHandler>;
  /**
   * The peer opens a channel for a connection to be forwarded. It is confirmed when this returns or resolves, refused
   * when it throws: with the reason of a ChannelOpenError, or as a connection that failed. On a client only what was
   * asked for comes here. `join` carries the data.
   */
  forward?(forward: Forward, channel: Channel): Answer<void>;
  /**
   * The client asks the server to listen there. Returns the place where it listens: with the port that was chosen
   * when 0 was asked for. undefined refuses. Each connection is forwarded with `Connection.open`.
   */
  listen?(place: Place): Answer<Place | undefined>;
  /** The client asks no longer to listen there. Returns whether it did. */
  unlisten?(place: Place): Answer;
  /** The server says which host keys it has; `Connection.proveHostKeys` asks for proof. */
  hostKeys?(blobs: readonly Buffer[]): void;
  /** What a handler threw, other than ChannelOpenError. The request was refused. */
  failed?(error: unknown): void;
  /** The connection is over, and with it all channels; undefined when the peer closed it in good order. */
  closed?(error: TransportError | undefined): void;
}

export interface ConnectionOptions {
  /** 256 KiB to start with and 2 MiB at most, within 512 MiB of the process, unless told otherwise. */
  readonly windows?: WindowOptions;
  /** Open channels, and those that wait for their handler, together; 1000 unless told otherwise. */
  readonly maximumChannels?: number;
  /** Channels of the peer that wait for their handler; 256 unless told otherwise. */
  readonly maximumPendingOpens?: number;
  /** Off unless told otherwise. Asks the peer for a sign of life, and ends the connection when `maximumUnanswered` were not answered. */
  readonly keepalive?: { readonly intervalMs: number; readonly maximumUnanswered: number };
}

// A peer that asks and does not read the answers is not read from until it does.
const maximumPendingBytes = 4 * 1024 * 1024;

export class Connection implements PacketHandler {
  readonly transport: PacketTransport;
  readonly #handlers: ConnectionHandlers;
  readonly #maximumChannels: number;
  readonly #maximumPendingOpens: number;
  readonly #host: ChannelHost;
  readonly #endpoints = new Set<ChannelEndpoint>();
  readonly #byNumber: (ChannelEndpoint | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  readonly #waiting = new Set<ChannelEndpoint>();
  readonly #requests: RequestQueue<Buffer>;
  readonly #replies: ((payload: Buffer | undefined | Error) => void)[] = [];
  readonly #keepaliveTimer: NodeJS.Timeout | undefined;
  #isCongested = false;
  #isPaused = false;
  #pendingOpens = 0;
  #unanswered = 0;
  #endedBecause: TransportError | undefined;

  /** Server: keys that were announced. Client: what the server may open channels for. */
  #hostKeys: readonly SigningKey[] = [];
  #allowsSessions = true;
  readonly #places: Place[] = [];
  readonly #asked = new Set<string>();

  /** `transport.handle(connection)` starts it. */
  constructor(
    transport: PacketTransport,
    handlers: ConnectionHandlers = {},
    options: ConnectionOptions = {},
  ) {
    const { windows = defaultWindow, maximumChannels = 1000, maximumPendingOpens = 256, keepalive } = options;
    this.transport = transport;
    this.#handlers = handlers;
    this.#maximumChannels = maximumChannels;
    this.#maximumPendingOpens = maximumPendingOpens;
    const quota = new RequestQuota();
    const failed = (error: unknown): void => this.#handlers.failed?.(error);
    this.#requests = new RequestQueue(quota, failed);
    const isCongested = (): boolean => this.#isCongested;
    this.#host = {
      ...{ windows, quota, failed },
      get isCongested() {
        return isCongested();
      },
      send: (payload) => this.#send(payload),
      waitForDrain: (endpoint) => void this.#waiting.add(endpoint),
      numberIsFree: ({ number }) => {
        this.#byNumber[number] = undefined;
        this.#freeNumbers.push(number);
      },
      forget: (endpoint) => {
        this.#endpoints.delete(endpoint);
        this.#waiting.delete(endpoint);
      },
    };
    if (keepalive !== undefined) {
      this.#keepaliveTimer = setInterval(() => {
        if (this.#unanswered >= keepalive.maximumUnanswered) {
          const seconds = (keepalive.intervalMs * keepalive.maximumUnanswered) / 1000;
          this.disconnect(
            `The peer has not answered for ${seconds} seconds.`,
            disconnectReason.connectionLost,
          );
          return;
        }
        this.#unanswered += 1;
        this.keepalive().catch(() => {});
      }, keepalive.intervalMs);
      this.#keepaliveTimer.unref();
    }
  }

  /** How many channels there are, also those of which something is still to be read. */
  get channelCount(): number {
    return this.#endpoints.size;
  }

  /** Client: opens a session. Rejects with ChannelOpenError, or why the connection ended. */
  async session(): Promise<ClientSession> {
    const endpoint = this.#create('session', 'reads');
    const session = new ClientSession(endpoint, (type) => this.#asked.add(type));
    await this.#open(endpoint, Buffer.alloc(0));
    return session;
  }

  /** Opens a channel for a connection to be forwarded. Rejects with ChannelOpenError, or why the connection ended. */
  async open(forward: Forward): Promise<Channel> {
    const endpoint = this.#create(forward.type, 'none');
    await this.#open(endpoint, formatForward(forward));
    return endpoint.channel;
  }

  /**
   * Client: has the server listen; ConnectionHandlers.forward is asked for each connection that comes. Resolves with
   * the place where it listens, which tells the port when 0 was asked for. Rejects with ChannelError when refused.
   */
  listen(place: Place): Promise<Place> {
    const name = 'path' in place ? 'streamlocal-forward@openssh.com' : 'tcpip-forward';
    return this.#request(name, formatPlace(place), (payload) => {
      const port = 'port' in place && place.port === 0 ? new Reader(payload).uint32('port') : undefined;
      const actual = port === undefined ? place : { ...place, port };
      // Before this resolves: a connection may be in the very next packet.
      this.#places.push(actual);
      return actual;
    });
  }

  /** Client: ends a `listen`, by the place that it resolved with. */
  async unlisten(place: Place): Promise<void> {
    const name = 'path' in place ? 'cancel-streamlocal-forward@openssh.com' : 'cancel-tcpip-forward';
    await this.#request(name, formatPlace(place), () => {
      const wanted = formatPlace(place);
      const index = this.#places.findIndex((known) => formatPlace(known).equals(wanted));
      if (index >= 0) this.#places.splice(index, 1);
    });
  }

  /** Resolves when the peer answered, whatever it said. */
  keepalive(): Promise<void> {
    return this.#request('keepalive@openssh.com', Buffer.alloc(0), () => {}).catch((error: unknown) => {
      if (!(error instanceof ChannelError)) throw error;
    });
  }

  /** Client: the server is to end the connection if another session is opened. */
  noMoreSessions(): void {
    this.#sendGlobalRequest('no-more-sessions@openssh.com', false, Buffer.alloc(0));
  }

  /** Server, once the client is authenticated: tells it of all host keys, and proves them when it asks. */
  announceHostKeys(keys: readonly SigningKey[]): void {
    this.#hostKeys = keys;
    const blobs = keys.map(({ publicKey }) => publicKey.blob);
    this.#sendGlobalRequest(announceHostKeys, false, formatBlobs(blobs));
  }

  /** Client: resolves with whether the server proved to hold the private keys to all of `blobs`. */
  async proveHostKeys(blobs: readonly Buffer[]): Promise<boolean> {
    try {
      return await this.#request(proveHostKeys, formatBlobs(blobs), (proofs) =>
        areHostKeysProven(proofs, this.transport.sessionId, blobs),
      );
    } catch (error) {
      if (error instanceof ChannelError) return false;
      throw error;
    }
  }

  /** Ends the connection. `description` is for a person. */
  disconnect(description: string, reason: number = disconnectReason.byApplication): void {
    this.transport.disconnect(reason, description);
  }

  // PacketHandler

  packet(payload: Buffer, sequenceNumber: number): void {
    switch (payload[0]) {
      case message.channelData:
        this.#channelOf(payload).data(dataOf(payload, 5));
        break;
      case message.channelExtendedData: {
        const endpoint = this.#channelOf(payload);
        const data = dataOf(payload, 9);
        endpoint.extendedData(payload.readUInt32BE(5), data);
        break;
      }
      case message.channelWindowAdjust:
        this.#channelOf(payload).windowAdjust(wordAt(payload, 5));
        break;
      case message.channelEof:
        this.#channelOf(payload).eof();
        break;
      case message.channelClose:
        this.#channelOf(payload).close();
        break;
      case message.channelRequest:
        this.#channelOf(payload).requested(payload.subarray(5));
        break;
      case message.channelSuccess:
      case message.channelFailure:
        this.#channelOf(payload).replied(payload[0] === message.channelSuccess);
        break;
      case message.channelOpen:
        this.#opened(new Reader(payload.subarray(1)));
        break;
      case message.channelOpenConfirmation: {
        const reader = new Reader(payload.subarray(1));
        this.#openingOf(reader).open(readPeerEnd(reader));
        break;
      }
      case message.channelOpenFailure:
        this.#refused(new Reader(payload.subarray(1)));
        break;
      case message.globalRequest:
        this.#requested(payload);
        break;
      case message.requestSuccess:
      case message.requestFailure:
        this.#replied(payload);
        break;
      case message.userauthRequest:
        // RFC 4252, section 5.1: silently ignored once one has succeeded.
        if (this.transport.role === 'client') this.transport.sendUnimplemented(sequenceNumber);
        break;
      default:
        this.transport.sendUnimplemented(sequenceNumber);
    }
  }

  drained(): void {
    this.#isCongested = false;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.transport.resume();
    }
    // Each in its turn, so that none is kept waiting by another that always has more.
    for (const endpoint of this.#waiting) {
      if (this.#isCongested) return;
      this.#waiting.delete(endpoint);
      endpoint.drained();
    }
  }

  closed(error: TransportError | undefined): void {
    clearInterval(this.#keepaliveTimer);
    const cause = error ?? new TransportError('lost', 'The peer ended the connection.');
    this.#endedBecause = cause;
    this.#requests.close();
    for (const settle of this.#replies.splice(0)) settle(cause);
    for (const endpoint of [...this.#endpoints]) endpoint.connectionClosed(cause);
    this.#handlers.closed?.(error);
  }

  #send(payload: Uint8Array): void {
    if (this.#endedBecause !== undefined || this.transport.send(payload)) return;
    this.#isCongested = true;
    if (!this.#isPaused && this.transport.pendingBytes > maximumPendingBytes) {
      this.#isPaused = true;
      this.transport.pause();
    }
  }

  // Channels

  #create(type: string, stderr: StderrDirection): ChannelEndpoint {
    const number = this.#freeNumbers.pop() ?? this.#byNumber.length;
    const endpoint = new ChannelEndpoint(this.#host, number, type, stderr);
    this.#byNumber[number] = endpoint;
    this.#endpoints.add(endpoint);
    return endpoint;
  }

  async #open(endpoint: ChannelEndpoint, body: Buffer): Promise<void> {
    if (this.#endedBecause !== undefined) {
      endpoint.connectionClosed(this.#endedBecause);
    } else {
      const writer = new Writer().byte(message.channelOpen).string(endpoint.channel.type);
      this.#send(writer.bytes(formatEnd(endpoint)).bytes(body).toBuffer());
    }
    await endpoint.opened;
  }

  #channelOf(payload: Buffer): ChannelEndpoint {
    const number = wordAt(payload, 1);
    const endpoint = this.#byNumber[number];
    if (endpoint?.isOpen !== true)
      throw new ProtocolError(`The peer speaks of a channel ${number} that is not open.`);
    return endpoint;
  }

  /** A channel that this side opens, and that the peer now answers. */
  #openingOf(reader: Reader): ChannelEndpoint {
    const number = reader.uint32('recipient channel');
    const endpoint = this.#byNumber[number];
    if (endpoint === undefined || endpoint.isOpen || endpoint.isOpenedByPeer) {
      throw new ProtocolError(`The peer answers for a channel ${number} that is not being opened.`);
    }
    return endpoint;
  }

  #refused(reader: Reader): void {
    const endpoint = this.#openingOf(reader);
    const reason = reader.uint32('reason');
    const description = reader.string('description').toString();
    endpoint.refuse(new ChannelOpenError(reason, description));
  }

  #opened(reader: Reader): void {
    const type = reader.string('channel type').toString('latin1');
    const peer = readPeerEnd(reader);
    const refuse = (error: ChannelOpenError): void => this.#sendRefusal(peer.number, error);
    if (type === 'session' && !this.#allowsSessions) {
      throw new ProtocolError('The client opens a session after it said that it would not.');
    }
    const prepare = this.#prepare(type, reader);
    if (prepare instanceof ChannelOpenError) {
      refuse(prepare);
    } else if (
      this.#endpoints.size >= this.#maximumChannels ||
      this.#pendingOpens >= this.#maximumPendingOpens
    ) {
      refuse(new ChannelOpenError(openFailureReason.resourceShortage, 'Too many channels are open.'));
    } else {
      const endpoint = this.#create(type, type === 'session' ? 'writes' : 'none');
      endpoint.isOpenedByPeer = true;
      this.#settleOpen(endpoint, peer, () => prepare(endpoint));
    }
  }

  /** What asks the owner for this channel, or why there is nobody to ask. Throws WireError. */
  #prepare(type: string, reader: Reader): ((endpoint: ChannelEndpoint) => Answer<void>) | ChannelOpenError {
    const { role } = this.transport;
    if (type === 'session' && role === 'server') {
      reader.end('channel open');
      return (endpoint) => this.#acceptSession(endpoint);
    }
    if (!isForwardType(type) || openerOf(type) === role) {
      return new ChannelOpenError(
        openFailureReason.unknownChannelType,
        'Channels of this type are not opened here.',
      );
    }
    const forward = parseForward(type, reader);
    if (role === 'client' && !this.#isAskedFor(forward)) {
      return new ChannelOpenError(openFailureReason.administrativelyProhibited, 'This was not asked for.');
    }
    return (endpoint) => {
      if (this.#handlers.forward === undefined) throw notAllowed('Forwarding is not allowed.');
      return this.#handlers.forward(forward, endpoint.channel);
    };
  }

  #isAskedFor(forward: Forward): boolean {
    return this.#asked.has(forward.type) || this.#places.some((place) => comesFrom(forward, place));
  }

  #acceptSession(endpoint: ChannelEndpoint): Answer<void> {
    if (this.#handlers.session === undefined) throw notAllowed('Sessions are not allowed.');
    const session = new Session(endpoint);
    const handler = this.#handlers.session(session);
    if (handler instanceof Promise) return handler.then((settled) => session.handle(settled));
    session.handle(handler);
  }

  #settleOpen(endpoint: ChannelEndpoint, peer: PeerEnd, ask: () => Answer<void>): void {
    const accept = (): void => this.#accept(endpoint, peer);
    const refuse = (error: unknown): void => this.#refuse(endpoint, peer, error);
    let answer: Answer<void>;
    try {
      answer = ask();
    } catch (error) {
      refuse(error);
      return;
    }
    if (!(answer instanceof Promise)) {
      accept();
      return;
    }
    this.#pendingOpens += 1;
    void answer.then(accept, refuse).finally(() => {
      this.#pendingOpens -= 1;
    });
  }

  #accept(endpoint: ChannelEndpoint, peer: PeerEnd): void {
    if (this.#endedBecause !== undefined) return;
    if (endpoint.channel.destroyed) {
      this.#refuse(
        endpoint,
        peer,
        new ChannelOpenError(openFailureReason.connectFailed, 'The connection broke.'),
      );
      return;
    }
    const writer = new Writer().byte(message.channelOpenConfirmation).uint32(peer.number);
    this.#send(writer.bytes(formatEnd(endpoint)).toBuffer());
    endpoint.open(peer);
  }

  #refuse(endpoint: ChannelEndpoint, peer: PeerEnd, thrown: unknown): void {
    const isRefusal = thrown instanceof ChannelOpenError;
    if (!isRefusal) this.#handlers.failed?.(thrown);
    if (this.#endedBecause !== undefined) return;
    const error = isRefusal
      ? thrown
      : new ChannelOpenError(openFailureReason.connectFailed, 'The channel could not be opened.');
    this.#sendRefusal(peer.number, error);
    endpoint.refuse(error);
  }

  #sendRefusal(peerNumber: number, { reason, message: description }: ChannelOpenError): void {
    const writer = new Writer().byte(message.channelOpenFailure).uint32(peerNumber).uint32(reason);
    this.#send(writer.string(description).string('').toBuffer());
  }

  // Global requests

  /** `read` is called as soon as the peer said that the request succeeded, before the next packet. */
  #request<T>(name: string, body: Buffer, read: (payload: Buffer) => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.#endedBecause !== undefined) {
      reject(this.#endedBecause);
      return promise;
    }
    this.#replies.push((reply) => {
      if (reply instanceof Error) {
        reject(reply);
      } else if (reply === undefined) {
        reject(new ChannelError('refused', `The peer refused the request ${name}.`));
      } else {
        try {
          resolve(read(reply));
        } catch (error) {
          reject(error);
          throw error;
        }
      }
    });
    this.#sendGlobalRequest(name, true, body);
    return promise;
  }

  #sendGlobalRequest(name: string, wantsReply: boolean, body: Buffer): void {
    const writer = new Writer().byte(message.globalRequest).string(name).boolean(wantsReply);
    this.#send(writer.bytes(body).toBuffer());
  }

  #replied(payload: Buffer): void {
    const settle = this.#replies.shift();
    if (settle === undefined) throw new ProtocolError('The peer answered a request that was not made.');
    this.#unanswered = 0;
    settle(payload[0] === message.requestSuccess ? payload.subarray(1) : undefined);
  }

  #requested(payload: Buffer): void {
    const reader = new Reader(payload.subarray(1));
    const name = reader.string('request').toString('latin1');
    const wantsReply = reader.boolean('want reply');
    const run = this.#parseRequest(name, reader);
    this.#requests.add(payload.length, run, (answer) => {
      if (!wantsReply) return;
      const number = answer === undefined ? message.requestFailure : message.requestSuccess;
      this.#send(
        new Writer()
          .byte(number)
          .bytes(answer ?? nothing)
          .toBuffer(),
      );
    });
  }

  /** What answers the request: undefined for failure. Throws WireError. */
  #parseRequest(name: string, reader: Reader): () => Answer<Buffer | undefined> {
    const { role } = this.transport;
    if (role === 'client') {
      if (name !== announceHostKeys) return () => undefined;
      const blobs = readBlobs(reader);
      return () => {
        this.#handlers.hostKeys?.(blobs);
        return nothing;
      };
    }
    switch (name) {
      case 'tcpip-forward':
      case 'cancel-tcpip-forward': {
        const place = readTcpPlace(reader);
        reader.end(name);
        return () => (name === 'tcpip-forward' ? this.#listen(place) : this.#unlisten(place));
      }
      case 'streamlocal-forward@openssh.com':
      case 'cancel-streamlocal-forward@openssh.com': {
        const place = { path: reader.text('socket path') };
        reader.end(name);
        return () => (name.startsWith('cancel') ? this.#unlisten(place) : this.#listen(place));
      }
      case 'no-more-sessions@openssh.com':
        this.#allowsSessions = false;
        return () => nothing;
      case proveHostKeys: {
        const blobs = readBlobs(reader);
        return () => hostKeyProofs(this.#hostKeys, this.transport.sessionId, blobs);
      }
      default:
        return () => undefined;
    }
  }

  async #listen(place: Place): Promise<Buffer | undefined> {
    const actual = await this.#handlers.listen?.(place);
    if (actual === undefined) return undefined;
    const tellsPort = 'port' in place && place.port === 0 && 'port' in actual;
    return tellsPort ? new Writer().uint32(actual.port).toBuffer() : nothing;
  }

  async #unlisten(place: Place): Promise<Buffer | undefined> {
    return (await this.#handlers.unlisten?.(place)) === true ? nothing : undefined;
  }
}

const nothing = Buffer.alloc(0);

function notAllowed(sentence: string): ChannelOpenError {
  return new ChannelOpenError(openFailureReason.administrativelyProhibited, sentence);
}

/** The number, window and maximum of this side. */
function formatEnd(endpoint: ChannelEndpoint): Buffer {
  return new Writer()
    .uint32(endpoint.number)
    .uint32(endpoint.windowBytes)
    .uint32(maximumDataBytes)
    .toBuffer();
}

function readPeerEnd(reader: Reader): PeerEnd {
  const number = reader.uint32('sender channel');
  const windowBytes = reader.uint32('initial window size');
  const maximumPacketBytes = reader.uint32('maximum packet size');
  if (maximumPacketBytes === 0) throw new ProtocolError('The peer takes no data on a channel.');
  return { number, windowBytes, maximumPacketBytes };
}

// Data passes here without a Reader: it is most of what is received.

function wordAt(payload: Buffer, offset: number): number {
  if (payload.length < offset + 4) throw new WireError('channel message', offset, 'truncated', 'too short');
  return payload.readUInt32BE(offset);
}

/** The string at `offset`, which is the last of the message. */
function dataOf(payload: Buffer, offset: number): Buffer {
  const length = wordAt(payload, offset);
  if (length !== payload.length - offset - 4) {
    throw new WireError('data', offset, 'malformed', 'not as long as it says');
  }
  return payload.subarray(offset + 4);
}
