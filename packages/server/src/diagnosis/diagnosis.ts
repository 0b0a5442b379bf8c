/**
 * The diagnosis of an environment: looks at everything between a person and a shell in it, all at the same time, and says
 * what is a problem and what helps. Each look has its own time, so that what hangs costs only what it was to tell.
 *
 * A route asks for it, and the reconciler when an environment fails, before it cleans up.
 */
import {
  BerthError,
  canonicalAddress,
  diagnosisChecks,
  findings,
  longestDiagnosisMs,
  sentencesOf,
} from '@berth/contract';
import type { CheckResult, DiagnoseEnvironment, Diagnosis, DiagnosisCheck } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Asker } from '../audit/audit.ts';
import type { Services } from '../http/app.ts';
import type { Failing } from '../reconciler/converge.ts';
import { RuntimeError } from '../runtime/runtime.ts';
import { found } from './found.ts';
import type { Found } from './found.ts';
import * as container from './looks/container.ts';
import * as credentials from './looks/credentials.ts';
import * as machine from './looks/machine.ts';
import * as ports from './looks/ports.ts';
import * as whereFrom from './looks/source.ts';
import { Scene } from './scene.ts';
import { readEnvironment } from './table.ts';

type Look = (scene: Scene) => Promise<Found> | Found;

const looks: Record<DiagnosisCheck, Look> = {
  ...machine,
  ...container,
  ...ports,
  ...whereFrom,
  password: credentials.password,
  key: credentials.key,
};

const everything = Object.keys(diagnosisChecks) as DiagnosisCheck[];
/** What may be why a start fails; who may come in does not matter then. */
const ofFailures = [
  ...['runtime', 'image', 'datasets', 'room', 'container', 'memory', 'disk'],
  ...['sshd', 'host_key', 'own_port'],
] as DiagnosisCheck[];

/** Less than the whole may take: what looks share begins at once, and whoever waits for it has the same time. */
const lookMs = 6_000;
const lookAtFailureMs = 4_000;
/** Diagnoses at a time: each runs programs in a container and on the machine. */
const mostAtOnce = 8;
let underWay = 0;

/** @throws BerthError `not_found`, `bad_request` for what is no address, `unavailable` while too many are under way */
export async function diagnose(
  services: Services,
  asker: Asker,
  id: string,
  query: DiagnoseEnvironment,
  signal: AbortSignal,
): Promise<Diagnosis> {
  const began = performance.now();
  const { principal } = asker;
  const source = query.source === undefined ? ownAddress(asker) : addressOf(query.source);
  const subject = await readEnvironment(services.database, id, visibleCustomer(principal));
  if (!subject) throw new BerthError('not_found', `There is no environment ${JSON.stringify(id)}.`);
  if (underWay >= mostAtOnce) {
    throw new BerthError('unavailable', `${underWay} diagnoses are under way; no more are made at a time.`);
  }
  underWay += 1;
  try {
    const question = {
      forAdministrator: principal.role === 'admin',
      source,
      fingerprint: query.fingerprint ?? null,
      certificate: query.certificate ?? null,
    };
    const late = AbortSignal.any([signal, AbortSignal.timeout(longestDiagnosisMs)]);
    const scene = new Scene({ services, subject, question, failing: null, signal: late });
    const checks = await lookAt(scene, everything, lookMs);
    return {
      env_id: id,
      at: new Date().toISOString(),
      source,
      healthy: checks.every(({ verdict }) => verdict !== 'problem'),
      checks,
      duration_ms: Math.round(performance.now() - began),
    };
  } finally {
    underWay -= 1;
  }
}

/** What is found to be a problem while its start fails; nothing is changed by it. Never throws. */
export async function examineFailure(
  services: Services,
  id: string,
  failing: Failing,
): Promise<CheckResult[]> {
  try {
    const subject = await readEnvironment(services.database, id, null);
    if (!subject) return [];
    const question = { forAdministrator: false, source: null, fingerprint: null, certificate: null };
    const signal = AbortSignal.any([services.stopping, AbortSignal.timeout(lookAtFailureMs)]);
    const scene = new Scene({ services, subject, question, failing, signal });
    // Behind the gateway its own port is none of the container's, and may not be open yet.
    const checks = ofFailures.filter((check) => check !== 'own_port' || subject.exposure === 'direct');
    const results = await lookAt(scene, checks, lookAtFailureMs);
    return results.filter(({ verdict }) => verdict === 'problem');
  } catch (error) {
    services.logger.warn(
      { error: (error as Error).message, environment: id },
      'a failure could not be examined',
    );
    return [];
  }
}

function lookAt(scene: Scene, checks: DiagnosisCheck[], withinMs: number): Promise<CheckResult[]> {
  return Promise.all(
    checks.map(async (check) => resultOf(scene, check, await inTime(scene, check, withinMs))),
  );
}

async function inTime(scene: Scene, check: DiagnosisCheck, withinMs: number): Promise<Found> {
  const late = Promise.withResolvers<Found>();
  const timer = setTimeout(
    () => late.resolve(found('look_timed_out', { seconds: withinMs / 1000 })),
    withinMs,
  );
  const looking = Promise.try(looks[check], scene).catch((error: unknown) => notSeen(scene, check, error));
  try {
    return await Promise.race([looking, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function notSeen({ services, subject, signal }: Scene, check: DiagnosisCheck, error: unknown): Found {
  if (error instanceof RuntimeError)
    return error.code === 'unavailable'
      ? found('engine_silent')
      : found('look_failed', { reason: `${error.message} ${error.cure}` });
  if (!signal.aborted)
    services.logger.warn(
      { error: (error as Error).message, environment: subject.id, check },
      'a look of a diagnosis failed',
    );
  return found('look_failed', { reason: 'Berth made a mistake.' });
}

function resultOf({ subject }: Scene, check: DiagnosisCheck, { code, facts }: Found): CheckResult {
  const all = { environment: subject.id, ...facts };
  return {
    id: check,
    looked_at: diagnosisChecks[check],
    verdict: findings[code].verdict,
    code,
    ...sentencesOf(code, all),
    facts: all,
  };
}

/** Of whoever asks; null through the socket on the machine itself. */
function ownAddress({ source }: Asker): string | null {
  return source === null ? null : (canonicalAddress(source) ?? null);
}

/** @throws BerthError `bad_request` */
function addressOf(text: string): string {
  const address = canonicalAddress(text);
  if (address !== undefined) return address;
  throw new BerthError('bad_request', `source: is ${JSON.stringify(text)}, which is no address.`, {
    field: 'source',
    cure: 'Write one such as 203.0.113.7 or 2001:db8::7, or leave it out for the one that asks.',
  });
}
