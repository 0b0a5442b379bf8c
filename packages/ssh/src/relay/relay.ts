// Joins a client that has logged in to an upstream server where its owner has logged in (RFC 4254). Packets pass in
// the buffer they arrived in: opened, looked at where they must be, sealed for the other leg, written in one call per
// read. Channel numbers need no translation: each number was given by one peer and is used by the other alone.
//
//   client --> transport (server role) --> Leg --> transport (client role) --> upstream, and back the same way
//
// What goes from hop to hop and not through: windows, key exchanges, pings, and the rotation of host keys. Everything
// else passes unless the policy refuses it. All reads of one leg are held up while the other leg's kernel takes
// nothing more.

import {
  announceHostKeys,
  formatBlobs,
  hostKeyProofs,
  proveHostKeys,
  readBlobs,
} from '../connection/host-keys.ts';
import type { SigningKey } from '../keys/signing-key.ts';
import { Reader, Writer } from '../wire.ts';
import { message } from '../transport/messages.ts';
import type { PacketHandler, PacketTransport } from '../transport/packet-transport.ts';
import type { Packets } from '../transport/packets.ts';
import { ProtocolError, type TransportError, disconnectReason } from '../transport/transport-error.ts';
import { ChannelEnd, RelayChannel, type Side, initialWindow } from './relay-channel.ts';
import { WindowBudget } from '../window-budget.ts';

export interface ChannelOpen {
  readonly from: Side;
  /** `session`, `direct-tcpip`, ...; a stranger's word. */
  readonly type: string;
  /** What the type says further (RFC 4254, sections 6.1, 6.3.2, 7.2). Good during the call. */
  readonly details: Buffer;
}

export interface ChannelRequest {
  readonly from: Side;
  readonly channel: RelayChannel;
  /** `pty-req`, `exec`, `subsystem`, ...; a stranger's word. */
  readonly type: string;
  readonly details: Buffer;
}

export interface GlobalRequest {
  readonly from: Side;
  /** `tcpip-forward`, ...; a stranger's word. */
  readonly name: string;
  readonly details: Buffer;
}

/** Called in the turn in which the packet arrives. What is left out lets everything pass. */
export interface RelayPolicy {
  /** Returns a sentence for the peer when the channel may not be opened. */
  refuseChannel?(open: ChannelOpen): string | undefined;
  /** Returns whether the request is answered with failure (in silence where no answer is wanted). */
  refuseRequest?(request: ChannelRequest): boolean;
  /** `pass`, `refuse`, or what follows SSH_MSG_REQUEST_SUCCESS where the relay answers itself. */
  answerGlobalRequest?(request: GlobalRequest): 'pass' | 'refuse' | Buffer;
  /** Both sides have agreed on a channel. */
  opened?(channel: RelayChannel): void;
  closed?(channel: RelayChannel): void;
}

export interface RelayEnd {
  /** Whose connection ended first. */
  readonly by: Side;
  readonly error: TransportError | undefined;
}

export interface RelayOptions {
  readonly policy?: RelayPolicy;
  /** All host keys of the relay itself: the client is told of them, and given proof when it asks. */
  readonly hostKeys?: readonly SigningKey[];
  /** Of the process; 256 MiB in a budget of the package's own when left out. */
  readonly budget?: WindowBudget;
  /** Of one connection, opened by either side; 1000 unless told otherwise. */
  readonly maximumChannels?: number;
}

const defaultBudget = new WindowBudget(256 * 1024 * 1024);
const defaultMaximumChannels = 1000;
/** The transport takes packets of 35,000 bytes; what peers offer is 32 KiB of data. */
const largestDataBytes = 32 * 1024;
const largestWaitingAnswers = 1000;
/** Where a peer asks and does not read the answers, which no window holds back. */
const maximumUnreadBytes = 4 * 1024 * 1024;
const numberOffset = 1;
const resourceShortage = 4;
const administrativelyProhibited = 1;

export class Relay {
  /** Resolves when both connections are over. */
  readonly ended: Promise<RelayEnd>;
  readonly #client: Leg;
  readonly #upstream: Leg;

