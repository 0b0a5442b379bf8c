/**
 * Who gets in: decides on each attempt that a gateway asks about (POST /control/attempts), whatever its way in.
 *
 * What is wrong is answered alike, in the same time, whether there is such an environment or not: each failure is
 * counted by target and source in one statement, unknown names too, and a password is compared with one that nobody has
 * where there is none. What opens by a key costs no query.
 */
import { countedSource } from '@berth/contract';
import type { AttemptAnswer, AttemptRequest, Grant, Refusal } from '@berth/contract';
import { parseNetwork } from '@berth/ssh';
import type { Network } from '@berth/ssh';
import type { Directory, KnownAccount, KnownCustomer, KnownEnvironment } from '../control/directory.ts';
import { findUpstream } from '../control/upstream.ts';
import type { Services } from '../http/app.ts';
import type { Pair } from '../lockouts/login-failures.ts';
import type { Reservation } from '../lockouts/table.ts';
import { passwordMatches } from './password.ts';
import { checkShownKey, missingOf, proofByPassword } from './proof.ts';
import type { Door, Proof } from './proof.ts';
import { wasConnectedAt } from './table.ts';

/** What the attempt leads to. */
interface Target {
  /** Of what a failure is counted. */
  pair: Pair;
  /** Where everything but the credentials fits; null: nothing is right. */
  place: Place | null;
  /** Why, where that is null. */
  refusal: Refusal;
}

type Place =
  | { environment: KnownEnvironment; customer: KnownCustomer }
  /** Of the outer session of a jump. */
  | { account: KnownAccount; customer: KnownCustomer };

/**
 * @param signal nobody waits for the answer any more: what was not compared by then is not
 * @throws RuntimeError when the runtime has to be asked where the environment is, and does not answer
 */
export async function decideAttempt(
  services: Services,
  request: AttemptRequest,
  signal: AbortSignal,
): Promise<AttemptAnswer> {
  const { directory } = services;
  const target = findTarget(directory, request);
  const { pair } = target;
  const bannedUntil = directory.bannedUntil(pair.source);
  if (bannedUntil) return banned(services, request, bannedUntil);
  const lockedUntil = directory.lockedUntil(pair.target, pair.source);
  if (lockedUntil) return locked(services, request, 'locked', lockedUntil);
  return request.key === null
    ? decidePassword(services, request, target, signal)
    : decideKey(services, request, target, signal);
}

function findTarget(directory: Directory, request: AttemptRequest): Target {
  const { way, target: name, user, jumper } = request;
  const pair: Pair = {
    // No text in the database holds a zero character, or half of one.
    target: name.toWellFormed().replaceAll('\0', '\u{FFFD}'),
    source: countedSource(request.source),
    envId: null,
    customerId: null,
  };
  const refused = (refusal: Refusal): Target => ({ pair, place: null, refusal });
  if (way === 'jump-login') {
    const account = directory.account(name);
    const customer = account && directory.customer(account.customerId);
    if (!account || !customer) return refused('unknown_name');
    pair.customerId = customer.id;
    if (!mayJump(directory, customer, request.source)) return refused('not_allowed');
    return { pair, place: { account, customer }, refusal: 'wrong_key' };
  }
  const environment = directory.environment(name);
  const customer = environment && directory.customer(environment.customerId);
  if (!environment || !customer) return refused('unknown_name');
  pair.envId = environment.id;
  pair.customerId = customer.id;
  if (way !== 'shared-port' && user !== environment.username) return refused('unknown_name');
  const isJump = way === 'jump';
  if (isJump && (jumper === null || directory.account(jumper)?.customerId !== customer.id))
    return refused('unknown_name');
  if (!isAllowed(request.source, environment.allowlist, customer.allowlist)) return refused('not_allowed');
  return { pair, place: { environment, customer }, refusal: 'wrong_password' };
}

/** Whether a jump could lead anywhere from that address: what it leads to is looked at again there. */
function mayJump(directory: Directory, { id, allowlist }: KnownCustomer, source: string): boolean {
  if (isAllowed(source, allowlist)) return true;
  return [...directory.environmentsOf(id)].some((environment) =>
    isAllowed(source, environment.allowlist, allowlist),
  );
}

