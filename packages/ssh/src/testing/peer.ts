// A small SSH server for tests, which does what a script tells it, right or wrong. Each test writes its
// server's side of the conversation (RFC 4253) step by step, so that a misbehaviour is one line of the
// test. Listens on a port that the system chooses.

import { type KeyObject, sign } from 'node:crypto';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { ed25519Blob } from '../keys/private-key.ts';
import { answerKeyExchange, exchangeHash } from '../transport/key-exchange.ts';
import { formatKeyExchangeReply, parseKeyExchangeInit } from '../transport/key-exchange-messages.ts';
import { type Proposal, formatKexInit } from '../transport/kexinit.ts';
import { Writer } from '../wire.ts';
import { InputBuffer, clearText } from './input-buffer.ts';

export const peerProposal: Proposal = {
  keyExchange: ['curve25519-sha256'],
  hostKey: ['ssh-ed25519'],
  encryptionClientToServer: ['aes128-ctr'],
  encryptionServerToClient: ['aes128-ctr'],
  macClientToServer: ['hmac-sha2-256'],
  macServerToClient: ['hmac-sha2-256'],
  compressionClientToServer: ['none'],
  compressionServerToClient: ['none'],
};

export interface ReplyOptions {
  readonly key: KeyObject;
  /** `curve25519-sha256` by default. */
  readonly keyExchange?: string;
  readonly hostKey?: Buffer;
  readonly changeShare?: (share: Buffer) => Buffer;
  readonly changeSignature?: (signature: Buffer) => Buffer;
}

export class PeerConnection {
  readonly socket: Socket;
  readonly #input = new InputBuffer();
  readonly #clearText = clearText();
  #wake: () => void = () => {};
  #clientLine = '';
  #serverLine = '';
  #clientKexInit: Buffer = Buffer.alloc(0);
  #serverKexInit: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#input.push(chunk);
      this.#wake();
    });
    socket.on('close', () => this.#wake());
    socket.on('error', () => {});
  }

  async identify(line = 'SSH-2.0-Peer_1.0\r\n'): Promise<void> {
    this.#serverLine = line.trim();
    this.socket.write(line);
    this.#clientLine = await this.#take((input) => input.takeIdentification('server'));
  }

  async exchangeKexInit(proposal: Proposal = peerProposal, firstKexPacketFollows = false): Promise<void> {
    this.#serverKexInit = formatKexInit(proposal, { firstKexPacketFollows });
    this.send(this.#serverKexInit);
    this.#clientKexInit = await this.receive();
  }

  async reply(options: ReplyOptions): Promise<void> {
    const { key, hostKey = ed25519Blob(key), changeShare, changeSignature } = options;
    const clientShare = parseKeyExchangeInit(await this.receive());
    const { hashName, serverShare, sharedSecret } = answerKeyExchange(
      options.keyExchange ?? 'curve25519-sha256',
      clientShare,
    );
    const hashed = exchangeHash({
      hashName,
      clientIdentification: this.#clientLine,
      serverIdentification: this.#serverLine,
      clientKexInit: this.#clientKexInit,
      serverKexInit: this.#serverKexInit,
      hostKey,
      clientShare,
      serverShare,
      sharedSecret,
    });
    const signature = sign(null, hashed, key);
    this.send(
      formatKeyExchangeReply({
        hostKey,
        serverShare: changeShare?.(serverShare) ?? serverShare,
        signature: new Writer()
          .string('ssh-ed25519')
          .string(changeSignature?.(signature) ?? signature)
          .toBuffer(),
      }),
    );
  }

  newKeys(): void {
    this.send(Buffer.from([21]));
  }

  send(payload: Buffer): void {
    this.socket.write(this.#clearText.protector.sealOne(payload));
  }

  receive(): Promise<Buffer> {
    return this.#take((input) => input.takePayload(this.#clearText.opener));
  }

  async #take<T>(taker: (input: InputBuffer) => T | undefined): Promise<T> {
    for (;;) {
      const taken = taker(this.#input);
      if (taken !== undefined) return taken;
      if (this.socket.destroyed) throw new ClientLeft();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

class ClientLeft extends Error {}

export interface Peer {
  readonly host: string;
  readonly port: number;
  /** Resolves when no connection is left, with what the scripts threw. */
  readonly stop: () => Promise<void>;
}

/** Runs `script` for each connection. What it throws, other than that the client left, `stop` throws. */
export async function startPeer(script: (connection: PeerConnection) => Promise<void> | void): Promise<Peer> {
  const failures: unknown[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    const connection = new PeerConnection(socket);
    Promise.resolve(connection)
      .then(script)
      .catch((error: unknown) => {
        if (!(error instanceof ClientLeft)) failures.push(error);
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      if (failures.length > 0) throw failures[0];
    },
  };
}
