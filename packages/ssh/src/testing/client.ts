// The client's side of a connection to a real server, as far as tests of the transport need it: one key
// exchange (RFC 4253, section 7) with a chosen cipher and MAC, and then packets with the keys of it.

import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { derivePacketKeys } from '../transport/key-derivation.ts';
import { verify } from '../keys/signature.ts';
import { exchangeHash, startKeyExchange } from '../transport/key-exchange.ts';
import { formatKeyExchangeInit, parseKeyExchangeReply } from '../transport/key-exchange-messages.ts';
import { formatKexInit, mark, parseKexInit } from '../transport/kexinit.ts';
import { message } from '../transport/messages.ts';
import { packetAlgorithm } from '../transport/packet-algorithms.ts';
import type { Opener, PacketProtection, Protector } from '../transport/packet-protection.ts';
import { InputBuffer, clearText } from './input-buffer.ts';

const identification = 'SSH-2.0-Berth_test';

export interface ClientOptions {
  readonly host: string;
  readonly port: number;
  /** `curve25519-sha256` by default. */
  readonly keyExchange?: string;
  readonly cipher: string;
  readonly mac: string;
  readonly isStrict: boolean;
  readonly protection: PacketProtection;
}

export class Client {
  readonly #socket: Socket;
  readonly #input = new InputBuffer();
  #protector: Protector;
  #opener: Opener;

  private constructor(socket: Socket) {
    this.#socket = socket;
    ({ opener: this.#opener, protector: this.#protector } = clearText());
    // Whoever waits for bytes learns of it as an error.
    socket.on('end', () => socket.destroy(new Error('the server ended the connection')));
    socket.on('error', () => {});
  }

  /** Resolves when both sides have sent NEWKEYS. The server's ssh-ed25519 key is taken as it comes,
   * once it has proved to hold it. */
  static async connect(options: ClientOptions): Promise<Client> {
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    await once(socket, 'connect');
    const client = new Client(socket);
    await client.#exchangeKeys(options);
    return client;
  }

  send(payload: Buffer): void {
    this.#socket.write(this.#protector.sealOne(payload));
  }

  receive(): Promise<Buffer> {
    return this.#take((input) => input.takePayload(this.#opener));
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
    this.#protector.close();
    this.#opener.close();
  }

  async #exchangeKeys(options: ClientOptions): Promise<void> {
    const { keyExchange = 'curve25519-sha256', cipher, mac, isStrict, protection } = options;
    this.#socket.write(`${identification}\r\n`);
    const serverIdentification = await this.#take((input) => input.takeIdentification('client'));
    const clientKexInit = formatKexInit({
      keyExchange: [keyExchange, ...(isStrict ? [mark.strictClient] : [])],
      hostKey: ['ssh-ed25519'],
      encryptionClientToServer: [cipher],
      encryptionServerToClient: [cipher],
      macClientToServer: [mac],
      macServerToClient: [mac],
      compressionClientToServer: ['none'],
      compressionServerToClient: ['none'],
    });
    this.send(clientKexInit);
    const serverKexInit = await this.receive();
    const knowsStrict = parseKexInit(serverKexInit).proposal.keyExchange.includes(mark.strictServer);
    const exchange = startKeyExchange(keyExchange);
    this.send(formatKeyExchangeInit(exchange.clientShare));
    const { hostKey, serverShare, signature } = parseKeyExchangeReply(await this.receive());
    const sharedSecret = exchange.sharedSecret(serverShare);
    const { hashName } = exchange;
    const hashed = exchangeHash({
      hashName,
      clientIdentification: identification,
      serverIdentification,
      clientKexInit,
      serverKexInit,
      hostKey,
      clientShare: exchange.clientShare,
      serverShare,
      sharedSecret,
    });
    if (verify('ssh-ed25519', hostKey, hashed, signature) === undefined) {
      throw new Error('the signature over the exchange hash is not good');
    }
    this.send(Buffer.from([message.newKeys]));
    await this.receive();

    const algorithm = packetAlgorithm(cipher, mac);
    const material = { hashName, sharedSecret, exchangeHash: hashed, sessionId: hashed };
    // KEXINIT, the exchange and NEWKEYS were three packets from either side.
    const counter = { sequenceNumber: isStrict && knowsStrict ? 0 : 3 };
    const sealingKeys = derivePacketKeys(material, algorithm, 'clientToServer');
    this.#protector = protection.createProtector(algorithm, sealingKeys, counter);
    const openingKeys = derivePacketKeys(material, algorithm, 'serverToClient');
    this.#opener = protection.createOpener(algorithm, openingKeys, counter);
  }

  async #take<T>(taker: (input: InputBuffer) => T | undefined): Promise<T> {
    for (;;) {
      const taken = taker(this.#input);
      if (taken !== undefined) return taken;
      const [chunk] = (await once(this.#socket, 'data')) as [Buffer];
      this.#input.push(chunk);
    }
  }
}