  /**
   * Both sides have logged in. What came since and was held back passes first.
   *
   * @param client where the person is: a transport in the server's role
   * @param upstream where the environment is: a transport in the client's role
   */
  constructor(client: PacketTransport, upstream: PacketTransport, options: RelayOptions = {}) {
    const { promise, resolve } = Promise.withResolvers<RelayEnd>();
    this.ended = promise;
    const shared = {
      policy: {},
      hostKeys: [],
      budget: defaultBudget,
      maximumChannels: defaultMaximumChannels,
      ...options,
    };
    this.#client = new Leg('client', client, shared, resolve);
    this.#upstream = new Leg('upstream', upstream, shared, resolve);
    this.#client.other = this.#upstream;
    this.#upstream.other = this.#client;
    const { hostKeys } = shared;
    if (hostKeys.length > 0) {
      const blobs = formatBlobs(hostKeys.map(({ publicKey }) => publicKey.blob));
      client.send(
        Buffer.concat([
          new Writer().byte(message.globalRequest).string(announceHostKeys).boolean(false).toBuffer(),
          blobs,
        ]),
      );
    }
    client.handle(this.#client);
    upstream.handle(this.#upstream);
  }

  /** The channels that are open or being opened. */
  get channels(): RelayChannel[] {
    return [...new Set([...this.#client.channels.values(), ...this.#upstream.channels.values()])];
  }

  /** Ends both connections. The sentence is for the client. */
  end(reason: number, sentence: string): void {
    this.#client.transport.disconnect(reason, sentence);
  }
}

/** What comes from one of the two sides. */
class Leg implements PacketHandler {
  readonly side: Side;
  readonly transport: PacketTransport;
  /** By the number that this leg's packets carry. */
  readonly channels = new Map<number, RelayChannel>();
  other!: Leg;
  readonly #options: Required<RelayOptions>;
  readonly #ended: (end: RelayEnd) => void;
  /** Answers to this leg's global requests, as in ChannelEnd. */
  readonly #answers: (Buffer | undefined)[] = [];
  /** Those that data came for in this batch. */
  readonly #touched = new Set<RelayChannel>();
  /** Those whose data for this leg waits for its kernel. */
  readonly #undrained = new Set<RelayChannel>();

  constructor(
    side: Side,
    transport: PacketTransport,
    options: Required<RelayOptions>,
    ended: (end: RelayEnd) => void,
  ) {
    this.side = side;
    this.transport = transport;
    this.#options = options;
    this.#ended = ended;
  }

  batch(bytes: Buffer, packets: Packets): void {
    const { count } = packets;
    for (let index = 0; index < count; index += 1) {
      const payloadBytes = packets.payloadBytes(index);
      if (payloadBytes === 0) continue;
      const start = packets.payloadStart(index);
      const type = bytes[start];
      const passes =
        type === message.channelData
          ? this.#onData(bytes, start, payloadBytes, 9)
          : this.#onOther(type ?? 0, packets.payload(bytes, index), packets.sequenceNumber(index));
      if (!passes) packets.drop(index);
    }
    if (!this.other.transport.sendPackets(bytes, packets)) this.transport.pause();
    // After the packets that passed: what waits is behind them.
    for (const channel of this.#touched) {
      const [from] = this.#ends(channel);
      this.other.#sendWaiting(channel);
      from.grant();
    }
    this.#touched.clear();
  }

  /** Sends to this leg what a channel has for it. */
  #sendWaiting(channel: RelayChannel): void {
    const [to, from] = this.#ends(channel);
    if (to.sendWaiting(from)) this.#undrained.delete(channel);
    else this.#undrained.add(channel);
  }

  /** Sends what the relay answers itself. */
  #reply(payload: Buffer): void {
    if (!this.transport.send(payload) && this.transport.pendingBytes > maximumUnreadBytes) {
      throw new ProtocolError('The peer does not read the answers that it asks for.');
    }
  }

  drained(): void {
    // Each in its turn, so that none is kept waiting by another that always has more.
    for (const channel of this.#undrained) {
      this.#undrained.delete(channel);
      this.#sendWaiting(channel);
      if (this.#undrained.has(channel)) return;
    }
    // This leg's kernel takes more: what comes from the other side may go on.
    this.other.transport.resume();
  }

  closed(error: TransportError | undefined): void {
    for (const channel of new Set([...this.channels.values(), ...this.other.channels.values()])) {
      this.#forget(channel);
    }
    this.#ended({ by: this.side, error });
    this.other.transport.disconnect(
      disconnectReason.byApplication,
      this.side === 'client' ? 'The client has left.' : 'The environment closed the connection.',
    );
  }

  /** Returns whether the packet passes. `dataStart` is where data starts in the payload. */
  #onData(bytes: Buffer, start: number, payloadBytes: number, dataStart: number): boolean {
    const dataBytes = payloadBytes - dataStart;
    if (dataBytes < 0 || bytes.readUInt32BE(start + dataStart - 4) !== dataBytes) {
      throw new ProtocolError('Channel data is not as long as it says.');
    }
    const channel = this.#channel(bytes.readUInt32BE(start + numberOffset));
    const [from, to] = this.#ends(channel);
    if (!channel.isOpen || from.hasSentClose) {
      throw new ProtocolError('Data came for a channel that is not open.');
    }
    from.receive(dataBytes);
    // Nothing is to be said by it, and no window would bound how much of it waits.
    if (to.hasSentClose || dataBytes === 0) return false;
    if (dataBytes > to.maximumPacketBytes)
      throw new ProtocolError('A packet came with more data than allowed.');
    if (this.side === 'upstream' && channel.onOutput !== undefined) {
      channel.onOutput(bytes.subarray(start + dataStart, start + payloadBytes));
    }
    this.#touched.add(channel);
    if (to.mayPass(dataBytes)) {
      from.passed(dataBytes);
      return true;
    }
    to.wait(bytes.subarray(start, start + payloadBytes), dataStart);
    return false;
  }

  #onOther(type: number, payload: Buffer, sequenceNumber: number): boolean {
    switch (type) {
      case message.channelExtendedData:
        return this.#onData(payload, 0, payload.length, 13);
      case message.channelWindowAdjust:
        return this.#onWindowAdjust(payload);
      case message.channelEof:
      case message.channelClose:
        return this.#onEnd(type, payload);
      case message.channelRequest:
        return this.#onRequest(payload);
      case message.channelSuccess:
      case message.channelFailure:
        return this.#onChannelAnswer(payload);
      case message.channelOpen:
        return this.#onOpen(payload);
      case message.channelOpenConfirmation:
        return this.#onConfirmation(payload);
      case message.channelOpenFailure:
        return this.#onOpenFailure(payload);
      case message.globalRequest:
        return this.#onGlobalRequest(payload);
      case message.requestSuccess:
      case message.requestFailure:
        return this.#onGlobalAnswer(payload);
      case message.userauthRequest:
      case message.userauthBanner:
        // Late, and of no meaning any more (RFC 4252, section 5.3).
        return false;
      default:
        this.transport.sendUnimplemented(sequenceNumber);
        return false;
    }
  }

  #channel(number: number): RelayChannel {
    const channel = this.channels.get(number);
    if (channel === undefined) throw new ProtocolError('A message came for a channel that is not there.');
    return channel;
  }

  /** This leg's end and the other one's. */
  #ends(channel: RelayChannel): [from: ChannelEnd, to: ChannelEnd] {
    return this.side === 'client' ? [channel.client, channel.upstream] : [channel.upstream, channel.client];
  }