async function decideKey(
  services: Services,
  request: AttemptRequest,
  target: Target,
  signal: AbortSignal,
): Promise<AttemptAnswer> {
  const { directory, loginFailures, settings, logger } = services;
  const { pair, place } = target;
  const { key, source, id } = request;
  const proof = key && checkShownKey(directory, key, place && doorOf(place), source);
  if (key && proof && !('refusal' in proof) && place) {
    // Nothing was guessed, so nothing is counted.
    const missing = missingOf(proof, key);
    if (missing !== null) return refuseRight('wrong_signature', missing);
    const answer = await letIn(services, request, place, proof);
    loginFailures.forgetSoon(pair);
    return answer;
  }
  if (proof && 'refusal' in proof && proof.why !== undefined)
    logger.debug({ attempt: id, why: proof.why }, 'a certificate was refused');
  const refusal = place && proof && 'refusal' in proof ? proof.refusal : target.refusal;
  return loginFailures.inTurn(pair.source, async () => {
    signal.throwIfAborted();
    const reserved = await loginFailures.reserve(id, pair, settings);
    return (
      closed(services, request, reserved) ?? (await refuse(services, request, target, reserved, refusal))
    );
  });
}

async function decidePassword(
  services: Services,
  request: AttemptRequest,
  target: Target,
  signal: AbortSignal,
): Promise<AttemptAnswer> {
  const { loginFailures, settings, keyRing } = services;
  const { pair, place } = target;
  const { id, password } = request;
  const environment = place && 'environment' in place ? place.environment : null;
  const answer = await loginFailures.inTurn(pair.source, async () => {
    signal.throwIfAborted();
    const reserved = await loginFailures.reserve(id, pair, settings);
    const answer = closed(services, request, reserved);
    if (answer) return answer;
    const isOver =
      reserved.pairFailures > settings['lockout.failures'] ||
      reserved.sourceFailures > settings['ban.failures'];
    if (isOver) return refuse(services, request, target, reserved, 'locked');
    let matches: boolean;
    try {
      const sealed = environment === null ? null : reserved.password;
      matches = passwordMatches(keyRing, password ?? '', environment?.id ?? '', sealed);
    } catch (error) {
      await loginFailures.takeBack(id);
      throw error;
    }
    if (!matches) {
      const isOff = environment !== null && reserved.password === null;
      const refusal = isOff || (place && 'account' in place) ? 'password_off' : target.refusal;
      return refuse(services, request, target, reserved, refusal);
    }
    await loginFailures.forget(pair);
    return null;
  });
  if (answer !== null) return answer;
  // Only an environment's password can be right.
  return letIn(services, request, place as Place, proofByPassword);
}

function doorOf(place: Place): Door {
  const { customer } = place;
  if ('account' in place) return { customer, account: place.account.name, principals: [place.account.name] };
  const { id, username } = place.environment;
  return { customer, account: null, principals: [id, username] };
}

const networks = new WeakMap<readonly string[], Network[]>();

/** No entry in any: everybody is. The directory hands out the same list until it changes. */
function isAllowed(source: string, ...lists: readonly string[][]): boolean {
  if (lists.every((list) => list.length === 0)) return true;
  return lists.some((list) => {
    const read = networks.get(list) ?? list.map((each) => parseNetwork(each));
    networks.set(list, read);
    return read.some((network) => network.contains(source));
  });
}

/** Everything is right but, perhaps, that there is something to go to. */
async function letIn(
  services: Services,
  request: AttemptRequest,
  place: Place,
  proof: Proof,
): Promise<AttemptAnswer> {
  if ('account' in place) {
    const { account } = place;
    // A jump is a forwarding.
    if (!proof.forwarding.local)
      return refuseRight('wrong_certificate', 'This certificate permits no forwarding, which a jump is.');
    return {
      outcome: 'jump',
      account: account.name,
      customer: account.customerId,
      fingerprint: proof.fingerprint ?? '',
      keyName: proof.keyName ?? '',
    };
  }
  const { environment } = place;
  const { id, status, wake, forwarding } = environment;
  const grant: Grant = {
    environment: id,
    customer: environment.customerId,
    account: proof.account ?? (request.way === 'jump' ? request.jumper : null),
    keyName: proof.keyName,
    fingerprint: proof.fingerprint,
    forwarding: {
      local: forwarding.local && proof.forwarding.local,
      remote: forwarding.remote && proof.forwarding.remote,
      agent: forwarding.agent && proof.forwarding.agent,
      x11: forwarding.x11 && proof.forwarding.x11,
      sftp: forwarding.sftp && proof.forwarding.sftp,
    },
    terminal: proof.terminal,
    forceCommand: proof.forceCommand,
    touchRequired: proof.touchRequired,
    verificationRequired: proof.verificationRequired,
  };
  switch (status) {
    case 'running': {
      const upstream = await findUpstream(services, {
        attempt: request.id,
        environment,
        upstreamKey: request.upstream_key,
        forwarding: grant.forwarding,
        forceCommand: grant.forceCommand,
      });
      return upstream === null
        ? { outcome: 'wake', grant, when: 'now' }
        : { outcome: 'accept', grant, upstream };
    }
    case 'creating':
    case 'starting':
    case 'restarting':
      return { outcome: 'wake', grant, when: 'now' };
    case 'stopping':
    case 'stopped':
      return wake
        ? wakeStopped(services, request, environment, grant)
        : refuseRight(
            'not_running',
            `The environment ${id} is ${status}, and logins do not start it. Start it with: berth start ${id}`,
          );
    case 'failed':
      return refuseRight(
        'failed',
        `The environment ${id} failed to start. Why, and what helps, is shown by: berth show ${id}, berth events ${id}`,
      );
    case 'deleting':
      return refuseRight('not_running', `The environment ${id} is being deleted.`);
  }
}

