/**
 * How each part of the platform is: looked at side by side, each for some seconds at most, so that an answer comes also when
 * one of them hangs.
 */
import { statfs } from 'node:fs/promises';
import { healthResults } from '@berth/contract';
import type { HealthCheck, HealthCheckName, PlatformHealth } from '@berth/contract';
import { sql } from 'kysely';
import type { Services } from '../http/app.ts';
import { countPorts } from '../ports/table.ts';
import { lastBackupAt, liveGateways, queueOf, unsealedOf } from './table.ts';

const lookMs = 5000;
const gibibyte = 1024 ** 3;
const dayMs = 24 * 60 * 60 * 1000;
/** As `berth doctor` has them. */
const scarceBytes = 10 * gibibyte;
const fullBytes = gibibyte;
const certificateDays = 21;
const backupDays = 7;
/** The reconciler takes what is due within two seconds, and sealing what is new within one. */
const lateMs = 30_000;
/** Of all ports. */
const scarcePorts = 0.05;

type Finding = Omit<HealthCheck, 'name'>;
type Facts = HealthCheck['facts'];

const ok = (detail: string, facts: Facts = {}): Finding => ({ result: 'ok', detail, cure: null, facts });
const warning = (detail: string, cure: string, facts: Facts = {}): Finding => ({
  result: 'warning',
  detail,
  cure,
  facts,
});
const failed = (detail: string, cure: string, facts: Facts = {}): Finding => ({
  result: 'failed',
  detail,
  cure,
  facts,
});

type Look = (services: Services, signal: AbortSignal) => Promise<Finding> | Finding;

const looks: Record<HealthCheckName, Look> = {
  async database({ database, platform }) {
    const began = performance.now();
    await sql`select 1`.execute(database);
    const milliseconds = Math.round((performance.now() - began) * 10) / 10;
    const facts = { kind: platform.databaseKind, milliseconds };
    return ok(`${platform.databaseKind} answers in ${milliseconds} ms.`, facts);
  },

  runtime({ platform, settings }) {
    const { runtimeFault, runtimeLostSince } = platform;
    const facts = { runtime: settings.runtime, lost_since: runtimeLostSince?.toISOString() ?? null };
    return runtimeFault === null
      ? ok(`${settings.runtime} answers.`, facts)
      : failed(
          `${settings.runtime}: ${runtimeFault}`,
          'Start it, or look at its log; Berth goes on by itself.',
          facts,
        );
  },

  async gateways({ database, settings }) {
    const workers = await liveGateways(database);
    const serving = workers.filter(({ draining }) => !draining).length;
    const connections = workers.reduce((sum, worker) => sum + worker.connections, 0);
    const facts = { serving, draining: workers.length - serving, connections };
    if (serving > 0)
      return ok(
        `${serving} serve ${connections} connections; ${facts.draining} are on their way out.`,
        facts,
      );
    return settings.sharedPort === 0 && settings.exposure === 'direct'
      ? ok('None is there, and none is needed.', facts)
      : failed('None is there: nobody gets in by SSH.', 'Start one: "berth up" starts its own.', facts);
  },

  async data_disk({ folder }) {
    const { bavail, bsize } = await statfs(folder.path);
    return room(bavail * bsize, folder.path, 'The database cannot be written on a full disk.');
  },

  async runtime_disk({ runtime }, signal) {
    const { disk } = await runtime.machineRoom(signal);
    return room(disk.freeBytes, disk.place, 'Environments and images have no room on a full disk.');
  },

  certificate({ certificate, controlCertificate }) {
    const all = [certificate, controlCertificate].flatMap((each) => each?.expires ?? []);
    const [first] = all.toSorted((one, other) => one.getTime() - other.getTime());
    if (first === undefined) return ok('None is used.', { expires: null, days: null });
    const days = Math.floor((first.getTime() - Date.now()) / dayMs);
    const facts = { expires: first.toISOString(), days };
    const renew = 'Renew it; Berth takes the changed files over by itself.';
    if (days < 0) return failed(`It expired on ${day(first)}.`, renew, facts);
    const detail = `It expires on ${day(first)}, in ${days} days.`;
    return days < certificateDays ? warning(detail, renew, facts) : ok(detail, facts);
  },

  async ports({ database, settings: { portRange, portRestSeconds } }) {
    const ports = await countPorts(database, portRange, portRestSeconds);
    const { used, resting, free } = ports;
    const detail = `${used} used, ${resting} resting, ${free} free.`;
    const cure =
      'Enlarge portRange, or let environments go without an own port: the shared port has no limit.';
    if (free === 0 && resting === 0) return failed(detail, cure, ports);
    const isScarce = free < (portRange.last - portRange.first + 1) * scarcePorts;
    return isScarce ? warning(detail, cure, ports) : ok(detail, ports);
  },

  async queue({ database }) {
    const { waiting, oldestDueAt } = await queueOf(database);
    const oldestMs = oldestDueAt === null ? 0 : Date.now() - oldestDueAt.getTime();
    const facts = { waiting, oldest_due_at: oldestDueAt?.toISOString() ?? null };
    if (waiting === 0) return ok('Nothing waits.', facts);
    const detail = `${waiting} wait, the oldest for ${seconds(oldestMs)} s.`;
    return oldestMs > lateMs
      ? warning(detail, "Look into the server's log: what it works on takes long, or fails.", facts)
      : ok(detail, facts);
  },

  async audit({ database }) {
    const { rows, oldestAt } = await unsealedOf(database);
    const lagMs = oldestAt === null ? 0 : Date.now() - oldestAt.getTime();
    const facts = { unsealed: rows, oldest_at: oldestAt?.toISOString() ?? null };
    const detail = rows === 0 ? 'All is sealed.' : `${rows} wait for their seal, up to ${seconds(lagMs)} s.`;
    return lagMs > lateMs
      ? warning(detail, "Look into the server's log for why the audit log is not sealed.", facts)
      : ok(detail, facts);
  },

  async backup({ database }) {
    const last = await lastBackupAt(database);
    const facts = { last_at: last?.toISOString() ?? null };
    const cure = 'Make one regularly: berth backup FILE';
    if (last === null) return warning('The audit log knows of none.', cure, facts);
    const days = Math.floor((Date.now() - last.getTime()) / dayMs);
    return days >= backupDays
      ? warning(`The last one was made ${days} days ago.`, cure, facts)
      : ok(`The last one was made on ${day(last)}.`, facts);
  },
};

