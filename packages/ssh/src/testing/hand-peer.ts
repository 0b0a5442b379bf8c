// Either side of a connection by hand: each line, packet and key exchange (RFC 4253) is a step that a test takes, in
// the right order or in a wrong one. What it sends is in clear text until it is told to use its keys.

import type { Socket } from 'node:net';
import { generateSigningKey } from '../keys/signing-key.ts';
import { defaultAlgorithms, marks, proposalOf } from '../transport/algorithms.ts';
import { type Beginning, ClientHandshake, type Outcome, answerHandshake } from '../transport/handshake.ts';
import { serverHostKey } from '../transport/host-keys.ts';
import { type Proposal, formatKexInit, negotiate, parseKexInit } from '../transport/kexinit.ts';
import { message } from '../transport/messages.ts';
import type { Opener, Protector } from '../transport/packet-protection.ts';
import { nodeProtection } from '../transport/packet-protection-node.ts';
import type { Role } from '../transport/packet-transport.ts';
import { InputBuffer, clearText } from './input-buffer.ts';

export const testHostKey = serverHostKey(await generateSigningKey('ssh-ed25519'));

const identification = 'SSH-2.0-Hand_1.0';

export interface KexInitOptions {
  /** Whether it says that a guess follows. */
  readonly follows?: boolean;
  readonly change?: Partial<Proposal>;
}

export class HandPeer {
  readonly socket: Socket;
  readonly role: Role;
  readonly isStrict: boolean;
  /** Resolves when the other side has closed. */
  readonly closed: Promise<void>;
  /** Set to write what is sent in one piece later (`flush`). */
  isGathering = false;
  /** The last one that was sent. */
  ownKexInit: Buffer = Buffer.alloc(0);
  readonly #input = new InputBuffer();
  readonly #gathered: Buffer[] = [];
  #wake: () => void = () => {};
  #isClosed = false;
  #sendsUnderKeys = false;
  #receivesUnderKeys = false;
  #protector: Protector = clearText().protector;
  #opener: Opener = clearText().opener;
  #remoteLine = '';
  #remoteKexInit: Buffer = Buffer.alloc(0);
  #handshake: ClientHandshake | undefined;
  #outcome: Outcome | undefined;
  #sessionId: Buffer | undefined;

  constructor(socket: Socket, role: Role, { isStrict = true } = {}) {
    this.socket = socket;
    this.role = role;
    this.isStrict = isStrict;
    socket.on('data', (chunk: Buffer) => {
      this.#input.push(chunk);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      const over = (): void => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      };
      socket.once('end', over);
      socket.once('close', over);
    });
    socket.on('error', () => {});
  }

  // ---- bytes

  write(bytes: Uint8Array | string): void {
    if (this.isGathering) this.#gathered.push(Buffer.from(bytes as string));
    else this.socket.write(bytes);
  }

