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
import { quoted } from '../transport/quoted.ts';
import { ProtocolError, type TransportError, disconnectReason } from '../transport/transport-error.ts';
import { WindowBudget } from '../window-budget.ts';
import { type Answerer, ChannelEnd, RelayChannel, type Side, initialWindow } from './relay-channel.ts';
import { type WaitingRoom, largestDataBytes, toldNumber } from './waiting-room.ts';

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
  /** Both sides have agreed on a channel. What `channel.request` sends now comes before all else. */
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
  /**
   * Where the client was while there was no upstream: what it asked for there is asked of the upstream now, and what
   * it was told holds.
   */
  readonly begun?: WaitingRoom;
}

type LegOptions = Required<Omit<RelayOptions, 'begun'>>;

/** Of both legs together. */
interface Counts {
  /** Channels that both sides agreed on, so far. */
  opened: number;
  /** Those of them that are not over. */
  open: number;
}

interface Opening extends ChannelOpen {
  readonly number: number;
  readonly window: number;
  readonly maximumPacketBytes: number;
  /** Where the window stands in the message, and the maximum behind it. */
  readonly windowOffset: number;
}

interface Refusal {
  readonly reason: number;
  readonly sentence: string;
}

const defaultBudget = new WindowBudget(256 * 1024 * 1024);
const defaultMaximumChannels = 1000;
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
  readonly #counts: Counts = { opened: 0, open: 0 };

  /**
   * Both sides have logged in. What came since and was held back passes first.
   *
   * @param client where the person is: a transport in the server's role
   * @param upstream where the environment is: a transport in the client's role
   */
  constructor(client: PacketTransport, upstream: PacketTransport, { begun, ...options }: RelayOptions = {}) {
    const { promise, resolve } = Promise.withResolvers<RelayEnd>();
    this.ended = promise;
    const shared = {
      policy: {},
      hostKeys: [],
      budget: defaultBudget,
      maximumChannels: defaultMaximumChannels,
      ...options,
    };
    this.#client = new Leg('client', client, shared, this.#counts, resolve);
    this.#upstream = new Leg('upstream', upstream, shared, this.#counts, resolve);
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
    if (begun === undefined) client.handle(this.#client);
    else this.#client.begin(begun);
    upstream.handle(this.#upstream);
  }

  /** The channels that are open or being opened. */
  get channels(): RelayChannel[] {
    return [...new Set([...this.#client.channels.values(), ...this.#upstream.channels.values()])];
  }

  /** How many channels there were, with those that are open. */
  get channelsOpened(): number {
    return this.#counts.opened;
  }

  get channelsOpen(): number {
    return this.#counts.open;
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
  readonly #options: LegOptions;
  readonly #counts: Counts;
  readonly #ended: (end: RelayEnd) => void;
  /** Of this leg's global requests, as in ChannelEnd. */
  readonly #answers: Answerer[] = [];
  /** The channel that the client believes to be open, while the upstream has not confirmed it. */
  #begun: { readonly channel: RelayChannel; readonly room: WaitingRoom } | undefined;
  /** Those that data came for in this batch. */
  readonly #touched = new Set<RelayChannel>();
  /** Those whose data for this leg waits for its kernel. */
  readonly #undrained = new Set<RelayChannel>();

  constructor(
    side: Side,
    transport: PacketTransport,
    options: LegOptions,
    counts: Counts,
    ended: (end: RelayEnd) => void,
  ) {
    this.side = side;
    this.transport = transport;
    this.#options = options;
    this.#counts = counts;
    this.#ended = ended;
  }

  /** Asks the upstream for what the client was told in the waiting room, where the client stays until it is so. */
  begin(room: WaitingRoom): void {
    const { opening } = room;
    if (opening === undefined) {
      this.#takeOver(room);
      return;
    }
    this.transport.handle({
      packet: (payload, sequenceNumber) => room.packet(payload, sequenceNumber),
      closed: (error) => {
        room.closed(error);
        this.closed(error);
      },
    });
    const payload = Buffer.from(opening);
    const open = this.#readOpen(payload);
    const refusal = this.#whyNot(open);
    if (refusal !== undefined) {
      room.refuse(refusal.sentence);
      return;
    }
    this.#begun = { channel: this.#create(open, payload), room };
    this.other.transport.send(payload);
  }

  #takeOver(room: WaitingRoom): void {
    this.#begun = undefined;
    this.transport.handle(this, room.leave());
    this.transport.resume();
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
    if (dataBytes > from.toldPacketBytes)
      throw new ProtocolError('A packet came with more data than allowed.');
    if (this.side === 'upstream' && channel.onOutput !== undefined) {
      channel.onOutput(bytes.subarray(start + dataStart, start + payloadBytes));
    }
    this.#touched.add(channel);
    if (dataBytes <= to.maximumPacketBytes && to.mayPass(dataBytes)) {
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
    if (!channel.isOpen) return;
    channel.isOpen = false;
    this.#counts.open -= 1;
    this.#options.policy.closed?.(channel);
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
      const isForTerminal = type === 'pty-req' && channel.type === 'session' && this.side === 'client';
      const answerer = isForTerminal ? 'peer, for a terminal' : 'peer';
      this.#expectAnswer(from.answers, isRefused ? refusal : answerer);
    }
    return !isRefused;
  }

  #onChannelAnswer(payload: Buffer): boolean {
    const reader = new Reader(payload);
    const channel = this.#openChannel(reader);
    const [, to] = this.#ends(channel);
    reader.end('answer to a request');
    if (to.answers[0] === 'peer, for a terminal' && payload[0] === message.channelSuccess) {
      channel.hasTerminal = true;
    }
    return this.#answer(to.answers, payload);
  }

  /** Notes who answers a request of this leg. */
  #expectAnswer(answers: Answerer[], answerer: Answerer): void {
    if (typeof answerer !== 'string' && answers.length === 0) {
      this.#reply(answerer);
      return;
    }
    if (answers.length >= largestWaitingAnswers)
      throw new ProtocolError('Too many requests wait for an answer.');
    answers.push(answerer);
  }

  /** Passes this leg's answer to the other one, and after it what the relay answers itself. Returns false: it was sent. */
  #answer(answers: Answerer[], payload: Buffer): boolean {
    if (answers.length === 0) throw new ProtocolError('An answer came to no request.');
    answers.shift();
    let [next] = answers;
    if (!Buffer.isBuffer(next)) return true;
    const { transport } = this.other;
    transport.send(payload);
    for (; Buffer.isBuffer(next); [next] = answers) {
      transport.send(next);
      answers.shift();
    }
    return false;
  }

  #onOpen(payload: Buffer): boolean {
    const open = this.#readOpen(payload);
    const refusal = this.#whyNot(open);
    if (refusal === undefined) {
      this.#create(open, payload);
      return true;
    }
    this.#reply(
      new Writer()
        .byte(message.channelOpenFailure)
        .uint32(open.number)
        .uint32(refusal.reason)
        .string(refusal.sentence)
        .string('')
        .toBuffer(),
    );
    return false;
  }

  #readOpen(payload: Buffer): Opening {
    const reader = new Reader(payload);
    reader.byte('message number');
    const type = reader.string('channel type').toString('latin1');
    const number = reader.uint32('sender channel');
    const windowOffset = payload.length - reader.remaining;
    const window = reader.uint32('initial window size');
    const maximumPacketBytes = reader.uint32('maximum packet size');
    const details = reader.bytes(reader.remaining, 'channel details');
    return { from: this.side, type, details, number, window, maximumPacketBytes, windowOffset };
  }

  #whyNot(open: Opening): Refusal | undefined {
    const { policy, maximumChannels } = this.#options;
    // The other side's packets will carry that number.
    if (this.other.channels.has(open.number))
      throw new ProtocolError('A channel was opened with a number in use.');
    if (this.other.channels.size >= maximumChannels) {
      return { reason: resourceShortage, sentence: 'Too many channels are open.' };
    }
    const sentence = policy.refuseChannel?.(open);
    return sentence === undefined ? undefined : { reason: administrativelyProhibited, sentence };
  }

  /** The channel, to be asked for with what `payload` is then. */
  #create(open: Opening, payload: Buffer): RelayChannel {
    const { budget } = this.#options;
    const [client, upstream] = this.side === 'client' ? [this, this.other] : [this.other, this];
    const channel = new RelayChannel(
      open.type,
      this.side,
      new ChannelEnd(client.transport, budget),
      new ChannelEnd(upstream.transport, budget),
      (itself) => client.#sendWaiting(itself),
    );
    this.#begin(channel, payload, open);
    this.other.channels.set(open.number, channel);
    return channel;
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
    const begun = this.#begunOf(channel);
    if (begun !== undefined && number !== toldNumber) {
      begun.refuse('The environment numbers its channels in another way than the client was told.');
      return false;
    }
    this.#begin(channel, payload, { number, window, maximumPacketBytes, windowOffset });
    this.other.channels.set(number, channel);
    channel.isOpen = true;
    this.#counts.opened += 1;
    this.#counts.open += 1;
    if (begun !== undefined) {
      channel.client.creditBytes = begun.creditBytes;
      channel.client.toldPacketBytes = largestDataBytes;
    }
    this.#options.policy.opened?.(channel);
    if (begun === undefined) return true;
    // The client was told of it before.
    this.other.#takeOver(begun);
    return false;
  }

  /** Where the client waits that was told that this channel is open. */
  #begunOf(channel: RelayChannel): WaitingRoom | undefined {
    const begun = this.other.#begun;
    return begun?.channel === channel ? begun.room : undefined;
  }

  /** Notes what this leg's peer offers, and puts in its place what the relay offers to the other one. */
  #begin(channel: RelayChannel, payload: Buffer, offer: Omit<Opening, keyof ChannelOpen>): void {
    const [from, to] = this.#ends(channel);
    const maximumPacketBytes = Math.min(offer.maximumPacketBytes, largestDataBytes);
    from.begin(offer.number, offer.window, maximumPacketBytes);
    to.toldPacketBytes = maximumPacketBytes;
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
    const begun = this.#begunOf(channel);
    if (begun !== undefined) {
      reader.uint32('reason');
      const why = reader.string('description').toString('utf8');
      begun.refuse(`The environment did not open the session: ${quoted(why)}.`);
      return false;
    }
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
    if (wantsReply) this.#expectAnswer(this.#answers, decision === 'pass' ? 'peer' : answerOf(decision));
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
