// What a probe says and understands: the client's half of an SSH handshake up to the server's NEWKEYS
// (RFC 4253, sections 4.2, 7 and 8), as a machine of bytes in and bytes out without sockets or time.
// probe.ts drives it. Nothing is encrypted: the probe ends where encryption would begin, when the server
// has proved with a signature that it holds its host key.
//
// Strict key exchange (OpenSSH's PROTOCOL, section 1.9) is asked for, so that with a server that knows it
// nothing may be slipped in between the messages.

import { fingerprint } from './keys/fingerprint.ts';
import { KeyError } from './keys/key-error.ts';
import { verify } from './keys/signature.ts';
import { parseVerificationKey } from './keys/verification-key.ts';
import { ProbeError, type ProbeErrorCode } from './probe-error.ts';
import { takeLine } from './transport/identification.ts';
import { InputBuffer } from './transport/input-buffer.ts';
import {
  type ClientKeyExchange,
  defaultKeyExchangeNames,
  exchangeHash,
  startKeyExchange,
} from './transport/key-exchange.ts';
import { formatKeyExchangeInit, parseKeyExchangeReply } from './transport/key-exchange-messages.ts';
import {
  type Proposal,
  formatKexInit,
  guessedRight,
  mark,
  negotiate,
  parseKexInit,
} from './transport/kexinit.ts';
import { quoted } from './transport/quoted.ts';
import { message } from './transport/messages.ts';
import { cipherNames, macNames } from './transport/packet-algorithms.ts';
import { disconnectReason } from './transport/transport-error.ts';
import { formatPacket, takePacket } from './transport/packet.ts';
import { Reader, WireError, Writer } from './wire.ts';

export interface HandshakeResult {
  /** The server's whole identification, such as `SSH-2.0-OpenSSH_10.0p2`; printable US-ASCII. */
  readonly serverVersion: string;
  /** The blob of the server's key, which it has proved to hold. */
  readonly hostKey: Buffer;
  /** `SHA256:...` */
  readonly fingerprint: string;
  /** Such as `mlkem768x25519-sha256`. */
  readonly keyExchange: string;
}

const clientIdentification = 'SSH-2.0-Berth_probe';

// What the probe can do. No cipher of these is ever used, but a server goes no further with a client that shares none
// with it.
const proposal = {
  keyExchange: defaultKeyExchangeNames,
  encryptionClientToServer: cipherNames,
  encryptionServerToClient: cipherNames,
  macClientToServer: macNames,
  macServerToClient: macNames,
  compressionClientToServer: ['none'],
  compressionServerToClient: ['none'],
} as const satisfies Omit<Proposal, 'hostKey'>;

// What the server is told when we leave because of it.
const disconnectReasons: Partial<Record<ProbeErrorCode, number>> = {
  protocol: disconnectReason.protocolError,
  no_common_algorithm: disconnectReason.keyExchangeFailed,
  bad_signature: disconnectReason.keyExchangeFailed,
  host_key_mismatch: disconnectReason.hostKeyNotVerifiable,
};

// Lines before the identification, which the RFC does not bound.
const maximumBannerBytes = 16 * 1024;
// OpenSSH needs less than 3 KiB.
const maximumBytes = 256 * 1024;

type Stage = 'identification' | 'kexInit' | 'reply' | 'newKeys' | 'done';

export class ProbeHandshake {
  readonly #expectedHostKey: Buffer | undefined;
  readonly #input = new InputBuffer();
  readonly #proposal: Proposal;
  readonly #clientKexInit: Buffer;
  #stage: Stage = 'identification';
  #receivedBytes = 0;
  #firstLine: string | undefined;
  #serverIdentification = '';
  #serverKexInit: Buffer = Buffer.alloc(0);
  #keyExchangeName = '';
  #hostKeyAlgorithm = '';
  #keyExchange: ClientKeyExchange | undefined;
  #hostKey: Buffer = Buffer.alloc(0);
  #isStrict = false;
  #hasSkipped = false;
  #ignoresNext = false;