  /** All that was gathered, in one piece or in pieces of `bytes`. */
  async flush(bytes = Infinity): Promise<void> {
    const all = Buffer.concat(this.#gathered.splice(0));
    for (let at = 0; at < all.length && !this.socket.destroyed; at += bytes) {
      const piece = all.subarray(at, at + bytes);
      await new Promise<unknown>((resolve) => this.socket.write(piece, resolve));
      // So that each piece is a segment, and read by itself.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  seal(payload: Uint8Array): Buffer {
    return this.#protector.sealOne(payload);
  }

  send(...payloads: readonly (Uint8Array | readonly number[])[]): void {
    for (const payload of payloads) this.write(this.seal(Buffer.from(payload)));
  }

  /** The next payload; undefined when the other side has closed. */
  async receive(): Promise<Buffer | undefined> {
    await this.receiveIdentification();
    const payload = await this.#take((input) => input.takePayload(this.#opener));
    if (payload?.[0] === message.newKeys) {
      const { algorithm, keys } = this.#directionKeys(this.role === 'client' ? 'server' : 'client');
      const sequenceNumber = this.isStrict ? 0 : this.#opener.sequenceNumber;
      this.#opener = nodeProtection.createOpener(algorithm, keys, { sequenceNumber });
      this.#receivesUnderKeys = true;
    }
    return payload;
  }

  /** The next payload with that message number; undefined when the other side closes before. */
  async receiveNumber(number: number): Promise<Buffer | undefined> {
    for (;;) {
      const payload = await this.receive();
      if (payload === undefined || payload[0] === number) return payload;
    }
  }

  /** The reason code of the DISCONNECT that comes; undefined when the other side closes without. */
  async disconnected(): Promise<{ reason: number; description: string } | undefined> {
    const payload = await this.receiveNumber(message.disconnect);
    if (payload === undefined) return undefined;
    const length = payload.readUInt32BE(5);
    return { reason: payload.readUInt32BE(1), description: payload.toString('utf8', 9, 9 + length) };
  }

  // ---- steps

  identify(): void {
    this.write(`${identification}\r\n`);
  }

  async receiveIdentification(): Promise<void> {
    if (this.#remoteLine !== '') return;
    this.#remoteLine = (await this.#take((input) => input.takeIdentification(this.role))) ?? '';
  }

  sendKexInit({ follows = false, change = {} }: KexInitOptions = {}): void {
    const isFirst = this.#sessionId === undefined;
    const algorithms = { ...defaultAlgorithms, hostKey: ['ssh-ed25519'] };
    const proposal = { ...proposalOf(algorithms, this.role, isFirst), ...change };
    const { strict } = marks[this.role];
    const keyExchange = proposal.keyExchange.filter((name) => this.isStrict || name !== strict);
    this.ownKexInit = formatKexInit({ ...proposal, keyExchange }, { firstKexPacketFollows: follows });
    this.send(this.ownKexInit);
  }

  /** Returns false when the other side closed instead. */
  async receiveKexInit(): Promise<boolean> {
    const payload = await this.receiveNumber(message.kexInit);
    if (payload !== undefined) this.#remoteKexInit = payload;
    return payload !== undefined;
  }

  /** A client's part between KEXINIT and the server's reply. */
  sendShare(): void {
    this.send(this.shareMessage());
  }

  shareMessage(): Buffer {
    this.#handshake = new ClientHandshake(this.#beginning());
    return this.#handshake.message;
  }

  /** Whether what it sends and what it gets is under keys. */
  get hasKeys(): boolean {
    return this.#sendsUnderKeys && this.#receivesUnderKeys;
  }

  /** A client's. */
  async receiveReply(): Promise<void> {
    const reply = await this.receiveNumber(message.kexEcdhReply);
    if (reply !== undefined) this.#outcome = this.#handshake?.finish(reply, () => undefined);
  }

  /** A server's. */
  async answerShare(): Promise<void> {
    const share = await this.receiveNumber(message.kexEcdhInit);
    if (share === undefined) return;
    const { reply, outcome } = answerHandshake(this.#beginning(), testHostKey, share);
    this.#outcome = outcome;
    this.send(reply);
  }

  /** Sends NEWKEYS, and all that follows under them. */
  sendNewKeys(): void {
    this.send([message.newKeys]);
    const { algorithm, keys } = this.#directionKeys(this.role);
    const sequenceNumber = this.isStrict ? 0 : this.#protector.sequenceNumber;
    this.#protector = nodeProtection.createProtector(algorithm, keys, { sequenceNumber });
    this.#sendsUnderKeys = true;
  }

  /** Opens all that follows with the new keys. */
  async receiveNewKeys(): Promise<void> {
    await this.receiveNumber(message.newKeys);
  }

  /** A whole key exchange, the first with the identifications. */
  async exchangeKeys(): Promise<void> {
    if (this.#sessionId === undefined) this.identify();
    await this.exchangeKeysAfterIdentification();
  }

  async exchangeKeysAfterIdentification(): Promise<void> {
    await this.receiveIdentification();
    this.sendKexInit();
    await this.receiveKexInit();
    await this.finishExchange();
  }

  /** What is left of it after the KEXINITs. */
  async finishExchange(): Promise<void> {
    if (this.role === 'client') {
      this.sendShare();
      await this.receiveReply();
    } else {
      await this.answerShare();
    }
    this.sendNewKeys();
    await this.receiveNewKeys();
  }

  #directionKeys(sender: Role) {
    const outcome = this.#outcome;
    if (outcome === undefined) throw new Error('the other side closed before there were keys');
    this.#sessionId ??= outcome.exchangeHash;
    const { clientToServer, serverToClient } = outcome.keys(this.#sessionId);
    return sender === 'client' ? clientToServer : serverToClient;
  }

  #beginning(): Beginning {
    const [own, remote] = [this.ownKexInit, this.#remoteKexInit];
    const [clientKexInit, serverKexInit] = this.role === 'client' ? [own, remote] : [remote, own];
    const negotiated = negotiate(parseKexInit(clientKexInit).proposal, parseKexInit(serverKexInit).proposal);
    if ('missing' in negotiated) throw new Error(`nothing in common: ${negotiated.missing}`);
    const isClient = this.role === 'client';
    return {
      clientIdentification: isClient ? identification : this.#remoteLine,
      serverIdentification: isClient ? this.#remoteLine : identification,
      ...{ clientKexInit, serverKexInit, negotiated },
    };
  }

  async #take<T>(taker: (input: InputBuffer) => T | undefined): Promise<T | undefined> {
    for (;;) {
      const taken = taker(this.#input);
      if (taken !== undefined) return taken;
      if (this.#isClosed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
