/**
 * The attempts of one connection to log in, as the authentication layer asks about them (`decide`, `refused`). Offered
 * keys are answered from the state; what is proven or said (signatures, passwords) is asked of the server, and every
 * attempt is recorded with its end. connection.ts makes one for each connection and takes the entrance that it came to.
 *
 * Each refusal of a credential is held back until the same time after the attempt came, so that an unknown name, a
 * stopped environment, an address that is not allowed and a wrong password are one to whoever tries.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { AttemptAnswer, AttemptRecord, AttemptRequest, Grant, Refusal, ShownKey } from '@berth/contract';
import { disconnectReason, fingerprint } from '@berth/ssh';
import type {
  Attempt,
  Decision,
  End,
  OfferedKey,
  Refuse,
  RefusedAttempt,
  Transport,
  VerifiedSignature,
} from '@berth/ssh';
import { ServerAway, serverWaitMs } from './control/server-link.ts';
import type { ServerLink } from './control/server-link.ts';
import { newId } from './id.ts';
import type { Recorder } from './records/recorder.ts';
import { isKnownKey, mayTry, routeOf } from './route.ts';
import type { Door, Route } from './route.ts';
import type { GatewayState } from './state.ts';
import { dialUpstream } from './upstream.ts';
import type { UpstreamKey } from './upstream.ts';
import { WakeFailed, wakeEnvironment } from './wake.ts';

/** More than asking the server takes, and less than a person notices. */
const refusalMs = 250;
const awaySentence = "Berth's server is away for a moment; try again.";

export interface LoginParts {
  /** The worker's id. */
  gateway: string;
  state: GatewayState;
  server: ServerLink;
  recorder: Recorder;
}

export interface LoginOf {
  /** Of the connection. */
  id: string;
  door: Door;
  source: string;
  sourcePort: number;
  transport: Transport;
  upstreamKey: UpstreamKey;
  /** A credential was right; what is still to be done may take longer than a stranger is given. */
  onRight(): void;
}

/** How somebody got in, for the records of the connection. */
export interface Credential {
  way: Route['way'];
  method: AttemptRequest['method'];
  fingerprint: string | null;
}

/** What a login came to. */
export type Entrance =
  | { kind: 'environment'; credential: Credential; grant: Grant; upstream: Transport }
  /** The environment is stopped and is started only for a terminal; `sentence` is for those who ask for none. */
  | { kind: 'waiting'; credential: Credential; grant: Grant; attempt: string; sentence: string }
  | { kind: 'jump'; credential: Credential; account: string; customer: number };

type Asked =
  | Extract<Attempt, { method: AttemptRequest['method'] }>
  | (Extract<RefusedAttempt, { refused: 'wrong_signature' }> & { readonly method: 'publickey' });

export class Login {
  readonly #parts: LoginParts;
  readonly #of: LoginOf;
  #entrance: Entrance | undefined;
  #hasTried = false;
  #hasOffered = false;
  #hasExplainedKey = false;
  #user = '';

  constructor(parts: LoginParts, of: LoginOf) {
    this.#parts = parts;
    this.#of = of;
  }

  /** Once the authentication layer says that the client is in. */
  get entrance(): Entrance | undefined {
    return this.#entrance;
  }