/** An editor that connects again by itself must not undo a person's stop. */
async function wakeStopped(
  { database, settings }: Services,
  request: AttemptRequest,
  { id, stopAskedAt }: KnownEnvironment,
  grant: Grant,
): Promise<AttemptAnswer> {
  const quietMs = settings.wakeQuietMinutes * 60_000;
  const quietUntil = stopAskedAt && new Date(stopAskedAt.getTime() + quietMs);
  if (!stopAskedAt || !quietUntil || quietUntil.getTime() <= Date.now())
    return { outcome: 'wake', grant, when: 'now' };
  const { fingerprint, account } = grant;
  const who = { source: request.source, fingerprint, account };
  if (!(await wasConnectedAt(database, id, stopAskedAt, who))) return { outcome: 'wake', grant, when: 'now' };
  return {
    outcome: 'wake',
    grant,
    when: 'terminal',
    sentence: `The environment ${id} was stopped a moment ago. Until ${minute(quietUntil)} only a login with a terminal starts it again: ssh -t, or berth start ${id}`,
  };
}

/** For whoever has shown the right credentials. */
function refuseRight(reason: Refusal, sentence: string): AttemptAnswer {
  return { outcome: 'refuse', reason, sentence };
}

/** Locked or banned by what another server has counted a moment ago. */
function closed(
  services: Services,
  request: AttemptRequest,
  { lockedUntil, bannedUntil }: Reservation,
): AttemptAnswer | null {
  if (bannedUntil) return banned(services, request, bannedUntil);
  return lockedUntil && locked(services, request, 'locked', lockedUntil);
}

async function refuse(
  services: Services,
  request: AttemptRequest,
  { pair }: Target,
  reserved: Reservation,
  reason: Refusal,
): Promise<AttemptAnswer> {
  const { loginFailures, settings } = services;
  const { lockedUntil, bannedUntil } = await loginFailures.follow(pair, reserved, settings);
  if (bannedUntil) return banned(services, request, bannedUntil);
  if (lockedUntil) return locked(services, request, reason, lockedUntil);
  return { outcome: 'refuse', reason, sentence: null };
}

/** Unknown names lock as well, so that this gives nothing away. */
function locked(
  { settings }: Services,
  request: AttemptRequest,
  reason: Refusal,
  until: Date,
): AttemptAnswer {
  const sentence = `Locked until ${minute(until)} after ${settings['lockout.failures']} failed logins from ${from(request)}. Try again then, or ask whoever runs this Berth.`;
  return { outcome: 'refuse', reason, sentence };
}

function banned({ settings }: Services, request: AttemptRequest, until: Date): AttemptAnswer {
  const sentence = `Nothing is accepted from ${from(request)} until ${minute(until)}, after ${settings['ban.failures']} failed logins.`;
  return { outcome: 'end', reason: 'banned', sentence };
}

function from({ source }: AttemptRequest): string {
  return countedSource(source);
}

/** `2026-11-24 19:05 UTC`, and never too early. */
function minute(moment: Date): string {
  const whole = new Date(Math.ceil(moment.getTime() / 60_000) * 60_000).toISOString();
  return `${whole.slice(0, 10)} ${whole.slice(11, 16)} UTC`;
}
