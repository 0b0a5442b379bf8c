// The client's side of authentication (RFC 4252): says who wants in and tries one credential after another. Called
// when the key exchange is done and the server's host key was found right.
//
// The request for the service and the first credential go out together, since a server that takes the one answers the
// other (RFC 4253, section 10, demands no waiting): with the right credential first, logging in is one round trip.

import { message } from '../transport/messages.ts';
import type { PacketHandler, PacketTransport } from '../transport/packet-transport.ts';
import { ProtocolError, TransportError, disconnectReason } from '../transport/transport-error.ts';
import { WireError } from '../wire.ts';
import { AuthenticationError, type Trial } from './authentication-error.ts';
import type { Credential } from './credentials.ts';
import { type Exchange, type Step, exchangeFor } from './exchange.ts';
import {
  formatService,
  isAuthenticationMessage,
  readBanner,
  readFailure,
  readService,
  userauthService,
} from './messages.ts';

export interface AuthenticateOptions {
  readonly user: string;
  /** In the order in which they are tried; after the first, only those whose method the server goes on with. */
  readonly credentials: readonly Credential[];
  /** Text for the person, at any moment; not to be shown without its control characters being escaped. */
  readonly banner?: (text: string) => void;
}

/**
 * Resolves when the server lets the user in, with what was tried, the credential that did it last; the transport holds
 * what follows until its next handler. Rejects with AuthenticationError when the server refused everything (nothing
 * else was sent; the transport holds), with the transport's error when the connection ended, and with what a callback
 * threw, for which the connection is ended.
 */
export function authenticate(
  transport: PacketTransport,
  options: AuthenticateOptions,
): Promise<readonly Trial[]> {
  return new ClientAuthentication(transport, options).result;
}

interface Candidate {
  readonly method: Credential['method'];
  readonly exchange: Exchange;
}

class ClientAuthentication implements PacketHandler {
  readonly result: Promise<readonly Trial[]>;
  readonly #transport: PacketTransport;
  readonly #banner: (text: string) => void;
  readonly #settle: PromiseWithResolvers<readonly Trial[]>;
  /** What was not tried yet. */
  readonly #candidates: Candidate[];
  readonly #tried: Trial[] = [];
  /** What is being tried. */
  #current: Candidate | undefined;
  #hasService = false;
  /** Whether the server is to speak next. */
  #isAsking = false;
  #isOver = false;
  #methods: readonly string[] | undefined;

  constructor(transport: PacketTransport, { user, credentials, banner = () => {} }: AuthenticateOptions) {
    this.#transport = transport;
    this.#banner = banner;
    this.#settle = Promise.withResolvers();
    this.result = this.#settle.promise;
    this.#candidates = credentials.map((credential) => ({
      method: credential.method,
      exchange: exchangeFor(credential, user, transport),
    }));
    transport.handle(this);
    transport.send(formatService(message.serviceRequest, userauthService));
    this.#tryNext();
  }

  packet(payload: Buffer, sequenceNumber: number): void {
    if (this.#isOver) return;
    const number = payload[0] ?? 0;
    if (number === message.serviceAccept) this.#acceptService(payload);
    else if (number === message.userauthBanner) this.#show(readBanner(payload));
    else if (number === message.userauthFailure) this.#fail(payload);
    else if (number === message.userauthSuccess) this.#succeed();
    else if (number === message.userauthPkOk) this.#goOn(payload);
    else if (isAuthenticationMessage(number) || number > 127)
      this.#transport.sendUnimplemented(sequenceNumber);
    else throw new ProtocolError(`A message of number ${number} before the login.`);
  }

  closed(error: TransportError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle.reject(error ?? new TransportError('lost', 'The server closed the connection.'));
  }

  #acceptService(payload: Buffer): void {
    if (this.#hasService || readService(payload) !== userauthService) {
      throw new ProtocolError('The server accepts a service that was not asked for.');
    }
    this.#hasService = true;
  }

  #show(text: string): void {
    try {
      this.#banner(text);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** What is being tried, when the server may answer it. Throws ProtocolError when there is nothing to answer. */
  #answered(): Candidate {
    if (!this.#hasService || !this.#isAsking || this.#current === undefined) {
      throw new ProtocolError('The server answers what it was not asked.');
    }
    this.#isAsking = false;
    return this.#current;
  }

  #fail(payload: Buffer): void {
    const current = this.#answered();
    const { methods, isPartial } = readFailure(payload);
    this.#methods = methods;
    this.#note(current, isPartial ? 'passed' : 'refused');
    this.#tryNext();
  }

  #succeed(): void {
    this.#note(this.#answered(), 'passed');
    this.#isOver = true;
    this.#transport.hold();
    this.#settle.resolve(this.#tried);
  }

  #goOn(payload: Buffer): void {
    const { methodSpecific } = this.#answered().exchange;
    if (methodSpecific === undefined)
      throw new ProtocolError('The server asks back where nothing is to be asked.');
    this.#perform(() => methodSpecific(payload));
  }

  /** The first that was not tried, of a method that the server takes as far as is known. */
  #tryNext(): void {
    const index = this.#candidates.findIndex(
      ({ method }) => method === 'none' || (this.#methods?.includes(method) ?? true),
    );
    [this.#current] = index === -1 ? [] : this.#candidates.splice(index, 1);
    if (this.#current !== undefined) {
      this.#perform(this.#current.exchange.start);
      return;
    }
    this.#isOver = true;
    this.#transport.hold();
    for (const candidate of this.#candidates) this.#note(candidate, 'unsent');
    this.#settle.reject(new AuthenticationError(this.#methods, this.#tried));
  }

  #note({ exchange: { description } }: Candidate, outcome: Trial['outcome']): void {
    this.#tried.push({ description, outcome });
  }

  /** Throws ProtocolError and WireError: the server's fault. Everything else is a callback's, and is `result`'s. */
  #perform(begin: () => Step): void {
    let step: Step;
    try {
      step = begin();
    } catch (error) {
      if (error instanceof ProtocolError || error instanceof WireError) throw error;
      this.#giveUp(error);
      return;
    }
    if (step instanceof Promise) {
      step.then((payload) => this.#send(payload)).catch((error: unknown) => this.#giveUp(error));
    } else {
      this.#send(step);
    }
  }

  #send(payload: Buffer | undefined): void {
    if (this.#isOver) return;
    if (payload !== undefined) {
      this.#isAsking = true;
      this.#transport.send(payload);
      return;
    }
    // Another request abandons what the server waits for (RFC 4252, section 5.1).
    if (this.#current !== undefined) this.#note(this.#current, 'given up');
    this.#tryNext();
  }

  #giveUp(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle.reject(error);
    this.#transport.disconnect(disconnectReason.authenticationCancelled, 'The client gave up logging in.');
  }
}
