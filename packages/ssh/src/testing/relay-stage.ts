// A relay between two real connections, for its tests: a client's that has logged in, and one to an upstream. Both far
// ends speak the connection layer message by message, so that each test says what is on the wire.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { generateSigningKey } from '../keys/signing-key.ts';
import { Relay, type RelayOptions } from '../relay/relay.ts';
import { message } from '../transport/messages.ts';
import { serverHostKey } from '../transport/host-keys.ts';
import { type RekeyLimits, Transport } from '../transport/transport.ts';
import type { TransportError } from '../transport/transport-error.ts';
import { Reader, Writer } from '../wire.ts';
import { socketPair } from './socket-pair.ts';

const hostKey = serverHostKey(await generateSigningKey('ssh-ed25519'));
export const largeWindow = 64 * 1024 * 1024;
export const packetBytes = 32 * 1024;

/** A far end: what it got waits until it is asked for. */
export class Peer {
  readonly transport: Transport;
  readonly ended: Promise<TransportError | undefined>;
  /** By all WINDOW_ADJUSTs so far. */
  grantedBytes = 0;
  #received: Buffer[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;

  constructor(transport: Transport, ended: Promise<TransportError | undefined>) {
    this.transport = transport;
    this.ended = ended;
    transport.handle({
      packet: (payload) => {
        this.#received.push(Buffer.from(payload));
        if (payload[0] === message.channelWindowAdjust) this.grantedBytes += payload.readUInt32BE(5);
        this.#wake?.();
      },
      closed: () => {
        this.#isOver = true;
        this.#wake?.();
      },
    });
  }

  send(payload: Buffer): void {
    this.transport.send(payload);
  }

  /** The next message that is no WINDOW_ADJUST, or also those. */
  async next({ withAdjusts = false } = {}): Promise<Buffer> {
    for (;;) {
      const payload = this.#received.shift();
      if (payload !== undefined) {
        if (withAdjusts || payload[0] !== message.channelWindowAdjust) return payload;
      } else {
        assert.ok(!this.#isOver, 'the connection is over');
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
  }

  /** What arrived, once an answer to a question asked now has come back. */
  async settled(other: Peer): Promise<Buffer[]> {
    const question = globalRequest(`settled-${randomBytes(4).toString('hex')}@test`, true);
    this.send(question);
    const before: Buffer[] = [];
    for (;;) {
      const asked = await other.next({ withAdjusts: true });
      if (asked.equals(question)) break;
      before.push(asked);
    }
    other.#received.unshift(...before);
    other.send(Buffer.from([message.requestFailure]));
    const got: Buffer[] = [];
    for (;;) {
      const payload = await this.next({ withAdjusts: true });
      if (payload[0] === message.requestFailure) return got;
      got.push(payload);
    }
  }
}

export interface Stage {
  readonly client: Peer;
  readonly upstream: Peer;
  readonly relay: Relay;
}

export interface StageOptions extends RelayOptions {
  readonly clientRekey?: Partial<RekeyLimits>;
  readonly upstreamRekey?: Partial<RekeyLimits>;
  readonly upstreamCipher?: string;
}

/** The four ends of two connections whose keys are exchanged, without anything between them. */
export interface Ends {
  readonly client: Peer;
  readonly front: Transport;
  readonly back: Transport;
  readonly upstream: Peer;
}

export async function ends(
  context: TestContext,
  options: Omit<StageOptions, keyof RelayOptions> = {},
): Promise<Ends> {
  const { clientRekey = {}, upstreamRekey = {}, upstreamCipher = 'aes128-gcm@openssh.com' } = options;
  const [outer, inner] = [await socketPair(), await socketPair()];
  context.after(() => {
    outer.close();
    inner.close();
  });
  const over = [
    Promise.withResolvers<TransportError | undefined>(),
    Promise.withResolvers<TransportError | undefined>(),
  ] as const;
  const serverOptions = { hostKeys: [hostKey], rekey: clientRekey };
  const clientOptions = { whyNotHostKey: () => undefined, algorithms: { cipher: [upstreamCipher] } };
  const front = Transport.server(outer.accepted, serverOptions);
  const client = Transport.client(outer.connected, {
    whyNotHostKey: () => undefined,
    algorithms: { cipher: ['aes128-gcm@openssh.com'] },
    closed: over[0].resolve,
  });
  const back = Transport.client(inner.connected, { ...clientOptions, rekey: upstreamRekey });
  const upstream = Transport.server(inner.accepted, { hostKeys: [hostKey], closed: over[1].resolve });
  await Promise.all([front, back, client, upstream].map(({ established }) => established));
  return {
    ...{ front, back },
    client: new Peer(client, over[0].promise),
    upstream: new Peer(upstream, over[1].promise),
  };
}

export async function stage(context: TestContext, options: StageOptions = {}): Promise<Stage> {
  const { client, front, back, upstream } = await ends(context, options);
  return { client, upstream, relay: new Relay(front, back, options) };
}

// ---- messages

export function globalRequest(name: string, wantsReply: boolean): Buffer {
  return new Writer().byte(message.globalRequest).string(name).boolean(wantsReply).toBuffer();
}

export function open(number: number, window: number, type = 'session', packet = packetBytes): Buffer {
  return new Writer()
    .byte(message.channelOpen)
    .string(type)
    .uint32(number)
    .uint32(window)
    .uint32(packet)
    .toBuffer();
}

export function confirmation(recipient: number, number: number, window: number): Buffer {
  return new Writer()
    .byte(message.channelOpenConfirmation)
    .uint32(recipient)
    .uint32(number)
    .uint32(window)
    .uint32(packetBytes)
    .toBuffer();
}

export function data(recipient: number, bytes: Uint8Array): Buffer {
  return new Writer().byte(message.channelData).uint32(recipient).string(bytes).toBuffer();
}

export function extendedData(recipient: number, bytes: Uint8Array): Buffer {
  return new Writer().byte(message.channelExtendedData).uint32(recipient).uint32(1).string(bytes).toBuffer();
}

export function adjust(recipient: number, bytes: number): Buffer {
  return new Writer().byte(message.channelWindowAdjust).uint32(recipient).uint32(bytes).toBuffer();
}

export function ofChannel(type: number, recipient: number): Buffer {
  return new Writer().byte(type).uint32(recipient).toBuffer();
}

export function request(recipient: number, type: string, wantsReply: boolean): Buffer {
  return new Writer()
    .byte(message.channelRequest)
    .uint32(recipient)
    .string(type)
    .boolean(wantsReply)
    .toBuffer();
}

export function bytesOf(payload: Buffer): Buffer {
  const reader = new Reader(payload);
  const type = reader.byte('message number');
  reader.uint32('recipient');
  if (type === message.channelExtendedData) reader.uint32('type');
  else assert.equal(type, message.channelData);
  return reader.string('data');
}

/** A channel from client number `c` to upstream number `u`, opened by the client. */
export async function openChannel(
  { client, upstream }: Stage,
  { c = 0, u = 0, clientWindow = largeWindow, upstreamWindow = largeWindow } = {},
): Promise<void> {
  client.send(open(c, clientWindow));
  await upstream.next();
  upstream.send(confirmation(c, u, upstreamWindow));
  await client.next();
}