  /** Reads the channel that a message is for, which must be open. */
  #openChannel(reader: Reader): RelayChannel {
    reader.byte('message number');
    const channel = this.#channel(reader.uint32('recipient channel'));
    const [from] = this.#ends(channel);
    if (!channel.isOpen || from.hasSentClose) {
      throw new ProtocolError('A message came for a channel that is not open.');
    }
    return channel;
  }

  #onWindowAdjust(payload: Buffer): boolean {
    const reader = new Reader(payload);
    const channel = this.#openChannel(reader);
    const [from] = this.#ends(channel);
    const bytes = reader.uint32('bytes to add');
    reader.end('CHANNEL_WINDOW_ADJUST');
    from.widen(bytes);
    this.#sendWaiting(channel);
    return false;
  }

  #onEnd(type: number, payload: Buffer): boolean {
    const reader = new Reader(payload);
    const channel = this.#openChannel(reader);
    reader.end('end of a channel');
    const [from, to] = this.#ends(channel);
    if (type === message.channelEof) {
      if (from.hasSentEof) return false;
      from.hasSentEof = true;
    } else {
      from.hasSentClose = true;
      if (to.hasSentClose) {
        // It is owed a CLOSE too, which stands behind data that it has no window for.
        from.sendWaitingClose();
        this.#forget(channel);
        return true;
      }
    }
    if (!to.hasWaiting) return true;
    to.wait(payload, 0);
    this.#touched.add(channel);
    return false;
  }

  #forget(channel: RelayChannel): void {
    const { client, upstream } = channel;
    const [fromClient, fromUpstream] = this.side === 'client' ? [this, this.other] : [this.other, this];
    // One that was not confirmed has a number on one side only.
    if (fromClient.channels.get(upstream.number) === channel) fromClient.channels.delete(upstream.number);
    if (fromUpstream.channels.get(client.number) === channel) fromUpstream.channels.delete(client.number);
    client.end();
    upstream.end();
    this.#undrained.delete(channel);
    this.other.#undrained.delete(channel);
    if (channel.isOpen) this.#options.policy.closed?.(channel);
    channel.isOpen = false;
  }

  #onRequest(payload: Buffer): boolean {
    const reader = new Reader(payload);
    const channel = this.#openChannel(reader);
    const type = reader.string('request type').toString('latin1');
    const wantsReply = reader.boolean('want reply');
    const [from] = this.#ends(channel);
    const details = reader.bytes(reader.remaining, 'request');
    const isRefused =
      this.#options.policy.refuseRequest?.({ from: this.side, channel, type, details }) === true;
    if (wantsReply) {
      const refusal = new Writer().byte(message.channelFailure).uint32(from.number).toBuffer();
      this.#expectAnswer(from.answers, isRefused ? refusal : undefined);
    }
    return !isRefused;
  }

  #onChannelAnswer(payload: Buffer): boolean {
    const reader = new Reader(payload);
    const [, to] = this.#ends(this.#openChannel(reader));
    reader.end('answer to a request');
    return this.#answer(to.answers, payload);
  }

  /** Notes who answers a request of this leg; `own` is the relay's answer. */
  #expectAnswer(answers: (Buffer | undefined)[], own: Buffer | undefined): void {
    if (own !== undefined && answers.length === 0) {
      this.#reply(own);
      return;
    }
    if (answers.length >= largestWaitingAnswers)
      throw new ProtocolError('Too many requests wait for an answer.');
    answers.push(own);
  }

  /** Passes this leg's answer to the other one, and after it what the relay answers itself. Returns false: it was sent. */
  #answer(answers: (Buffer | undefined)[], payload: Buffer): boolean {
    if (answers.length === 0) throw new ProtocolError('An answer came to no request.');
    answers.shift();
    if (answers[0] === undefined) return true;
    const { transport } = this.other;
    transport.send(payload);
    for (let own = answers[0]; own !== undefined; own = answers[0]) {
      transport.send(own);
      answers.shift();
    }
    return false;
  }

  #onOpen(payload: Buffer): boolean {
    const reader = new Reader(payload);
    reader.byte('message number');
    const type = reader.string('channel type').toString('latin1');
    const number = reader.uint32('sender channel');
    const windowOffset = payload.length - reader.remaining;
    const window = reader.uint32('initial window size');
    const maximumPacketBytes = reader.uint32('maximum packet size');
    const details = reader.bytes(reader.remaining, 'channel details');
    const { policy, maximumChannels, budget } = this.#options;
    // The other side's packets will carry that number.
    if (this.other.channels.has(number))
      throw new ProtocolError('A channel was opened with a number in use.');
    const isFull = this.other.channels.size >= maximumChannels;
    const refusal = isFull
      ? 'Too many channels are open.'
      : policy.refuseChannel?.({ from: this.side, type, details });
    if (refusal !== undefined) {
      this.#reply(
        new Writer()
          .byte(message.channelOpenFailure)
          .uint32(number)
          .uint32(isFull ? resourceShortage : administrativelyProhibited)
          .string(refusal)
          .string('')
          .toBuffer(),
      );
      return false;
    }
    const [client, upstream] = this.side === 'client' ? [this, this.other] : [this.other, this];
    const channel = new RelayChannel(
      type,
      this.side,
      new ChannelEnd(client.transport, budget),
      new ChannelEnd(upstream.transport, budget),
    );
    const [from] = this.#ends(channel);
    this.#begin(from, payload, { number, window, maximumPacketBytes, windowOffset });
    this.other.channels.set(number, channel);
    return true;
  }

  #onConfirmation(payload: Buffer): boolean {
    const reader = new Reader(payload);
    reader.byte('message number');
    const channel = this.#pending(reader);
    const number = reader.uint32('sender channel');
    const windowOffset = payload.length - reader.remaining;
    const window = reader.uint32('initial window size');
    const maximumPacketBytes = reader.uint32('maximum packet size');
    if (this.other.channels.has(number))
      throw new ProtocolError('A channel was confirmed with a number in use.');
    const [from] = this.#ends(channel);
    this.#begin(from, payload, { number, window, maximumPacketBytes, windowOffset });
    this.other.channels.set(number, channel);
    channel.isOpen = true;
    this.#options.policy.opened?.(channel);
    return true;
  }

  /** Notes what this leg's peer offers, and puts in its place what the relay offers to the other one. */
  #begin(
    end: ChannelEnd,
    payload: Buffer,
    offer: { number: number; window: number; maximumPacketBytes: number; windowOffset: number },
  ): void {
    const maximumPacketBytes = Math.min(offer.maximumPacketBytes, largestDataBytes);
    end.begin(offer.number, offer.window, maximumPacketBytes);
    payload.writeUInt32BE(initialWindow, offer.windowOffset);
    payload.writeUInt32BE(maximumPacketBytes, offer.windowOffset + 4);
  }

  #pending(reader: Reader): RelayChannel {
    const channel = this.#channel(reader.uint32('recipient channel'));
    if (channel.isOpen || channel.openedBy === this.side) {
      throw new ProtocolError('An answer came to no opening of a channel.');
    }
    return channel;
  }

  #onOpenFailure(payload: Buffer): boolean {
    const reader = new Reader(payload);
    reader.byte('message number');
    const channel = this.#pending(reader);
    const [, to] = this.#ends(channel);
    this.channels.delete(to.number);
    channel.client.end();
    channel.upstream.end();
    return true;
  }

  #onGlobalRequest(payload: Buffer): boolean {
    const reader = new Reader(payload);
    reader.byte('message number');
    const name = reader.string('request name').toString('latin1');
    const wantsReply = reader.boolean('want reply');
    const details = reader.bytes(reader.remaining, 'request');
    const decision = this.#decide(name, details);
    if (wantsReply) this.#expectAnswer(this.#answers, decision === 'pass' ? undefined : answerOf(decision));
    return decision === 'pass';
  }

  #decide(name: string, details: Buffer): 'pass' | 'refuse' | Buffer {
    const { policy, hostKeys } = this.#options;
    // The upstream's host keys are the relay's to know, and the client's are those of the relay.
    if (name === proveHostKeys && this.side === 'client' && hostKeys.length > 0) {
      const blobs = readBlobs(new Reader(details));
      return hostKeyProofs(hostKeys, this.transport.sessionId, blobs) ?? 'refuse';
    }
    if (name === announceHostKeys || name === proveHostKeys) return 'refuse';
    return policy.answerGlobalRequest?.({ from: this.side, name, details }) ?? 'pass';
  }

  #onGlobalAnswer(payload: Buffer): boolean {
    return this.#answer(this.other.#answers, payload);
  }
}

function answerOf(decision: 'refuse' | Buffer): Buffer {
  return decision === 'refuse'
    ? Buffer.from([message.requestFailure])
    : Buffer.concat([Buffer.from([message.requestSuccess]), decision]);
}