  /** Nobody got in, and the connection is over. */
  end(): void {
    if (this.#entrance?.kind === 'environment') {
      this.#entrance.upstream.disconnect(disconnectReason.byApplication, 'The client has left.');
    }
    this.#entrance = undefined;
    if (this.#hasTried || !this.#hasOffered) return;
    // Whoever has only keys that are not known here should find out why in the log. Which keys they were is not said:
    // nobody has proven to have them.
    const { state } = this.#parts;
    const route = routeOf(state, this.#of.door, this.#user);
    this.#record(newId(), route, this.#user, { method: 'publickey', reason: 'wrong_key' });
  }

  /** Throws what the connection should end by. */
  async decide(attempt: Attempt): Promise<Decision> {
    this.#user = attempt.user;
    const route = routeOf(this.#parts.state, this.#of.door, attempt.user);
    const barred = await this.#barred(route, attempt);
    if (barred !== undefined) return barred;
    switch (attempt.method) {
      case 'none':
        return { outcome: 'refuse' };
      case 'publickey':
        if (!attempt.signed) return this.#offer(route, attempt);
        return this.#try(route, attempt, { key: shownKey(attempt) });
      case 'password':
        return this.#try(route, attempt, { password: attempt.password });
      case 'keyboard-interactive': {
        const [password = ''] = await attempt.prompt({ prompts: [{ text: 'Password: ', echo: false }] });
        // What it leads to may have changed while the person was typing.
        const now = routeOf(this.#parts.state, this.#of.door, attempt.user);
        return (await this.#barred(now, attempt)) ?? this.#try(now, attempt, { password });
      }
    }
  }

  /** What is refused whatever we say; it is recorded here. */
  async refused(attempt: RefusedAttempt): Promise<Refuse | End> {
    this.#user = attempt.user;
    const arrived = performance.now();
    const route = routeOf(this.#parts.state, this.#of.door, attempt.user);
    const barred = await this.#barred(route, attempt);
    if (barred !== undefined) return barred;
    switch (attempt.refused) {
      case 'wrong_signature':
        // The server counts it like a wrong password, and lets nobody in by it.
        return this.#count(route, attempt);
      case 'unusable_key':
        this.#hasOffered = true;
        if (!this.#hasExplainedKey) {
          this.#hasExplainedKey = true;
          return { outcome: 'refuse', sentence: `${attempt.error.message}\r\n` };
        }
        break;
      case 'method':
        if (attempt.method === 'password' || attempt.method === 'keyboard-interactive') {
          this.#record(newId(), route, attempt.user, { method: attempt.method, reason: 'password_off' });
        }
        break;
      case 'used_key':
        break;
    }
    await holdUntil(arrived + refusalMs);
    return { outcome: 'refuse' };
  }

  /** Locked pairs and banned sources are told so, whatever they try, and until when. */
  async #barred(route: Route, attempt: Attempt | RefusedAttempt): Promise<End | undefined> {
    const arrived = performance.now();
    const { state } = this.#parts;
    const { source } = this.#of;
    const bannedUntil = state.bannedUntil(source);
    const until = bannedUntil ?? state.lockedUntil(route.target, source);
    if (until === undefined) return undefined;
    const method = ['none', 'password', 'publickey', 'keyboard-interactive'] as const;
    this.#record(newId(), route, attempt.user, {
      method: method.find((name) => name === ('method' in attempt ? attempt.method : 'publickey')) ?? null,
      reason: bannedUntil === undefined ? 'locked' : 'banned',
    });
    await holdUntil(arrived + refusalMs);
    return end(`Too many failed attempts from ${source}: try again after ${shownTime(until)}.`);
  }

  #offer(route: Route, offered: OfferedKey): Decision {
    this.#hasOffered = true;
    const { state } = this.#parts;
    const isUsable = mayTry(state, route, this.#of.source) && isKnownKey(state, route, offered);
    return { outcome: isUsable ? 'usable' : 'refuse' };
  }

  async #count(
    route: Route,
    attempt: Extract<RefusedAttempt, { refused: 'wrong_signature' }>,
  ): Promise<Refuse | End> {
    const key = { ...shownKey(attempt), signature_ok: false };
    const decision = await this.#try(route, { ...attempt, method: 'publickey' }, { key });
    if (decision.outcome === 'refuse' || decision.outcome === 'end') return decision;
    throw new TypeError('a wrong signature was accepted');
  }

  async #try(route: Route, attempt: Asked, shown: { password?: string; key?: ShownKey }): Promise<Decision> {
    const arrived = performance.now();
    const id = newId();
    const tried = {
      method: attempt.method,
      fingerprint: attempt.method === 'publickey' ? fingerprint(attempt.key.blob) : null,
    };
    const refuse = async (reason: Refusal, sentence: string | null): Promise<Decision> => {
      this.#record(id, route, attempt.user, { ...tried, reason });
      await holdUntil(arrived + refusalMs);
      return { outcome: 'refuse', ...(sentence !== null && { sentence: `${sentence}\r\n` }) };
    };
    if (!mayTry(this.#parts.state, route, this.#of.source)) {
      // As it would be with the server, which is not asked.
      if (this.#parts.server.isUp) return refuse('not_allowed', null);
      await holdUntil(arrived + serverWaitMs);
      return this.#away(id, route, attempt.user, { ...tried, reason: 'not_allowed' });
    }
    let answer: AttemptAnswer;
    try {
      answer = await this.#parts.server.attempt(this.#request(id, route, attempt, shown), attempt.signal);
    } catch (error) {
      if (error instanceof ServerAway) {
        return this.#away(id, route, attempt.user, { ...tried, reason: 'unavailable' });
      }
      // The client did not wait for the answer. That it tried is to be seen nevertheless.
      this.#record(id, route, attempt.user, { ...tried, reason: null });
      throw error;
    }
    if (answer.outcome === 'end') {
      this.#record(id, route, attempt.user, { ...tried, reason: answer.reason });
      await holdUntil(arrived + refusalMs);
      return end(answer.sentence);
    }
    if (answer.outcome === 'refuse') return refuse(answer.reason, answer.sentence);
    if (!route.isUser) return refuse('unknown_name', null);
    const missing = 'grant' in answer ? missingOf(answer.grant, attempt) : undefined;
    if (missing !== undefined) return refuse('wrong_key', missing);
    return this.#enter(id, route, attempt, { way: route.way, ...tried }, answer);
  }

  #request(
    id: string,
    { way, target }: Route,
    { user, method }: Asked,
    { password = null, key = null }: { password?: string | null; key?: ShownKey | null },
  ): AttemptRequest {
    const { id: connection, door, source, sourcePort, transport, upstreamKey } = this.#of;
    return {
      id,
      connection,
      gateway: this.#parts.gateway,
      way,
      target,
      jumper: jumperOf(door),
      user,
      source,
      source_port: sourcePort,
      client: transport.remoteIdentification,
      method,
      password,
      key,
      upstream_key: upstreamKey.publicKey,
    };
  }

  /** The credential was right: what is left is the way to what it opens. */
  async #enter(
    id: string,
    route: Route,
    attempt: Asked,
    credential: Credential,
    answer: Exclude<AttemptAnswer, { outcome: 'refuse' | 'end' }>,
  ): Promise<Decision> {
    this.#of.onRight();
    const { user, signal } = attempt;
    const { method, fingerprint } = credential;
    if (answer.outcome === 'jump') {
      const { account, customer } = answer;
      if (route.account?.name !== account)
        throw new TypeError(`a login of ${route.target} became a jump of ${account}`);
      this.#entrance = { kind: 'jump', credential, account, customer };
      this.#record(id, route, user, { method, fingerprint, reason: null, accepted: { account, customer } });
      return { outcome: 'accept' };
    }
    const { grant } = answer;
    if (route.environment?.id !== grant.environment) {
      throw new TypeError(`a login at ${route.target} was granted ${grant.environment}`);
    }
    const accepted = { account: grant.account, customer: grant.customer };
    try {
      if (answer.outcome === 'wake' && answer.when === 'terminal') {
        const { sentence } = answer;
        this.#entrance = { kind: 'waiting', credential, grant, attempt: id, sentence };
      } else {
        const upstream = await this.#reach(id, attempt, grant, answer);
        this.#entrance = { kind: 'environment', credential, grant, upstream };
        // The client has left in the turn in which the environment answered.
        if (signal.aborted) this.end();
      }
    } catch (error) {
      if (signal.aborted || !(error instanceof Error)) {
        this.#record(id, route, user, { method, fingerprint, reason: null, accepted });
        throw error;
      }
      const isAway = error instanceof ServerAway;
      this.#record(id, route, user, { method, fingerprint, reason: isAway ? 'unavailable' : 'failed' });
      if (isAway) return end(awaySentence);
      const sentence = `${grant.environment} does not answer at the moment; try again.`;
      return end(error instanceof WakeFailed ? error.message : sentence);
    }
    this.#record(id, route, user, { method, fingerprint, reason: null, accepted });
    const { touchRequired, verificationRequired: userVerificationRequired } = grant;
    return { outcome: 'accept', policy: { touchRequired, userVerificationRequired } };
  }

  async #reach(
    attempt: string,
    { signal, sendBanner }: Asked,
    grant: Grant,
    answer: Extract<AttemptAnswer, { outcome: 'accept' | 'wake' }>,
  ): Promise<Transport> {
    const { transport, upstreamKey, source } = this.#of;
    const upstream =
      answer.outcome === 'accept'
        ? answer.upstream
        : await wakeEnvironment(this.#parts.server, { attempt, grant, source, upstreamKey, signal }, (line) =>
            sendBanner(`${line}\r\n`),
          );
    return dialUpstream(upstream, upstreamKey, transport, signal);
  }

