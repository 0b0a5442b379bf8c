// The transport layer (RFC 4253), either role: identification, key exchanges whenever one is due, packets in both
// directions, and the end. Everything happens in the turn in which bytes arrive or are sent; nothing waits but for the
// peer. What stands on it (packet-transport.ts) sees payloads.
//
//   identification --> exchanging keys --> open <--> exchanging keys again
//          |                  |              |              |
//          +------------------+--> closed <--+--------------+
//
// Strict key exchange (OpenSSH's PROTOCOL, section 1.9) holds whenever both sides know it: then nothing but the key
// exchange may come before the first NEWKEYS, and sequence numbers start anew at each.

import type { Socket } from 'node:net';
import { KeyError } from '../keys/key-error.ts';
import { Reader, WireError, Writer } from '../wire.ts';
import {
  type Algorithms,
  defaultAlgorithms,
  marks,
  proposalOf,
  userSignatureAlgorithms as allSignatureAlgorithms,
} from './algorithms.ts';
import { ByteStream } from './byte-stream.ts';
import { ClientHandshake, type DirectionKeys, type Outcome, answerHandshake } from './handshake.ts';
import type { ServerHostKey } from './host-keys.ts';
import { IdentificationReader, notSsh } from './identification.ts';
import { packetProtection } from './implementation.ts';
import {
  type Negotiated,
  type Proposal,
  formatKexInit,
  guessedRight,
  negotiate,
  parseKexInit,
} from './kexinit.ts';
import { message } from './messages.ts';
import { packetAlgorithm } from './packet-algorithms.ts';
import { PacketError } from './packet-error.ts';
import { type Opener, type Protector, payloadOffset } from './packet-protection.ts';
import type { PacketHandler, PacketTransport, Role } from './packet-transport.ts';
import { Packets } from './packets.ts';
import { quoted } from './quoted.ts';
import { reseal } from './reseal.ts';
import { ProtocolError, TransportError, disconnectReason } from './transport-error.ts';

/** When keys are exchanged anew: whatever is reached first, in one direction. */
export interface RekeyLimits {
  /** 1 GiB by default (RFC 4253, section 9), which all ciphers here can bear (RFC 4344, section 3.2). */
  readonly bytes: number;
  /** 2^31 by default, and no more than that should be asked for (RFC 4344, section 3.1). */
  readonly packets: number;
  /** An hour by default; looked at when something is sent or received, so that a silent connection stays silent. */
  readonly ms: number;
}

interface CommonOptions {
  /** What follows `SSH-2.0-`: printable ASCII without spaces or `-`, then perhaps a comment. */
  readonly software?: string;
  readonly algorithms?: Partial<Algorithms>;
  readonly rekey?: Partial<RekeyLimits>;
  /** How long the first key exchange may take. 20 seconds by default. */
  readonly handshakeMs?: number;
  /** How long each later one may take, whoever began it. 120 seconds by default. */
  readonly rekeyMs?: number;
  /** Called once, however the connection ends and whether there was a handler or not. */
  readonly closed?: (error: TransportError | undefined) => void;
}

export interface ServerTransportOptions extends CommonOptions {
  /** At least one; the best first. */
  readonly hostKeys: readonly ServerHostKey[];
  /**
   * For `server-sig-algs` (RFC 8308, section 3.1): all that are known unless told otherwise. Without it a stock client
   * signs with no RSA key.
   */
  readonly userSignatureAlgorithms?: readonly string[];
}

export interface ClientTransportOptions extends CommonOptions {
  /** Says in a sentence why a server's host key is not taken; undefined when it is. Its signature is checked after. */
  readonly whyNotHostKey: (hostKey: Buffer, algorithm: string) => string | undefined;
}

const defaultRekey: RekeyLimits = { bytes: 2 ** 30, packets: 2 ** 31, ms: 3_600_000 };
const defaultHandshakeMs = 20_000;
const defaultRekeyMs = 120_000;
const defaultSoftware = 'Berth';
const clearText = packetAlgorithm('none');
const noKeys = { iv: Buffer.alloc(0), encryptionKey: Buffer.alloc(0), macKey: Buffer.alloc(0) };
/** What waits for the end of a key exchange, above which a writer should wait too. */
const highMark = 128 * 1024;
/** What a peer may send between our KEXINIT and its own while nobody takes it: the windows of some channels. */
const maximumHeldBytes = 16 * 1024 * 1024;
/** Answers to the transport's own messages that a peer asks for and does not read. */
const maximumUnreadAnswerBytes = 256 * 1024;
/**
 * Key exchanges that a peer may start beyond one a second and one for each 256 KiB that it sends. Each costs it
 * nothing and us up to 3 ms (key-exchange.ts); no client in use comes near.
 */