  /** Throws KeyError when what is expected is not the blob of a public key. */
  constructor(expectedHostKey: Buffer | undefined) {
    this.#expectedHostKey = expectedHostKey;
    const hostKey =
      expectedHostKey === undefined
        ? ['ssh-ed25519']
        : parseVerificationKey(expectedHostKey).signatureAlgorithms;
    this.#proposal = { ...proposal, hostKey, keyExchange: [...proposal.keyExchange, mark.strictClient] };
    this.#clientKexInit = formatKexInit(this.#proposal);
  }

  /** What to send as soon as the connection stands. */
  start(): Buffer {
    return Buffer.from(`${clientIdentification}\r\n`);
  }

  /** Takes what arrived and returns what to send for it, perhaps nothing. Throws ProbeError. */
  receive(chunk: Uint8Array): Buffer {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > maximumBytes) {
      throw new ProbeError('protocol', `The server sent more than ${maximumBytes} bytes for one handshake.`);
    }
    this.#input.push(chunk);
    const replies: Buffer[] = [];
    try {
      while (this.#stage !== 'done') {
        const reply = this.#stage === 'identification' ? this.#readLine() : this.#readPacket(this.#stage);
        if (reply === undefined) break;
        replies.push(reply);
      }
    } catch (error) {
      if (!(error instanceof WireError || error instanceof KeyError)) throw error;
      throw new ProbeError('protocol', `The server broke the SSH protocol (${error.message}).`, {
        cause: error,
      });
    }
    return Buffer.concat(replies);
  }

  /** There once the server's NEWKEYS followed a signature that holds. */
  get result(): HandshakeResult | undefined {
    if (this.#stage !== 'done') return undefined;
    return {
      serverVersion: this.#serverIdentification,
      hostKey: this.#hostKey,
      fingerprint: fingerprint(this.#hostKey),
      keyExchange: this.#keyExchangeName,
    };
  }

  /** What an end of the connection at this moment means. */
  closed(): ProbeError {
    const said = this.#firstLine ?? this.#input.peek().toString('utf8', 0, 256);
    if (this.#stage !== 'identification' || said === '') {
      return new ProbeError('closed', `The server closed the connection ${this.#when()}.`);
    }
    // OpenSSH's own words when it is busy or has had enough of an address: it will be there again.
    if (/^(?:Exceeded MaxStartups|Not allowed at this time)/.test(said)) {
      return new ProbeError('closed', `The SSH server closed the connection, saying ${quoted(said)}.`);
    }
    return notSsh(said);
  }

  /** What it means that time is up at this moment. */
  timedOut(timeoutMs: number): ProbeError {
    if (this.#stage === 'identification' && this.#firstLine !== undefined) return notSsh(this.#firstLine);
    return new ProbeError('timeout', `The server did not answer within ${timeoutMs} ms, ${this.#when()}.`);
  }

  /** The packet that tells the server why we leave, where it is to be told and it can be in plain text. */
  disconnect(error: ProbeError): Buffer | undefined {
    const reason = disconnectReasons[error.code];
    const isPlain = this.#stage === 'kexInit' || this.#stage === 'reply';
    if (reason === undefined || !isPlain) return undefined;
    const payload = new Writer().byte(message.disconnect).uint32(reason).string(error.code).string('');
    return formatPacket(payload.toBuffer());
  }

  #when(): string {
    if (this.#stage === 'identification') return 'before it said anything';
    return 'in the middle of the key exchange';
  }

  #readLine(): Buffer | undefined {
    const line = takeLine(this.#input);
    const waiting = this.#input.length;
    const isTooMuch = line?.isIdentification !== true && this.#receivedBytes > maximumBannerBytes;
    if (isTooMuch || (line === undefined && this.#input.peek().includes(0))) {
      throw notSsh(this.#firstLine ?? line?.text ?? this.#input.peek().toString('utf8', 0, 256));
    }
    if (line === undefined) return undefined;
    if (!line.isIdentification) {
      this.#firstLine ??= line.text;
      return Buffer.alloc(0);
    }
    // What follows in the same chunk is no longer banner; only the bound on everything counts it.
    this.#receivedBytes = waiting;
    this.#serverIdentification = line.text;
    this.#stage = 'kexInit';
    return formatPacket(this.#clientKexInit);
  }

  #readPacket(stage: Exclude<Stage, 'identification' | 'done'>): Buffer | undefined {
    const payload = takePacket(this.#input);
    if (payload === undefined) return undefined;
    const number = payload[0];
    if (number === message.disconnect) throw disconnected(payload);
    if (this.#ignoresNext) {
      this.#ignoresNext = false;
      return Buffer.alloc(0);
    }
    if (!this.#isStrict && (number === message.ignore || number === message.debug)) {
      this.#hasSkipped = true;
      return Buffer.alloc(0);
    }
    if (stage === 'kexInit' && number === message.kexInit) return this.#onKexInit(payload);
    if (stage === 'reply' && number === message.kexEcdhReply) return this.#onReply(payload);
    if (stage === 'newKeys' && number === message.newKeys && payload.length === 1) {
      this.#stage = 'done';
      return Buffer.alloc(0);
    }
    throw new ProbeError('protocol', `The server sent message ${number} where another was due.`);
  }

  #onKexInit(payload: Buffer): Buffer {
    const { proposal: serverProposal, firstKexPacketFollows } = parseKexInit(payload);
    this.#isStrict = serverProposal.keyExchange.includes(mark.strictServer);
    if (this.#isStrict && this.#hasSkipped) {
      throw new ProbeError('protocol', 'The server sent a message before KEXINIT in a strict key exchange.');
    }
    const negotiated = negotiate(this.#proposal, serverProposal);
    if ('missing' in negotiated) {
      const { missing } = negotiated;
      const offered = quoted(serverProposal[missing].join(','));
      throw new ProbeError(
        'no_common_algorithm',
        `The server has no ${missing} algorithm in common with the probe; it offers ${offered}.`,
      );
    }
    this.#ignoresNext = firstKexPacketFollows && !guessedRight(this.#proposal, serverProposal);
    this.#serverKexInit = payload;
    this.#keyExchangeName = negotiated.keyExchange;
    this.#keyExchange = startKeyExchange(negotiated.keyExchange);
    this.#hostKeyAlgorithm = negotiated.hostKey;
    this.#stage = 'reply';
    return formatPacket(formatKeyExchangeInit(this.#keyExchange.clientShare));
  }

  #onReply(payload: Buffer): Buffer {
    const exchange = this.#keyExchange;
    if (exchange === undefined) throw new TypeError('a reply before the key exchange began');
    const { hostKey, serverShare, signature } = parseKeyExchangeReply(payload);

    const expected = this.#expectedHostKey;
    if (expected !== undefined && !expected.equals(hostKey)) {
      throw new ProbeError(
        'host_key_mismatch',
        `The server has another host key (${fingerprint(hostKey)}) than expected (${fingerprint(expected)}): ` +
          'another server answers at this address, or its key was changed.',
      );
    }
    const hashed = exchangeHash({
      hashName: exchange.hashName,
      clientIdentification,
      serverIdentification: this.#serverIdentification,
      clientKexInit: this.#clientKexInit,
      serverKexInit: this.#serverKexInit,
      hostKey,
      clientShare: exchange.clientShare,
      serverShare,
      sharedSecret: exchange.sharedSecret(serverShare),
    });
    if (verify(this.#hostKeyAlgorithm, hostKey, hashed, signature) === undefined) {
      throw new ProbeError(
        'bad_signature',
        `The server could not prove that it holds its host key (${fingerprint(hostKey)}).`,
      );
    }
    this.#hostKey = Buffer.from(hostKey);
    this.#stage = 'newKeys';
    return formatPacket(Buffer.from([message.newKeys]));
  }
}

function notSsh(said: string): ProbeError {
  return new ProbeError('not_ssh', `What answers there is not an SSH server: it says ${quoted(said)}.`);
}

function disconnected(payload: Buffer): ProbeError {
  const reader = new Reader(payload);
  reader.byte('message number');
  reader.uint32('reason code');
  const description = reader.string('description').toString('utf8');
  return new ProbeError('closed', `The server ended the connection, saying ${quoted(description)}.`);
}
