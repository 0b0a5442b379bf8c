// One key exchange, from both KEXINITs to the keys (RFC 4253, sections 7 and 8), in either role. transport.ts owns the
// packets and their order; this holds what is dropped when the exchange is done.

import { verify } from '../keys/signature.ts';
import { derivePacketKeys, type PacketKeys } from './key-derivation.ts';
import {
  type ClientKeyExchange,
  type HashName,
  answerKeyExchange,
  exchangeHash,
  startKeyExchange,
} from './key-exchange.ts';
import {
  formatKeyExchangeInit,
  formatKeyExchangeReply,
  parseKeyExchangeInit,
  parseKeyExchangeReply,
} from './key-exchange-messages.ts';
import type { Negotiated } from './kexinit.ts';
import type { ServerHostKey } from './host-keys.ts';
import { type PacketAlgorithm, packetAlgorithm } from './packet-algorithms.ts';
import { TransportError, disconnectReason } from './transport-error.ts';

export interface Beginning {
  readonly clientIdentification: string;
  readonly serverIdentification: string;
  /** Payloads, whole. */
  readonly clientKexInit: Buffer;
  readonly serverKexInit: Buffer;
  readonly negotiated: Negotiated;
}

/** What one direction is protected with. */
export interface DirectionKeys {
  readonly algorithm: PacketAlgorithm;
  readonly keys: PacketKeys;
}

export interface Outcome {
  /** H. */
  readonly exchangeHash: Buffer;
  readonly hostKey: Buffer;
  /** `sessionId` is H of the connection's first exchange. */
  keys(sessionId: Buffer): { clientToServer: DirectionKeys; serverToClient: DirectionKeys };
}

export class ClientHandshake {
  readonly #beginning: Beginning;
  readonly #exchange: ClientKeyExchange;

  constructor(beginning: Beginning) {
    this.#beginning = beginning;
    this.#exchange = startKeyExchange(beginning.negotiated.keyExchange);
  }

  /** The payload to send first. */
  get message(): Buffer {
    return formatKeyExchangeInit(this.#exchange.clientShare);
  }

  /**
   * Takes the server's reply.
   *
   * @param whyNot tells in a sentence why this host key is not taken; undefined when it is
   * @throws WireError for a malformed reply, KeyError for a malformed key, TransportError (`host_key`)
   */
  finish(reply: Buffer, whyNot: (hostKey: Buffer, algorithm: string) => string | undefined): Outcome {
    const { hostKey, serverShare, signature } = parseKeyExchangeReply(reply);
    const algorithm = this.#beginning.negotiated.hostKey;
    const { clientShare } = this.#exchange;
    // The key first: a secret is not computed with a server that is not the one expected.
    const refusal = whyNot(hostKey, algorithm);
    if (refusal !== undefined) {
      throw new TransportError('host_key', refusal, disconnectReason.hostKeyNotVerifiable);
    }
    const sharedSecret = this.#exchange.sharedSecret(serverShare);
    const { hashName } = this.#exchange;
    const shares = { hashName, hostKey, clientShare, serverShare, sharedSecret };
    const outcome = outcomeOf(this.#beginning, shares);
    if (verify(algorithm, hostKey, outcome.exchangeHash, signature) === undefined) {
      throw new TransportError(
        'host_key',
        'The server could not prove that it holds its host key.',
        disconnectReason.keyExchangeFailed,
      );
    }
    return outcome;
  }
}

/** The server's whole part: it has nothing to wait for once the client's share is there. */
export function answerHandshake(
  beginning: Beginning,
  hostKey: ServerHostKey,
  message: Buffer,
): { reply: Buffer; outcome: Outcome } {
  const clientShare = parseKeyExchangeInit(message);
  const { keyExchange, hostKey: algorithm } = beginning.negotiated;
  const answer = answerKeyExchange(keyExchange, clientShare);
  const outcome = outcomeOf(beginning, { hostKey: hostKey.blob, clientShare, ...answer });
  const signature = hostKey.sign(outcome.exchangeHash, algorithm);
  return {
    reply: formatKeyExchangeReply({ hostKey: hostKey.blob, serverShare: answer.serverShare, signature }),
    outcome,
  };
}

function outcomeOf(
  { negotiated, ...beginning }: Beginning,
  shares: {
    hashName: HashName;
    hostKey: Buffer;
    clientShare: Buffer;
    serverShare: Buffer;
    sharedSecret: Buffer;
  },
): Outcome {
  const hash = exchangeHash({ ...beginning, ...shares });
  const { hashName, sharedSecret } = shares;
  const clientToServer = packetAlgorithm(negotiated.encryptionClientToServer, negotiated.macClientToServer);
  const serverToClient = packetAlgorithm(negotiated.encryptionServerToClient, negotiated.macServerToClient);
  return {
    exchangeHash: hash,
    hostKey: Buffer.from(shares.hostKey),
    keys: (sessionId) => {
      const material = { hashName, sharedSecret, exchangeHash: hash, sessionId };
      return {
        clientToServer: {
          algorithm: clientToServer,
          keys: derivePacketKeys(material, clientToServer, 'clientToServer'),
        },
        serverToClient: {
          algorithm: serverToClient,
          keys: derivePacketKeys(material, serverToClient, 'serverToClient'),
        },
      };
    },
  };
}
