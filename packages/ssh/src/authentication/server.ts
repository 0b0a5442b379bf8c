// The server's side of authentication (RFC 4252, RFC 4256, RFC 8332, OpenSSH's PROTOCOL section 3.1): what a client
// sends between the key exchange and its first channel. Each request is read, held to limits and, if signed,
// verified; then the owner of the server is asked once and its answer is carried out. Whose keys and passwords are
// right, how long an answer takes and who is locked out is the owner's business.
//
// One request is decided at a time. Reading goes on meanwhile, so that a client that goes away is noticed, until the
// client has sent more: then it waits, and what the transport had read already waits here, in small number.

import { publicKeyAlgorithmNames } from '../keys/algorithms.ts';
import { KeyError } from '../keys/key-error.ts';
import type { VerificationPolicy } from '../keys/verification-key.ts';
import { message } from '../transport/messages.ts';
import type { PacketHandler, PacketTransport } from '../transport/packet-transport.ts';
import {
  ProtocolError,
  TransportError,
  type TransportErrorCode,
  disconnectReason,
} from '../transport/transport-error.ts';
import { WireError } from '../wire.ts';
import type {
  Accept,
  Attempt,
  AttemptContext,
  Decision,
  End,
  KeyQuery,
  Method,
  PartialSuccess,
  PassedMethod,
  Refuse,
  RefusedAttempt,
} from './attempt.ts';
import {
  type PromptRound,
  type UserauthRequest,
  connectionService,
  formatBanner,
  formatFailure,
  formatInfoRequest,
  formatPasswordChangeRequest,
  formatPkOk,
  formatService,
  formatSuccess,
  hostboundMethod,
  isAuthenticationMessage,
  readInfoResponse,
  readRequest,
  readService,
  userauthService,
  signedBytes,
} from './messages.ts';
import {
  type KeyLimits,
  type OfferedKey,
  offeredBlob,
  readOfferedKey,
  verifyOfferedKey,
} from './offered-key.ts';

export interface ServerAuthenticationOptions {
  /** What a client may start with (`none` is always asked about); a decision can change it for the rest. */
  readonly methods: readonly Method[];
  /** Asked once about each attempt. What it throws ends the connection and is what `result` rejects with. */
  readonly decide: (attempt: Attempt) => Decision | Promise<Decision>;
  /** Told of each request that is refused whatever the owner says. */
  readonly refused: (attempt: RefusedAttempt) => Refuse | End | Promise<Refuse | End>;
  /** From the construction to the end of authentication; 120 seconds unless told otherwise. */
  readonly graceMs?: number;
  /** How many failures end the connection, 6 unless told otherwise. The first request with `none` is no failure. */
  readonly maximumAttempts?: number;
  /** How many keys may be shown without a signature, 20 unless told otherwise. Refusing one is no failure. */
  readonly maximumOfferedKeys?: number;
  /**
   * Names as in `publicKeyAlgorithm`, all of them unless told otherwise. The transport should announce the same ones
   * (`userSignatureAlgorithms`); `acceptConnection` sees to it.
   */
  readonly algorithms?: readonly string[];
  /** Of keys and of certified keys; 2048 unless told otherwise. */
  readonly minimumRsaBits?: number;
}

/** Who got in, and by what, in the order in which it was right: a single method unless there was partial success. */
export interface ServerAuthenticationResult {
  readonly user: string;
  readonly passed: readonly PassedMethod[];
}

const maximumUserBytes = 255;
/** Of a password, and of an answer to a prompt. */
const maximumPasswordBytes = 1024;
/** Messages that were read while a decision was pending. */
const maximumWaiting = 8;

interface Pending {
  readonly attempt: Attempt | RefusedAttempt;
  readonly controller: AbortController;
  /** The client's answers that the owner waits for. */
  question?: {
    readonly prompts: number;
    readonly resolve: (answers: string[]) => void;
    readonly reject: (reason: unknown) => void;
  };
}