  #away(id: string, route: Route, user: string, found: Found): End {
    this.#record(id, route, user, found);
    return end(awaySentence);
  }

  #record(id: string, { way, target, environment, account }: Route, user: string, found: Found): void {
    this.#hasTried = true;
    const { id: connection, door, source, sourcePort, transport } = this.#of;
    const { accepted, reason, method, fingerprint = null } = found;
    const record: AttemptRecord = {
      type: 'attempt',
      id,
      at: new Date().toISOString(),
      connection,
      way,
      target,
      jumper: jumperOf(door),
      user,
      source,
      source_port: sourcePort,
      client: transport.remoteIdentification,
      method,
      accepted: accepted !== undefined,
      reason,
      fingerprint,
      account: accepted?.account ?? null,
      customer: accepted?.customer ?? environment?.customer ?? account?.customer ?? null,
      count: 1,
    };
    this.#parts.recorder.record(record);
  }
}

interface Found {
  method: AttemptRecord['method'];
  fingerprint?: string | null;
  reason: Refusal | null;
  accepted?: { account: string | null; customer: number };
}

function jumperOf(door: Door): string | null {
  return door.kind === 'jump' ? door.jumper : null;
}

function shownKey(offered: OfferedKey & { verified?: VerifiedSignature }): ShownKey {
  const { algorithm, key, certificate, verified } = offered;
  const securityKey = verified?.securityKey;
  return {
    blob: key.blob.toString('base64'),
    certificate: certificate?.blob.toString('base64') ?? null,
    algorithm,
    signature_ok: true,
    security_key: securityKey
      ? { user_present: securityKey.userPresent, user_verified: securityKey.userVerified }
      : null,
  };
}

/** What the signature of a security key lacks, as a sentence for its owner. */
function missingOf(grant: Grant, attempt: Asked): string | undefined {
  const securityKey =
    'verified' in attempt && attempt.verified !== undefined ? attempt.verified.securityKey : undefined;
  if (securityKey === undefined) return undefined;
  if (grant.touchRequired && !securityKey.userPresent)
    return 'This security key must be touched to log in here.';
  if (grant.verificationRequired && !securityKey.userVerified) {
    return 'This security key must be unlocked by its PIN or a finger to log in here.';
  }
  return undefined;
}

function end(sentence: string): End {
  return { outcome: 'end', reason: disconnectReason.byApplication, sentence };
}

/** `2026-05-01 09:30 UTC`, rounded up: at that minute it is over. */
function shownTime(time: Date): string {
  const minute = new Date(Math.ceil(time.getTime() / 60_000) * 60_000);
  return `${minute.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

async function holdUntil(time: number): Promise<void> {
  const left = time - performance.now();
  if (left > 0) await pause(left);
}
