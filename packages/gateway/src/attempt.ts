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

type Asked = Extract<Attempt, { method: AttemptRequest['method'] }>;
type Granted = Exclude<AttemptAnswer, { outcome: 'refuse' | 'end' }>;

/** What somebody tries to get in with. */
interface Shown {
  method: AttemptRequest['method'];
  password?: string;
  key?: ShownKey;
}

/** The same of what comes before, or instead of, a credential. */
interface Named {
  method: AttemptRecord['method'];
  key?: ShownKey;
}

interface Tried {
  id: string;
  route: Route;
  user: string;
  shown: Shown;
  /** By performance.now(). */
  arrived: number;
}

interface Found {
  reason: Refusal | null;
  accepted?: { account: string | null; customer: number };
}

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
    this.#record(
      { id: newId(), route, user: this.#user, shown: { method: 'publickey' } },
      { reason: 'wrong_key' },
    );
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
        return this.#try(route, attempt, { method: 'publickey', key: shownKey(attempt, attempt.verified) });
      case 'password':
        return this.#try(route, attempt, { method: 'password', password: attempt.password });
      case 'keyboard-interactive': {
        const [password = ''] = await attempt.prompt({ prompts: [{ text: 'Password: ', echo: false }] });
        // What it leads to may have changed while the person was typing.
        const now = routeOf(this.#parts.state, this.#of.door, attempt.user);
        return (
          (await this.#barred(now, attempt)) ?? this.#try(now, attempt, { method: attempt.method, password })
        );
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
      case 'wrong_signature': {
        // The server counts it like a wrong password; whatever it says, nobody gets in by it.
        const shown = { method: 'publickey', key: shownKey(attempt, undefined) } as const;
        const asked = await this.#ask(
          { id: newId(), route, user: attempt.user, shown, arrived },
          attempt.signal,
        );
        return 'decision' in asked ? asked.decision : { outcome: 'refuse' };
      }
      case 'unusable_key':
        this.#hasOffered = true;
        if (!this.#hasExplainedKey) {
          this.#hasExplainedKey = true;
          return { outcome: 'refuse', sentence: `${attempt.error.message}\r\n` };
        }
        break;
      case 'method':
        if (attempt.method === 'password' || attempt.method === 'keyboard-interactive') {
          const { user, method } = attempt;
          this.#record({ id: newId(), route, user, shown: { method } }, { reason: 'password_off' });
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
    const reason = bannedUntil === undefined ? 'locked' : 'banned';
    this.#record(
      { id: newId(), route, user: attempt.user, shown: { method: methodOf(attempt) } },
      { reason },
    );
    await holdUntil(arrived + refusalMs);
    const what = reason === 'locked' ? 'Locked' : 'Banned';
    const why = `after too many failed logins from ${source}`;
    return end(`${what} until ${shownTime(until)} ${why}. Try again then, or ask whoever runs this Berth.`);
  }

  #offer(route: Route, offered: OfferedKey): Decision {
    this.#hasOffered = true;
    const { state } = this.#parts;
    const isUsable = mayTry(state, route, this.#of.source) && isKnownKey(state, route, offered);
    return { outcome: isUsable ? 'usable' : 'refuse' };
  }

  async #try(route: Route, attempt: Asked, shown: Shown): Promise<Decision> {
    const tried = { id: newId(), route, user: attempt.user, shown, arrived: performance.now() };
    const asked = await this.#ask(tried, attempt.signal);
    if ('decision' in asked) return asked.decision;
    const { granted } = asked;
    const missing = 'grant' in granted ? missingOf(granted.grant, shown.key) : undefined;
    return missing === undefined
      ? this.#enter(tried, attempt, granted)
      : this.#refuse(tried, 'wrong_key', missing);
  }

  /** Asks the server. Who is not let in is recorded here, and told when the time has come. */
  async #ask(tried: Tried, signal: AbortSignal): Promise<{ decision: Refuse | End } | { granted: Granted }> {
    const { state, server } = this.#parts;
    const { route, shown, arrived } = tried;
    if (!mayTry(state, route, this.#of.source)) {
      // As it would be with the server, which is not asked.
      if (server.isUp) return { decision: await this.#refuse(tried, 'not_allowed') };
      await holdUntil(arrived + serverWaitMs);
      return { decision: this.#away(tried, 'not_allowed') };
    }
    let answer: AttemptAnswer;
    try {
      answer = await server.attempt(this.#request(tried), signal);
    } catch (error) {
      if (error instanceof ServerAway) return { decision: this.#away(tried, 'unavailable') };
      // The client did not wait for the answer. That it tried is to be seen nevertheless.
      this.#record(tried, { reason: null });
      throw error;
    }
    if (answer.outcome === 'refuse')
      return { decision: await this.#refuse(tried, answer.reason, answer.sentence) };
    if (answer.outcome === 'end') {
      this.#record(tried, { reason: answer.reason });
      await holdUntil(arrived + refusalMs);
      return { decision: end(answer.sentence) };
    }
    if (!route.isUser) return { decision: await this.#refuse(tried, 'unknown_name') };
    if (shown.key?.signature_ok === false) return { decision: await this.#refuse(tried, 'wrong_signature') };
    return { granted: answer };
  }

  async #refuse(tried: Tried, reason: Refusal, sentence: string | null = null): Promise<Refuse> {
    this.#record(tried, { reason });
    await holdUntil(tried.arrived + refusalMs);
    return { outcome: 'refuse', ...(sentence !== null && { sentence: `${sentence}\r\n` }) };
  }

  #away(tried: Tried, reason: Refusal): End {
    this.#record(tried, { reason });
    return end(awaySentence);
  }

  #request({ id, route, user, shown }: Tried): AttemptRequest {
    const { id: connection, door, source, sourcePort, transport, upstreamKey } = this.#of;
    return {
      id,
      connection,
      gateway: this.#parts.gateway,
      way: route.way,
      target: route.target,
      jumper: jumperOf(door),
      user,
      source,
      source_port: sourcePort,
      client: transport.remoteIdentification,
      method: shown.method,
      password: shown.password ?? null,
      key: shown.key ?? null,
      upstream_key: upstreamKey.publicKey,
    };
  }

  /** The credential was right: what is left is the way to what it opens. */
  async #enter(tried: Tried, attempt: Asked, answer: Granted): Promise<Decision> {
    this.#of.onRight();
    const { route, shown, id } = tried;
    const credential = { way: route.way, method: shown.method, fingerprint: fingerprintOf(shown) };
    if (answer.outcome === 'jump') {
      const { account, customer } = answer;
      if (route.account?.name !== account) {
        throw new TypeError(`a login of ${route.target} became a jump of ${account}`);
      }
      this.#entrance = { kind: 'jump', credential, account, customer };
      this.#record(tried, { reason: null, accepted: { account, customer } });
      return { outcome: 'accept' };
    }
    const { grant } = answer;
    if (route.environment?.id !== grant.environment) {
      throw new TypeError(`a login at ${route.target} was granted ${grant.environment}`);
    }
    if (answer.outcome === 'wake' && answer.when === 'terminal') {
      this.#entrance = { kind: 'waiting', credential, grant, attempt: id, sentence: answer.sentence };
    } else {
      try {
        const upstream = await this.#reach(id, attempt, grant, answer);
        this.#entrance = { kind: 'environment', credential, grant, upstream };
      } catch (error) {
        // Who does not wait for a start was let in nevertheless.
        if (!attempt.signal.aborted) return this.#failed(tried, grant, error);
      }
    }
    this.#record(tried, { reason: null, accepted: { account: grant.account, customer: grant.customer } });
    // In the turn in which the environment answered, perhaps.
    if (attempt.signal.aborted) this.end();
    const { touchRequired, verificationRequired: userVerificationRequired } = grant;
    return { outcome: 'accept', policy: { touchRequired, userVerificationRequired } };
  }

  #failed(tried: Tried, { environment }: Grant, error: unknown): End {
    if (error instanceof ServerAway) return this.#away(tried, 'unavailable');
    this.#record(tried, { reason: 'failed' });
    return end(
      error instanceof WakeFailed
        ? error.message
        : `${environment} does not answer at the moment; try again.`,
    );
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

  #record(
    { id, route, user, shown }: Pick<Tried, 'id' | 'route' | 'user'> & { shown: Named },
    found: Found,
  ): void {
    this.#hasTried = true;
    const { id: connection, door, source, sourcePort, transport } = this.#of;
    const { way, target, environment, account } = route;
    const { accepted, reason } = found;
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
      method: shown.method,
      accepted: accepted !== undefined,
      reason,
      fingerprint: fingerprintOf(shown),
      account: accepted?.account ?? null,
      customer: accepted?.customer ?? environment?.customer ?? account?.customer ?? null,
      count: 1,
    };
    this.#parts.recorder.record(record);
  }
}