export class ServerAuthentication implements PacketHandler {
  /**
   * Resolves when a client is in; the transport holds everything that follows until its next handler. Rejects when
   * the connection is over before: with the error of the transport, or with what the owner threw.
   */
  readonly result: Promise<ServerAuthenticationResult>;
  readonly #transport: PacketTransport;
  readonly #options: ServerAuthenticationOptions;
  readonly #keyLimits: KeyLimits;
  readonly #settle: PromiseWithResolvers<ServerAuthenticationResult>;
  readonly #grace: NodeJS.Timeout;
  #isOver = false;
  #isPaused = false;
  #hasService = false;
  #user: string | undefined;
  #methods: readonly Method[];
  #passed: readonly PassedMethod[] = [];
  #requests = 0;
  #failures = 0;
  #offeredKeys = 0;
  #pending: Pending | undefined;
  readonly #waiting: Buffer[] = [];

  /** Becomes the transport's handler. */
  constructor(transport: PacketTransport, options: ServerAuthenticationOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#methods = options.methods;
    const { algorithms = publicKeyAlgorithmNames, minimumRsaBits = 2048, graceMs = 120_000 } = options;
    this.#keyLimits = { algorithms, minimumRsaBits };
    this.#settle = Promise.withResolvers();
    this.result = this.#settle.promise;
    // An owner that looks at nothing but its decisions is no fault.
    this.result.catch(() => {});
    this.#grace = setTimeout(() => {
      const sentence = `Nobody has logged in within ${graceMs / 1000} seconds.`;
      this.#end(disconnectReason.byApplication, sentence);
    }, graceMs);
    transport.handle(this);
  }

  /** Throws ProtocolError and WireError. */
  packet(payload: Buffer, sequenceNumber: number): void {
    if (this.#isOver) return;
    const number = payload[0] ?? 0;
    if (
      number !== message.serviceRequest &&
      number !== message.userauthRequest &&
      number !== message.userauthInfoResponse
    ) {
      this.#refuseMessage(number, sequenceNumber);
    } else if (this.#isDeciding()) {
      if (this.#waiting.length === maximumWaiting) {
        throw new ProtocolError(`More than ${maximumWaiting} messages before the answer to the first.`);
      }
      if (!this.#isPaused) this.#transport.pause();
      this.#isPaused = true;
      this.#waiting.push(Buffer.from(payload));
    } else {
      this.#take(payload);
    }
  }

  closed(error: TransportError | undefined): void {
    this.#finish(error ?? new TransportError('lost', 'The client closed the connection.'));
  }

  #refuseMessage(number: number, sequenceNumber: number): void {
    // RFC 4252, section 6: the numbers from 80 on are for those who are logged in; the others below are a server's.
    const isLocalExtension = number > 127;
    const isUnknownMethods = isAuthenticationMessage(number) && number > message.userauthInfoResponse;
    if (!isLocalExtension && !isUnknownMethods) {
      throw new ProtocolError(`A message of number ${number} during authentication.`);
    }
    this.#transport.sendUnimplemented(sequenceNumber);
  }

  /** Whether the owner is to act next, not the client. */
  #isDeciding(): boolean {
    return this.#pending !== undefined && this.#pending.question === undefined;
  }

  #take(payload: Buffer): void {
    const number = payload[0];
    if (number === message.serviceRequest) this.#startService(payload);
    else if (number === message.userauthRequest) this.#request(payload);
    else this.#answer(payload);
  }

  #startService(payload: Buffer): void {
    if (readService(payload) !== userauthService) {
      throw new ProtocolError(
        'Another service than authentication was asked for.',
        disconnectReason.serviceNotAvailable,
      );
    }
    this.#hasService = true;
    this.#transport.send(formatService(message.serviceAccept, userauthService));
  }

  #request(payload: Buffer): void {
    if (!this.#hasService) throw new ProtocolError('A login without the service for it.');
    const request = readRequest(payload);
    this.#identify(request);
    // RFC 4252, section 5.1: a method that waits for the client is abandoned by another request, without a failure
    // being said. It counts as one, or else passwords could be tried without end.
    if (this.#pending !== undefined) {
      this.#abandon('The client began another attempt.');
      this.#failures += 1;
      if (this.#endAfterFailures()) return;
    }
    const controller = new AbortController();
    const context: AttemptContext = {
      user: request.user,
      passed: this.#passed,
      signal: controller.signal,
      sendBanner: (text) => {
        if (!this.#isOver) this.#transport.send(formatBanner(text));
      },
    };
    const attempt = this.#read(request, context, payload);
    this.#requests += 1;
    if (isQuery(attempt)) this.#offeredKeys += 1;
    const { maximumOfferedKeys = 20 } = this.#options;
    if (this.#offeredKeys > maximumOfferedKeys) {
      this.#end(
        disconnectReason.noMoreMethods,
        `More than ${maximumOfferedKeys} keys were offered. Say which is the right one (ssh -o IdentitiesOnly=yes -i).`,
      );
      return;
    }
    this.#pending = { attempt, controller };
    void this.#decide(this.#pending);
  }

  /** As OpenSSH does; RFC 4252, section 5, would also allow to begin anew with another user. */
  #identify({ user, service }: UserauthRequest): void {
    if (service !== connectionService) {
      throw new ProtocolError(
        'A login for another service than connections.',
        disconnectReason.serviceNotAvailable,
      );
    }
    if (Buffer.byteLength(user) > maximumUserBytes || user.includes('\0')) {
      throw new ProtocolError(
        `A user name with more than ${maximumUserBytes} bytes or with a zero byte.`,
        disconnectReason.illegalUserName,
      );
    }
    if (this.#user !== undefined && this.#user !== user) {
      throw new ProtocolError('The user name changed from one login to the next.');
    }
    this.#user = user;
  }

  #read(request: UserauthRequest, context: AttemptContext, payload: Buffer): Attempt | RefusedAttempt {
    const { fields, method } = request;
    if (method === 'none') {
      fields.end('request');
      return { ...context, method };
    }
    const asked = this.#methods.find((name) => name === (method === hostboundMethod ? 'publickey' : method));
    if (asked === undefined) return { ...context, refused: 'method', method };
    if (asked === 'publickey') return this.#readKey(request, context, payload);
    if (asked === 'password') {
      const isChange = fields.boolean('change of password');
      const password = readPassword(fields.string('password'));
      const newPassword = isChange ? readPassword(fields.string('new password')) : undefined;
      fields.end('request');
      return { ...context, method: asked, password, newPassword };
    }
    fields.string('language tag');
    const submethods = fields.text('submethods');
    fields.end('request');
    return { ...context, method: asked, submethods, prompt: (round) => this.#prompt(context, round) };
  }

  #readKey(
    { fields, method }: UserauthRequest,
    context: AttemptContext,
    payload: Buffer,
  ): Attempt | RefusedAttempt {
    const { sessionId, hostKey } = this.#transport;
    const signed = fields.boolean('has a signature');
    const algorithm = fields.text('public key algorithm');
    const blob = fields.string('public key');
    const hostbound = method === hostboundMethod;
    if (hostbound && !fields.string('host key').equals(hostKey)) {
      throw new ProtocolError('A login that was meant for a server with another host key.');
    }
    const data = signedBytes(sessionId, payload.subarray(0, payload.length - fields.remaining));
    const signature = signed ? fields.string('signature') : Buffer.alloc(0);
    fields.end('request');

    let offered: OfferedKey;
    try {
      offered = readOfferedKey(algorithm, blob, this.#keyLimits);
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      return { ...context, refused: 'unusable_key', signed, algorithm, error };
    }
    const isUsed = this.#passed.some(
      (passed) => passed.method === 'publickey' && passed.key.blob.equals(offered.key.blob),
    );
    if (isUsed) return { ...context, ...offered, refused: 'used_key', signed };
    if (!signed) return { ...context, ...offered, method: 'publickey', signed };
    const verified = verifyOfferedKey(offered, data, signature);
    if (verified === undefined) return { ...context, ...offered, refused: 'wrong_signature', signed };
    return { ...context, ...offered, method: 'publickey', signed, verified, hostbound };
  }

  async #decide(pending: Pending): Promise<void> {
    const { attempt } = pending;
    try {
      const { decide, refused } = this.#options;
      const decision = await ('refused' in attempt ? refused(attempt) : decide(attempt));
      if (pending.controller.signal.aborted) return;
      this.#pending = undefined;
      pending.question?.reject(new Error('The attempt was decided without the answers.'));
      this.#carryOut(decision, attempt);
      this.#takeWaiting();
    } catch (error) {
      // What an abandoned attempt comes to is nobody's business any more.
      if (!pending.controller.signal.aborted) this.#fail(error);
    }
  }

  #carryOut(decision: Decision, attempt: Attempt | RefusedAttempt): void {
    if (decision.outcome === 'end') {
      this.#end(decision.reason, decision.sentence);
    } else if (decision.outcome === 'refuse') {
      if (decision.methods !== undefined) this.#methods = decision.methods;
      this.#refuse(attempt, decision.sentence);
    } else if ('refused' in attempt) {
      throw new TypeError(`not an answer to a refused attempt: ${decision.outcome}`);
    } else if (decision.outcome === 'usable' && isQuery(attempt)) {
      this.#transport.send(formatPkOk(attempt.algorithm, offeredBlob(attempt)));
    } else if (decision.outcome === 'change_password' && attempt.method === 'password') {
      this.#transport.send(formatPasswordChangeRequest(decision.prompt));
    } else if (decision.outcome === 'accept' || decision.outcome === 'partial') {
      this.#pass(decision, attempt);
    } else {
      throw new TypeError(`not an answer to ${attempt.method}: ${decision.outcome}`);
    }
  }

  #pass(decision: Accept | PartialSuccess, attempt: Attempt): void {
    const passed = passedMethod(attempt);
    const missing = missingOf(passed, decision.policy);
    if (missing !== undefined) {
      this.#refuse(attempt, missing);
      return;
    }
    this.#passed = [...this.#passed, passed];
    if (decision.outcome === 'partial') {
      this.#methods = decision.methods;
      this.#transport.send(formatFailure(this.#methods, true));
      return;
    }
    this.#isOver = true;
    clearTimeout(this.#grace);
    this.#transport.send(formatSuccess());
    this.#transport.hold();
    if (this.#isPaused) this.#transport.resume();
    this.#settle.resolve({ user: attempt.user, passed: this.#passed });
  }

  #refuse(attempt: Attempt | RefusedAttempt, sentence: string | undefined): void {
    const isFirstNone = this.#requests === 1 && 'method' in attempt && attempt.method === 'none';
    if (!isFirstNone && !isQuery(attempt)) this.#failures += 1;
    if (sentence !== undefined) this.#transport.send(formatBanner(sentence));
    if (this.#endAfterFailures()) return;
    this.#transport.send(formatFailure(this.#methods, false));
  }

  #endAfterFailures(): boolean {
    const { maximumAttempts = 6 } = this.#options;
    if (this.#failures < maximumAttempts) return false;
    this.#end(disconnectReason.noMoreMethods, 'Too many failed attempts to log in.');
    return true;
  }

  #prompt({ signal }: AttemptContext, round: PromptRound): Promise<string[]> {
    const pending = this.#pending;
    if (pending === undefined || pending.controller.signal !== signal) {
      return Promise.reject(signal.aborted ? signal.reason : new Error('The attempt was decided already.'));
    }
    if (pending.question !== undefined) return Promise.reject(new Error('One round of prompts at a time.'));
    const { promise, resolve, reject } = Promise.withResolvers<string[]>();
    // The owner may have stopped waiting.
    promise.catch(() => {});
    pending.question = { prompts: round.prompts.length, resolve, reject };
    this.#transport.send(formatInfoRequest(round));
    // What the client has sent meanwhile cannot be the answer.
    try {
      this.#takeWaiting();
    } catch (error) {
      this.#fail(error);
    }
    return promise;
  }

  #answer(payload: Buffer): void {
    const pending = this.#pending;
    if (pending?.question === undefined) throw new ProtocolError('An answer to what nobody asked.');
    const { question, attempt } = pending;
    const answers = readInfoResponse(payload).map((answer) => readPassword(answer));
    // RFC 4256, section 3.4.
    if (answers.length !== question.prompts) {
      this.#abandon('The client gave another number of answers than there were prompts.');
      this.#refuse(attempt, undefined);
      return;
    }
    delete pending.question;
    question.resolve(answers);
  }

  /** Takes what came while the owner decided, until it has to decide again. Throws ProtocolError and WireError. */
  #takeWaiting(): void {
    while (!this.#isOver && !this.#isDeciding()) {
      const payload = this.#waiting.shift();
      if (payload === undefined) break;
      this.#take(payload);
    }
    if (this.#isOver || !this.#isPaused || this.#waiting.length > 0) return;
    this.#isPaused = false;
    this.#transport.resume();
  }

  #abandon(why: string): void {
    const pending = this.#pending;
    this.#pending = undefined;
    const reason = new DOMException(why, 'AbortError');
    pending?.controller.abort(reason);
    pending?.question?.reject(reason);
  }

  /** An error outside of `packet`, where the transport would see to it. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    if (error instanceof WireError) {
      this.#end(disconnectReason.protocolError, error.message, 'protocol');
    } else if (error instanceof TransportError) {
      this.#end(error.reason, error.message, error.code);
    } else {
      this.#finish(error);
      this.#transport.disconnect(disconnectReason.byApplication, 'Logging in fails here at the moment.');
    }
  }

  #end(reason: number, sentence: string, code: TransportErrorCode = 'limit'): void {
    this.#finish(new TransportError(code, sentence, reason));
    this.#transport.disconnect(reason, sentence);
  }

  #finish(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#grace);
    this.#abandon('The connection is over.');
    this.#settle.reject(error);
  }
}

/** Too much of it is not worth the time that hashing it takes. */
function readPassword(bytes: Buffer): string {
  if (bytes.length > maximumPasswordBytes) {
    throw new ProtocolError(`A password of more than ${maximumPasswordBytes} bytes.`);
  }
  return bytes.toString('utf8');
}

function isQuery(
  attempt: Attempt | RefusedAttempt,
): attempt is (KeyQuery | RefusedAttempt) & { signed: false } {
  return 'signed' in attempt && !attempt.signed;
}

/** Throws TypeError for a query: nobody gets in, not even partly, by a key that was only shown. */
function passedMethod(attempt: Attempt): PassedMethod {
  const { method } = attempt;
  if (method !== 'publickey') return { method };
  if (!attempt.signed) throw new TypeError('a key that was only shown was accepted');
  const { algorithm, key, certificate, verified, hostbound } = attempt;
  return { method, algorithm, key, certificate, verified, hostbound };
}

/** What a signature by a security key lacks, as a sentence for its owner. */
function missingOf(passed: PassedMethod, policy: VerificationPolicy = {}): string | undefined {
  const { touchRequired = true, userVerificationRequired = false } = policy;
  const securityKey = passed.method === 'publickey' ? passed.verified.securityKey : undefined;
  if (securityKey === undefined) return undefined;
  if (touchRequired && !securityKey.userPresent) return 'This security key must be touched to log in here.';
  if (userVerificationRequired && !securityKey.userVerified) {
    return 'This security key must be unlocked by its PIN or a finger to log in here.';
  }
  return undefined;
}