const spareExchanges = 100;
const bytesPerExchange = 256 * 1024;
const msPerExchange = 1000;
/** What a stranger may send before the first keys are in use; OpenSSH needs 3 KiB, the longest two packets 70,000. */
const maximumBytesBeforeKeys = 128 * 1024;

/** All connections of the process take turns with it: nothing waits while it is full. */
const packets = new Packets();
const fromHeld = new Packets(1);

/** What is known of a key exchange while it lasts. */
interface Exchange {
  ownKexInit: Buffer | undefined;
  peerKexInit: Buffer | undefined;
  ignoresNext: boolean;
  client: ClientHandshake | undefined;
  negotiated: Negotiated | undefined;
  /** What the peer's packets are opened with after its NEWKEYS. */
  incoming: DirectionKeys | undefined;
  /** Whether our NEWKEYS was sent. */
  hasSentNewKeys: boolean;
}

export class Transport implements PacketTransport {
  readonly role: Role;
  /** Resolves when the first keys are in use. Rejects with TransportError when the connection ends before. */
  readonly established: Promise<void>;
  readonly extensions = new Map<string, Buffer>();
  readonly #options: ServerTransportOptions | ClientTransportOptions;
  readonly #algorithms: Algorithms;
  readonly #rekey: RekeyLimits;
  readonly #stream: ByteStream;
  readonly #write = (bytes: Buffer, start: number, end: number): void =>
    this.#stream.write(bytes, start, end);
  readonly #ownIdentification: string;
  #identification: IdentificationReader | undefined;
  #remoteIdentification = '';
  #opener: Opener;
  #protector: Protector;
  #sessionId: Buffer | undefined;
  #hostKey: Buffer = noKeys.iv;
  #exchange: Exchange | undefined;
  #isStrict = false;
  #knowsExtInfo = false;
  #hasReceived = false;
  /** Whether the first keys are in use in both directions. */
  #isEstablished = false;
  readonly #established: { resolve: () => void; reject: (error: TransportError) => void };
  /** Of the key exchange that is under way, the first from the beginning on. */
  #exchangeTimer: NodeJS.Timeout;
  #handler: PacketHandler | undefined;
  /** Packets that came while nobody took them. */
  #held: { payload: Buffer; sequenceNumber: number }[] = [];
  #heldBytes = 0;
  #isPausedByOwner = false;
  #isReading = false;
  /** Payloads that wait for the end of the key exchange. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #mustDrain = false;
  /** Sealed, and sent when this turn's work is done. */
  #output: Buffer[] = [];
  #outputBytes = 0;
  #isFlushAsked = false;
  /** Of answers to the transport's own messages, since everything was in the kernel. */
  #unreadAnswerBytes = 0;
  /** How many key exchanges the peer started. */
  #peersExchanges = 0;
  readonly #began = performance.now();
  #extensionBytes = 0;
  /** Under keys that are not in use any more. */
  #receivedBytesBefore = 0;
  #receivedBytes = 0;
  #sentBytes = 0;
  #receivedPackets = 0;
  #sentPackets = 0;
  #keysSince = 0;
  #error: TransportError | undefined;
  #isOver = false;

