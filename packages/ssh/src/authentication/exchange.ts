// One credential's conversation with the server: the request, and what answers message 60, whose meaning the method
// gives it (RFC 4252 sections 7 and 8, RFC 4256, RFC 8332 section 3.2, RFC 8308 section 3.1). Driven by client.ts.

import { type SignatureAlgorithm, publicKeyAlgorithmName } from '../keys/algorithms.ts';
import { fingerprint } from '../keys/fingerprint.ts';
import { SigningKey } from '../keys/signing-key.ts';
import type { PacketTransport } from '../transport/packet-transport.ts';
import { ProtocolError } from '../transport/transport-error.ts';
import { Writer } from '../wire.ts';
import type {
  Credential,
  KeyboardInteractiveCredential,
  PasswordCredential,
  PublicKeyCredential,
  Signer,
} from './credentials.ts';
import {
  formatInfoResponse,
  hostboundExtension,
  hostboundMethod,
  readInfoRequest,
  readPasswordChangeRequest,
  readPkOk,
  signedBytes,
  startRequest,
} from './messages.ts';

/** What is sent next; undefined when this credential has nothing more to say. At once where that is possible. */
export type Step = Buffer | undefined | Promise<Buffer | undefined>;

export interface Exchange {
  /** For a sentence: `password`, `publickey SHA256:...`. */
  readonly description: string;
  readonly start: () => Step;
  /** Throws ProtocolError and WireError; `payload` is read before it returns. */
  readonly methodSpecific?: (payload: Buffer) => Step;
}

export function exchangeFor(credential: Credential, user: string, transport: PacketTransport): Exchange {
  if (credential.method === 'publickey') return publicKeyExchange(credential, user, transport);
  if (credential.method === 'password') return passwordExchange(credential, user);
  if (credential.method === 'keyboard-interactive') return keyboardInteractiveExchange(credential, user);
  return { description: 'none', start: () => startRequest(user, 'none').toBuffer() };
}

function publicKeyExchange(
  credential: PublicKeyCredential,
  user: string,
  transport: PacketTransport,
): Exchange {
  const { key, certificate, query = false } = credential;
  const signer = key instanceof SigningKey ? signerOf(key) : key;
  const blob = certificate ?? signer.blob;
  const kind = certificate === undefined ? '' : ' (certificate)';
  // Read when it is needed: SSH_MSG_EXT_INFO may come after the first packets.
  const algorithm = (): SignatureAlgorithm | undefined => commonAlgorithm(signer, transport);
  const nameOf = (chosen: SignatureAlgorithm): string =>
    publicKeyAlgorithmName(chosen, { isCertificate: certificate !== undefined });
  const signed = (chosen: SignatureAlgorithm): Step => {
    const { extensions, hostKey, sessionId } = transport;
    const isHostbound = extensions.get(hostboundExtension.name)?.toString() === hostboundExtension.value;
    const request = startRequest(user, isHostbound ? hostboundMethod : 'publickey')
      .boolean(true)
      .string(nameOf(chosen))
      .string(blob);
    if (isHostbound) request.string(hostKey);
    const data = request.toBuffer();
    const complete = (signature: Buffer): Buffer => new Writer().bytes(data).string(signature).toBuffer();
    const signature = signer.sign(signedBytes(sessionId, data), chosen);
    return signature instanceof Promise ? signature.then(complete) : complete(signature);
  };
  const asked = (chosen: SignatureAlgorithm): Buffer =>
    startRequest(user, 'publickey').boolean(false).string(nameOf(chosen)).string(blob).toBuffer();
  let queried: SignatureAlgorithm | undefined;
  return {
    description: `publickey ${fingerprint(signer.blob)}${kind}`,
    start: () => {
      const chosen = algorithm();
      if (chosen === undefined || !query) return chosen && signed(chosen);
      queried = chosen;
      return asked(chosen);
    },
    methodSpecific: (payload) => {
      const answer = readPkOk(payload);
      if (queried === undefined || answer.algorithm !== nameOf(queried) || !answer.blob.equals(blob)) {
        throw new ProtocolError(
          'The server says of another key than the one that was shown that it would do.',
        );
      }
      const chosen = queried;
      queried = undefined;
      return signed(chosen);
    },
  };
}

function signerOf(key: SigningKey): Signer {
  return {
    blob: key.publicKey.blob,
    algorithms: key.publicKey.signatureAlgorithms,
    sign: (data, algorithm) => key.sign(data, algorithm),
  };
}

/**
 * The best algorithm that both can. A server that said nothing is taken to know the best; those of one key type differ
 * for RSA only, and server-sig-algs decides nothing about others: some servers leave names out of it.
 */
function commonAlgorithm({ algorithms }: Signer, transport: PacketTransport): SignatureAlgorithm | undefined {
  const said = transport.extensions.get('server-sig-algs');
  const [best] = algorithms;
  if (said === undefined || best === undefined || !best.startsWith('rsa-')) return best;
  const names = said.toString('latin1').split(',');
  return algorithms.find((name) => names.includes(name));
}

function passwordExchange(credential: PasswordCredential, user: string): Exchange {
  let password: string | undefined;
  const request = (given: string | undefined): Buffer | undefined => {
    password = given;
    return given === undefined
      ? undefined
      : startRequest(user, 'password').boolean(false).string(given).toBuffer();
  };
  const change = (newPassword: string | undefined): Buffer | undefined =>
    newPassword === undefined
      ? undefined
      : startRequest(user, 'password')
          .boolean(true)
          .string(password ?? '')
          .string(newPassword)
          .toBuffer();
  return {
    description: 'password',
    start: () =>
      whenThere(
        typeof credential.password === 'string' ? credential.password : credential.password(),
        request,
      ),
    methodSpecific: (payload) => {
      const prompt = readPasswordChangeRequest(payload);
      return whenThere(credential.newPassword?.(prompt), change);
    },
  };
}

function keyboardInteractiveExchange(credential: KeyboardInteractiveCredential, user: string): Exchange {
  return {
    description: 'keyboard-interactive',
    start: () => startRequest(user, 'keyboard-interactive').string('').string('').toBuffer(),
    methodSpecific: (payload) => {
      const round = readInfoRequest(payload);
      return whenThere(credential.answer(round), (answers) => {
        if (answers === undefined) return undefined;
        if (answers.length !== round.prompts.length) {
          throw new RangeError(`${round.prompts.length} prompts, ${answers.length} answers`);
        }
        return formatInfoResponse(answers);
      });
    },
  };
}

/** In the same turn unless it must be waited for: a round trip and no more is what a login should cost. */
function whenThere<T>(value: T | Promise<T>, messageFor: (value: T) => Buffer | undefined): Step {
  return value instanceof Promise ? value.then(messageFor) : messageFor(value);
}