export async function healthOf(services: Services): Promise<PlatformHealth> {
  const { database, platform } = services;
  const names = Object.keys(looks) as HealthCheckName[];
  const [workers, ...checks] = await Promise.all([
    inTime(() => liveGateways(database)).catch(() => []),
    ...names.map((name) => check(name, services)),
  ]);
  const worst = Math.max(...checks.map(({ result }) => healthResults.indexOf(result)));
  return {
    at: new Date().toISOString(),
    result: healthResults[worst] ?? 'unknown',
    checks,
    gateways: workers.map(({ started_at, seen_at, ...worker }) =>
      Object.assign(worker, { started_at: started_at.toISOString(), seen_at: seen_at.toISOString() }),
    ),
    versions: { berth: platform.version, node: process.versions.node, database: platform.databaseKind },
  };
}

async function check(name: HealthCheckName, services: Services): Promise<HealthCheck> {
  try {
    return { name, ...(await inTime((signal) => looks[name](services, signal))) };
  } catch (error) {
    const isDatabase = name === 'database';
    return {
      name,
      result: isDatabase ? 'failed' : 'unknown',
      detail: isDatabase ? 'It does not answer.' : `It could not be looked at: ${(error as Error).message}`,
      cure: isDatabase ? "Start it, or look at databaseUrl and the server's log." : null,
      facts: {},
    };
  }
}

/** @throws Error when it takes too long */
async function inTime<T>(look: (signal: AbortSignal) => Promise<T> | T): Promise<T> {
  const signal = AbortSignal.timeout(lookMs);
  const late = new Promise<never>((_, reject) => {
    const message = `there was no answer within ${lookMs / 1000} s.`;
    signal.addEventListener('abort', () => reject(new Error(message)));
  });
  return Promise.race([Promise.try(look, signal), late]);
}

function room(freeBytes: number, place: string, cure: string): Finding {
  const detail = `${(freeBytes / gibibyte).toFixed(1)} GiB are free at ${place}.`;
  const facts = { free_bytes: freeBytes, place };
  if (freeBytes < fullBytes) return failed(detail, `Make room. ${cure}`, facts);
  return freeBytes < scarceBytes ? warning(detail, `Make room. ${cure}`, facts) : ok(detail, facts);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 1000);
}