function jumperOf(door: Door): string | null {
  return door.kind === 'jump' ? door.jumper : null;
}

function methodOf(attempt: Attempt | RefusedAttempt): AttemptRecord['method'] {
  const name = 'method' in attempt ? attempt.method : 'publickey';
  return (
    (['none', 'password', 'publickey', 'keyboard-interactive'] as const).find((each) => each === name) ?? null
  );
}

/** @param verified undefined: the signature is not good */
function shownKey(
  { algorithm, key, certificate }: OfferedKey,
  verified: VerifiedSignature | undefined,
): ShownKey {
  const securityKey = verified?.securityKey;
  return {
    blob: key.blob.toString('base64'),
    certificate: certificate?.blob.toString('base64') ?? null,
    algorithm,
    signature_ok: verified !== undefined,
    security_key: securityKey
      ? { user_present: securityKey.userPresent, user_verified: securityKey.userVerified }
      : null,
  };
}

function fingerprintOf({ key }: Named): string | null {
  return key === undefined ? null : fingerprint(Buffer.from(key.blob, 'base64'));
}

/** What the signature of a security key lacks, as a sentence for its owner. */
function missingOf(grant: Grant, key: ShownKey | undefined): string | undefined {
  const said = key?.security_key ?? null;
  if (said === null) return undefined;
  if (grant.touchRequired && !said.user_present) return 'This security key must be touched to log in here.';
  if (grant.verificationRequired && !said.user_verified) {
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