  private constructor(socket: Socket, role: Role, options: ServerTransportOptions | ClientTransportOptions) {
    this.role = role;
    this.#options = options;
    this.#algorithms = { ...defaultAlgorithms, ...options.algorithms };
    if ('hostKeys' in options) {
      const hostKey = options.hostKeys.flatMap((key) => key.algorithms);
      if (hostKey.length === 0) throw new TypeError('a server needs a host key');
      this.#algorithms = { ...this.#algorithms, hostKey };
    }
    this.#rekey = { ...defaultRekey, ...options.rekey };
    this.#ownIdentification = `SSH-2.0-${options.software ?? defaultSoftware}`;
    this.#identification = new IdentificationReader(role);
    this.#opener = packetProtection.createOpener(clearText, noKeys);
    this.#protector = packetProtection.createProtector(clearText, noKeys);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.established = promise;
    // Who does not ask learns by `closed`.
    promise.catch(() => {});
    this.#established = { resolve, reject };
    const { handshakeMs = defaultHandshakeMs } = options;
    this.#exchangeTimer = setTimeout(() => {
      const said = this.#identification?.said;
      const late = new TransportError('limit', `No key exchange within ${handshakeMs / 1000} s.`);
      this.#fail(said === undefined ? late : notSsh(said));
    }, handshakeMs);
    this.#stream = new ByteStream(socket, {
      read: (bytes, start, end) => this.#read(bytes, start, end),
      drained: () => this.#drained(),
      closed: (error) => this.#closed(error),
    });
    this.#output.push(Buffer.from(`${this.#ownIdentification}\r\n`));
    this.#startExchange();
    this.#flush();
  }

  /** The server's side of a connected socket, which is the transport's from here on. */
  static server(socket: Socket, options: ServerTransportOptions): Transport {
    return new Transport(socket, 'server', options);
  }

  /** The client's side of a connected socket, which is the transport's from here on. */
  static client(socket: Socket, options: ClientTransportOptions): Transport {
    return new Transport(socket, 'client', options);
  }

  get sessionId(): Buffer {
    if (this.#sessionId === undefined) throw new TypeError('no key exchange yet');
    return this.#sessionId;
  }

  get hostKey(): Buffer {
    return this.#hostKey;
  }

  get remoteIdentification(): string {
    return this.#remoteIdentification;
  }

  /** Of the last key exchange. */
  negotiated: Negotiated | undefined;

  get pendingBytes(): number {
    return this.#stream.pendingBytes + this.#waitingBytes + this.#outputBytes;
  }

  /** What came from the peer, in bytes of the TCP (or Unix) connection: with both identifications and all key exchanges. */
  get receivedBytes(): number {
    return this.#stream.receivedBytes;
  }

  /** The same for what the kernel took to be sent. */
  get sentBytes(): number {
    return this.#stream.sentBytes;
  }

  /**
   * Resolves when the socket is closed too, a second after `closed` at the latest. Until then the last words may still
   * be sent, and what a peer sends that does not read them is counted.
   */
  get finished(): Promise<void> {
    return this.#stream.finished;
  }

  get #isClient(): boolean {
    return this.role === 'client';
  }

  // ---- sending

  send(payload: Uint8Array): boolean {
    if (this.#isOver) return true;
    if (this.#mustWait) {
      this.#wait(Buffer.from(payload));
    } else {
      this.#seal(payload);
      this.#askFlush();
      this.#rekeyWhenDue();
    }
    return this.#isWritable;
  }

  sendPackets(bytes: Buffer, batch: Packets): boolean {
    if (this.#isOver) return true;
    if (this.#mustWait) {
      for (let index = 0; index < batch.count; index += 1) {
        if (batch.payloadBytes(index) > 0) this.#wait(Buffer.from(batch.payload(bytes, index)));
      }
      return this.#isWritable;
    }
    this.#flush();
    const sequenceNumber = this.#protector.sequenceNumber;
    const sealedBytes = reseal(this.#protector, bytes, batch, this.#write);
    if (sealedBytes > 0) {
      this.#count(sealedBytes, (this.#protector.sequenceNumber - sequenceNumber) >>> 0);
      this.#rekeyWhenDue();
    }
    return this.#isWritable;
  }

  sendUnimplemented(sequenceNumber: number): void {
    this.#answer(new Writer().byte(message.unimplemented).uint32(sequenceNumber).toBuffer());
  }

  /** What a peer can ask for without end, and no window holds back. */
  #answer(payload: Buffer): void {
    if (this.pendingBytes === 0) this.#unreadAnswerBytes = 0;
    this.#unreadAnswerBytes += payload.length;
    if (this.#unreadAnswerBytes > maximumUnreadAnswerBytes) {
      this.#fail(new TransportError('limit', 'The peer does not read the answers that it asks for.'));
      return;
    }
    this.send(payload);
  }

  /** Between our KEXINIT and our NEWKEYS nothing else may be sent (RFC 4253, section 7.1). */
  get #mustWait(): boolean {
    return this.#exchange?.ownKexInit !== undefined && !this.#exchange.hasSentNewKeys;
  }

  get #isWritable(): boolean {
    const isWritable = this.#stream.isWritable && this.#waitingBytes <= highMark;
    if (!isWritable) this.#mustDrain = true;
    return isWritable;
  }

  #wait(payload: Buffer): void {
    this.#waiting.push(payload);
    this.#waitingBytes += payload.length;
  }

  #seal(payload: Uint8Array): void {
    const sealed = this.#protector.sealOne(payload);
    this.#count(sealed.length, 1);
    this.#output.push(sealed);
    this.#outputBytes += sealed.length;
  }

  #count(bytes: number, count: number): void {
    this.#sentBytes += bytes;
    this.#sentPackets += count;
  }

  /** What is sent in one turn goes in one write. */
  #askFlush(): void {
    if (this.#isReading || this.#isFlushAsked) return;
    this.#isFlushAsked = true;
    queueMicrotask(() => {
      this.#isFlushAsked = false;
      this.#flush();
    });
  }

  #flush(): void {
    const [first] = this.#output;
    if (first === undefined) return;
    const bytes = this.#output.length === 1 ? first : Buffer.concat(this.#output);
    this.#output = [];
    this.#outputBytes = 0;
    this.#stream.write(bytes);
  }

  #drained(): void {
    if (!this.#mustDrain || this.#waitingBytes > 0) return;
    this.#mustDrain = false;
    this.#handler?.drained?.();
  }

  // ---- the handler

  handle(handler: PacketHandler, first: readonly Buffer[] = []): void {
    if (this.#isOver) {
      setImmediate(() => handler.closed(this.#error));
      return;
    }
    this.#handler = handler;
    // What was answered with SSH_MSG_UNIMPLEMENTED is not among them.
    this.#held.unshift(...first.map((payload) => ({ payload, sequenceNumber: 0 })));
    for (const payload of first) this.#heldBytes += payload.length;
    if (this.#held.length > 0) setImmediate(() => this.#giveHeld());
    else this.#readOn();
  }

  hold(): void {
    this.#handler = undefined;
  }

  pause(): void {
    this.#isPausedByOwner = true;
    // A key exchange must go on: what is to be sent waits for it, perhaps on both sides of a relay.
    if (this.#exchange === undefined) this.#stream.pause();
  }

  resume(): void {
    this.#isPausedByOwner = false;
    if (this.#held.length > 0) setImmediate(() => this.#giveHeld());
    else this.#readOn();
  }

  #readOn(): void {
    if (!this.#isPausedByOwner && !this.#isOver) this.#stream.resume();
  }

  /** What waited comes first, and in its order. */
  #giveHeld(): void {
    while (this.#held.length > 0 && this.#handler !== undefined && !this.#isPausedByOwner) {
      const next = this.#held.shift();
      if (next === undefined) break;
      this.#heldBytes -= next.payload.length;
      const handler = this.#handler;
      this.#guard(() => {
        if (handler.batch === undefined) {
          handler.packet?.(next.payload, next.sequenceNumber);
          return;
        }
        const bytes = Buffer.concat([Buffer.alloc(payloadOffset), next.payload]);
        fromHeld.clear();
        fromHeld.add(payloadOffset, next.payload.length);
        handler.batch(bytes, fromHeld);
      });
    }
    if (this.#held.length === 0 && this.#handler !== undefined) this.#readOn();
  }

  // ---- the end

  disconnect(reason: number, description: string): void {
    if (this.#isOver) return;
    this.#error ??= new TransportError('ended', description, reason);
    this.#sayGoodbye(reason, description);
  }

  #fail(error: TransportError): void {
    if (this.#isOver) return;
    this.#error ??= error;
    this.#sayGoodbye(error.reason, error.message);
  }

  #sayGoodbye(reason: number, description: string): void {
    // Before the first line is through, the peer would not know a packet for one.
    if (this.#identification === undefined) {
      const goodbye = new Writer().byte(message.disconnect).uint32(reason).string(description).string('');
      this.#seal(goodbye.toBuffer());
    }
    this.#end();
  }

  #end(): void {
    this.#flush();
    this.#stream.end();
    this.#closed(undefined);
  }

  #closed(error: Error | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#exchangeTimer);
    if (this.#error === undefined && error !== undefined) {
      const sentence = `The connection broke: ${error.message}.`;
      this.#error = new TransportError('lost', sentence, disconnectReason.connectionLost, { cause: error });
    }
    if (this.#error === undefined && !this.#isEstablished) this.#error = this.#closedEarly();
    const reason = this.#error;
    if (reason !== undefined) this.#established.reject(reason);
    this.#opener.close();
    this.#protector.close();
    this.#exchange = undefined;
    this.#waiting = [];
    this.#held = [];
    this.#output = [];
    this.#handler?.closed(reason);
    this.#handler = undefined;
    this.#options.closed?.(reason);
  }

  /** What it means that the peer closed the connection before there were keys. */
  #closedEarly(): TransportError {
    const said = this.#identification?.said;
    if (said === undefined) {
      const peer = this.#isClient ? 'server' : 'client';
      const when =
        this.#identification === undefined ? 'in the middle of the key exchange' : 'before it said anything';
      return new TransportError('lost', `The ${peer} closed the connection ${when}.`);
    }
    // OpenSSH's own words when it is busy or has had enough of an address: it will be there again.
    if (/^(?:Exceeded MaxStartups|Not allowed at this time)/.test(said)) {
      return new TransportError('lost', `The SSH server closed the connection, saying ${quoted(said)}.`);
    }
    return notSsh(said);
  }

  /** What a peer sends may be wrong anywhere: that ends its connection, and nothing else. */
  #guard(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.#fail(asTransportError(error));
      return false;
    }
  }

  // ---- receiving

  #read(bytes: Buffer, start: number, end: number): number {
    if (this.#isOver) return end;
    let at = start;
    const wasEstablished = this.#isEstablished;
    this.#isReading = true;
    try {
      this.#guard(() => {
        at = this.#readIdentification(bytes, start, end);
        if (this.#identification === undefined) at = this.#readPackets(bytes, at, end);
      });
    } finally {
      this.#isReading = false;
    }
    if (this.#isOver) return end;
    // Who waits for the first keys has something to send, which goes in the same write.
    if (this.#isEstablished === wasEstablished) this.#flush();
    else setImmediate(() => this.#flush());
    return at;
  }

  #readIdentification(bytes: Buffer, start: number, end: number): number {
    const reader = this.#identification;
    if (reader === undefined) return start;
    const next = reader.read(bytes, start, end);
    if (reader.identification === undefined) return next;
    this.#remoteIdentification = reader.identification;
    this.#identification = undefined;
    return next;
  }

  #readPackets(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && !this.#isOver && !this.#mustHoldBytes) {
      // Packets after NEWKEYS are for another opener, and there may be more than `packets` holds.
      let failure: unknown;
      const before = at;
      try {
        at = this.#opener.open(bytes, at, end, packets);
      } catch (error) {
        failure = error;
      }
      if (packets.count > 0) {
        this.#receivedBytes += at - before;
        this.#receivedPackets += packets.count;
        this.#checkBytesBeforeKeys();
        this.#take(bytes);
      }
      if (failure !== undefined) throw failure;
      if (packets.stopped === 'partial') break;
    }
    this.#rekeyWhenDue();
    return at;
  }

  #checkBytesBeforeKeys(): void {
    if (!this.#isEstablished && this.#receivedBytes > maximumBytesBeforeKeys) {
      throw new ProtocolError(`More than ${maximumBytesBeforeKeys} bytes came before there were keys.`);
    }
  }

  /** Nobody takes packets: what is not opened yet stays in the stream. */
  get #mustHoldBytes(): boolean {
    const mustHold = this.#held.length > 0 && this.#exchange === undefined;
    if (mustHold) this.#stream.pause();
    return mustHold;
  }

  /** Takes the transport's own messages out of `packets`, and gives the handler the others. */
  #take(bytes: Buffer): void {
    let hasBatch = false;
    const { count } = packets;
    for (let index = 0; index < count; index += 1) {
      const start = packets.payloadStart(index);
      const type = bytes[start] ?? 0;
      if (isOwn(type)) {
        const payload = packets.payload(bytes, index);
        const sequenceNumber = packets.sequenceNumber(index);
        packets.drop(index);
        if (type === message.disconnect) {
          // What came before it is still to be delivered.
          for (let later = index + 1; later < count; later += 1) packets.drop(later);
          if (hasBatch) this.#handler?.batch?.(bytes, packets);
          this.#onDisconnect(payload);
          return;
        }
        this.#onOwn(type, payload, sequenceNumber);
        if (this.#isOver) return;
        continue;
      }
      this.#checkOrder();
      const handler = this.#handler;
      const mustWait = this.#isPausedByOwner && this.#exchange !== undefined;
      if (handler === undefined || mustWait || this.#held.length > 0) {
        this.#hold(Buffer.from(packets.payload(bytes, index)), packets.sequenceNumber(index));
        packets.drop(index);
      } else if (handler.batch !== undefined) {
        hasBatch = true;
      } else {
        const payload = packets.payload(bytes, index);
        const sequenceNumber = packets.sequenceNumber(index);
        packets.drop(index);
        handler.packet?.(payload, sequenceNumber);
        if (this.#isOver) return;
      }
    }
    if (hasBatch) this.#handler?.batch?.(bytes, packets);
  }

  #hold(payload: Buffer, sequenceNumber: number): void {
    this.#held.push({ payload, sequenceNumber });
    this.#heldBytes += payload.length;
    if (this.#heldBytes > maximumHeldBytes) {
      throw new TransportError('limit', 'The peer does not answer a key exchange, and sends on and on.');
    }
  }

  /** After its KEXINIT a peer sends nothing but the key exchange until its NEWKEYS (RFC 4253, section 7.1). */
  #checkOrder(): void {
    if (this.#sessionId === undefined) throw new ProtocolError('A message came before keys were exchanged.');
    if (this.#exchange?.peerKexInit !== undefined) {
      throw new ProtocolError('A message came in the middle of a key exchange.');
    }
  }

  #onOwn(type: number, payload: Buffer, sequenceNumber: number): void {
    const isFirst = !this.#hasReceived;
    this.#hasReceived = true;
    switch (type) {
      case message.kexInit:
        this.#onKexInit(Buffer.from(payload), isFirst);
        return;
      case message.newKeys:
        this.#onNewKeys(payload);
        return;
      case message.kexEcdhInit:
      case message.kexEcdhReply:
        this.#onKexMessage(type, payload);
        return;
      case message.ignore:
      case message.debug:
      case message.unimplemented:
        this.#checkNotStrict();
        return;
      case message.extInfo:
        this.#checkOrder();
        this.#onExtInfo(payload);
        return;
      case message.ping:
        this.#checkOrder();
        this.#onPing(payload);
        return;
      case message.pong:
        this.#checkOrder();
        return;
      default:
        // A guess may be of an exchange that is not known here (RFC 4253, section 7.1).
        if (isOfKeyExchange(type) && this.#exchange?.ignoresNext === true) {
          this.#exchange.ignoresNext = false;
          return;
        }
        this.#checkNotStrict();
        this.sendUnimplemented(sequenceNumber);
    }
  }

  #checkNotStrict(): void {
    // Whether it is strict is known with the peer's KEXINIT, which must have been first then.
    if (this.#isStrict && !this.#isEstablished) {
      throw new ProtocolError('A message that is not of the key exchange came in a strict key exchange.');
    }
  }

  #onDisconnect(payload: Buffer): void {
    const reader = new Reader(payload);
    reader.byte('message number');
    const reason = reader.uint32('reason code');
    const description = reader.string('description').toString('utf8');
    const sentence = `The peer ended the connection (${reason}): ${quoted(description)}.`;
    // Somebody who just leaves is nothing to report.
    if (reason !== disconnectReason.byApplication || !this.#isEstablished) {
      this.#error = new TransportError('disconnected', sentence, reason);
    }
    this.#end();
  }

  #onExtInfo(payload: Buffer): void {
    const reader = new Reader(payload);
    reader.byte('message number');
    const count = reader.uint32('number of extensions');
    for (let index = 0; index < count; index += 1) {
      const name = reader.string('extension name').toString('latin1');
      const value = reader.string('extension value');
      this.#extensionBytes += name.length + value.length;
      if (this.#extensionBytes > maximumExtensionBytes) {
        throw new ProtocolError('The peer announces more extensions than anybody has.');
      }
      this.extensions.set(name, Buffer.from(value));
    }
  }

  /** OpenSSH's PROTOCOL, section 1.8: the same data comes back, which hides when somebody types. */
  #onPing(payload: Buffer): void {
    const reader = new Reader(payload);
    reader.byte('message number');
    this.#answer(new Writer().byte(message.pong).string(reader.string('data')).toBuffer());
  }

  // ---- key exchange

  /** Exchanges keys anew now, unless that is under way. */
  rekey(): void {
    if (this.#sessionId !== undefined && this.#exchange === undefined && !this.#isOver) {
      this.#startExchange();
      this.#askFlush();
    }
  }

  #rekeyWhenDue(): void {
    if (this.#exchange !== undefined || this.#sessionId === undefined) return;
    const { bytes, packets: count, ms } = this.#rekey;
    if (
      this.#sentBytes >= bytes ||
      this.#receivedBytes >= bytes ||
      this.#sentPackets >= count ||
      this.#receivedPackets >= count ||
      performance.now() - this.#keysSince >= ms
    ) {
      this.rekey();
    }
  }

  /** A peer that never ends an exchange would keep what is to be sent, and our end of the connection, for ever. */
  #limitExchange(): void {
    const { rekeyMs = defaultRekeyMs } = this.#options;
    this.#exchangeTimer = setTimeout(() => {
      this.#fail(
        new TransportError('limit', `The peer did not finish a key exchange within ${rekeyMs / 1000} s.`),
      );
    }, rekeyMs);
  }

  #startExchange(): Exchange {
    if (this.#exchange === undefined && this.#isEstablished) this.#limitExchange();
    const exchange = (this.#exchange ??= {
      ownKexInit: undefined,
      peerKexInit: undefined,
      ignoresNext: false,
      client: undefined,
      negotiated: undefined,
      incoming: undefined,
      hasSentNewKeys: false,
    });
    if (exchange.ownKexInit === undefined) {
      this.#stream.resume();
      const ownKexInit = formatKexInit(this.#proposal);
      this.#seal(ownKexInit);
      exchange.ownKexInit = ownKexInit;
    }
    return exchange;
  }

  get #proposal(): Proposal {
    return proposalOf(this.#algorithms, this.role, this.#sessionId === undefined);
  }

  #onKexInit(payload: Buffer, isFirstMessage: boolean): void {
    if (this.#exchange === undefined) this.#countPeersExchange();
    const exchange = this.#startExchange();
    if (exchange.peerKexInit !== undefined)
      throw new ProtocolError('A second KEXINIT came in one key exchange.');
    exchange.peerKexInit = payload;
    const { proposal: peer, firstKexPacketFollows } = parseKexInit(payload);
    const own = this.#proposal;
    const [client, server] = this.#isClient ? [own, peer] : [peer, own];
    if (this.#sessionId === undefined) {
      const peerMarks = marks[this.#isClient ? 'server' : 'client'];
      this.#isStrict = peer.keyExchange.includes(peerMarks.strict);
      this.#knowsExtInfo = peer.keyExchange.includes(peerMarks.extInfo);
      if (this.#isStrict && !isFirstMessage) {
        throw new ProtocolError('A message came before KEXINIT in a strict key exchange.');
      }
    }
    const negotiated = negotiate(client, server);
    if ('missing' in negotiated) {
      const { missing } = negotiated;
      throw new TransportError(
        'no_common_algorithm',
        `No common algorithm for ${missing}: the peer offers ${quoted(peer[missing].join(','))}.`,
        disconnectReason.keyExchangeFailed,
      );
    }
    exchange.ignoresNext = firstKexPacketFollows && !guessedRight(client, server);
    exchange.negotiated = negotiated;
    if (this.#isClient) {
      exchange.client = new ClientHandshake(this.#beginning(exchange));
      this.#seal(exchange.client.message);
    }
  }

  #countPeersExchange(): void {
    this.#peersExchanges += 1;
    const receivedBytes = this.#receivedBytesBefore + this.#receivedBytes;
    const passedMs = performance.now() - this.#began;
    const allowed = spareExchanges + passedMs / msPerExchange + receivedBytes / bytesPerExchange;
    if (this.#peersExchanges > allowed) {
      throw new TransportError('limit', 'The peer wants new keys again and again.');
    }
  }

  #beginning({ ownKexInit, peerKexInit, negotiated }: Exchange) {
    if (ownKexInit === undefined || peerKexInit === undefined || negotiated === undefined) {
      throw new ProtocolError('A key exchange message came before KEXINIT.');
    }
    const [own, peer] = [this.#ownIdentification, this.#remoteIdentification];
    return this.#isClient
      ? {
          ...{ clientIdentification: own, serverIdentification: peer },
          ...{ clientKexInit: ownKexInit, serverKexInit: peerKexInit, negotiated },
        }
      : {
          ...{ clientIdentification: peer, serverIdentification: own },
          ...{ clientKexInit: peerKexInit, serverKexInit: ownKexInit, negotiated },
        };
  }

  #onKexMessage(type: number, payload: Buffer): void {
    const exchange = this.#exchange;
    if (exchange?.peerKexInit === undefined || exchange.incoming !== undefined) {
      throw new ProtocolError('A key exchange message came out of its order.');
    }
    if (exchange.ignoresNext) {
      exchange.ignoresNext = false;
      return;
    }
    if (type !== (this.#isClient ? message.kexEcdhReply : message.kexEcdhInit)) {
      throw new ProtocolError('A key exchange message came from the wrong side.');
    }
    if ('whyNotHostKey' in this.#options) {
      const { whyNotHostKey } = this.#options;
      const outcome = exchange.client?.finish(payload, (hostKey, algorithm) => {
        // RFC 4253 lets a server change its key; what was checked once is what counts.
        if (this.#sessionId !== undefined && this.#hostKey.equals(hostKey)) return undefined;
        return whyNotHostKey(hostKey, algorithm);
      });
      if (outcome !== undefined) this.#useKeys(exchange, outcome);
      return;
    }
    const beginning = this.#beginning(exchange);
    const { hostKeys } = this.#options as ServerTransportOptions;
    const hostKey = hostKeys.find((key) => key.algorithms.includes(beginning.negotiated.hostKey));
    if (hostKey === undefined) throw new TypeError('no such host key');
    const { reply, outcome } = answerHandshake(beginning, hostKey, payload);
    this.#seal(reply);
    this.#useKeys(exchange, outcome);
  }

  /** Sends NEWKEYS and seals with the new keys from here on; the peer's packets follow at its own NEWKEYS. */
  #useKeys(exchange: Exchange, outcome: Outcome): void {
    const isFirst = this.#sessionId === undefined;
    const sessionId = (this.#sessionId ??= outcome.exchangeHash);
    if (isFirst) this.#hostKey = outcome.hostKey;
    const { clientToServer, serverToClient } = outcome.keys(sessionId);
    const [outgoing, incoming] = this.#isClient
      ? [clientToServer, serverToClient]
      : [serverToClient, clientToServer];
    this.#seal(Buffer.from([message.newKeys]));
    const old = this.#protector;
    this.#protector = packetProtection.createProtector(outgoing.algorithm, outgoing.keys, {
      sequenceNumber: this.#isStrict ? 0 : old.sequenceNumber,
    });
    old.close();
    this.#sentBytes = 0;
    this.#sentPackets = 0;
    exchange.incoming = incoming;
    exchange.hasSentNewKeys = true;
    this.negotiated = exchange.negotiated;
    // The first message under the first keys, or none (RFC 8308, section 2.4).
    if (isFirst && this.#knowsExtInfo) this.#seal(this.#extInfo());
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const payload of waiting) this.#seal(payload);
  }

  #extInfo(): Buffer {
    const writer = new Writer().byte(message.extInfo);
    if (this.#isClient) return writer.uint32(1).string('ping@openssh.com').string('0').toBuffer();
    const { userSignatureAlgorithms = allSignatureAlgorithms } = this.#options as ServerTransportOptions;
    const extensions: [string, string][] = [
      ['server-sig-algs', userSignatureAlgorithms.join(',')],
      ['ping@openssh.com', '0'],
      ['publickey-hostbound@openssh.com', '0'],
    ];
    writer.uint32(extensions.length);
    for (const [name, value] of extensions) writer.string(name).string(value);
    return writer.toBuffer();
  }

  #onNewKeys(payload: Buffer): void {
    const exchange = this.#exchange;
    if (payload.length !== 1) throw new ProtocolError('A NEWKEYS message holds more than its number.');
    if (exchange?.incoming === undefined) throw new ProtocolError('NEWKEYS came before there were keys.');
    const { algorithm, keys } = exchange.incoming;
    const old = this.#opener;
    this.#opener = packetProtection.createOpener(algorithm, keys, {
      sequenceNumber: this.#isStrict ? 0 : old.sequenceNumber,
    });
    old.close();
    this.#receivedBytesBefore += this.#receivedBytes;
    this.#receivedBytes = 0;
    this.#receivedPackets = 0;
    this.#keysSince = performance.now();
    this.#exchange = undefined;
    clearTimeout(this.#exchangeTimer);
    if (this.#isPausedByOwner) this.#stream.pause();
    if (!this.#isEstablished) {
      this.#isEstablished = true;
      this.#established.resolve();
    }
    // Those who wait for the end of the key exchange alone hear nothing from the stream.
    if (this.#mustDrain && this.#stream.isWritable) setImmediate(() => this.#drained());
  }
}

/** Of names and values together, in a whole connection; OpenSSH's are half a kilobyte. */
const maximumExtensionBytes = 16 * 1024;

/** RFC 4250, section 4.1.1: these mean what the key exchange method says. */
function isOfKeyExchange(type: number): boolean {
  return type >= message.kexEcdhInit && type < message.userauthRequest;
}

/** Below 50 all but the two of services; above, ping and pong, which go from hop to hop. */
function isOwn(type: number): boolean {
  if (type === message.serviceRequest || type === message.serviceAccept) return false;
  return type < message.userauthRequest || type === message.ping || type === message.pong;
}

function asTransportError(error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  if (error instanceof PacketError)
    return new TransportError('protocol', error.message, error.disconnectReason);
  if (error instanceof WireError) return new ProtocolError(`A malformed message came: ${error.message}.`);
  if (error instanceof KeyError) {
    return new TransportError('host_key', error.message, disconnectReason.hostKeyNotVerifiable);
  }
  // A fault of our own: it must not take the process with it, nor be taken for the peer's.
  return new TransportError('internal', 'An internal error.', disconnectReason.byApplication, {
    cause: error,
  });
}
