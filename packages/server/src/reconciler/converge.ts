/**
 * Brings one environment to where it is wanted.
 *
 * Looks at what is, does what lacks, and writes down how it ended. Every step can be done again, so it does not
 * matter after which statement the server was killed: the row is still due, and the same walk is made from its start.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { BerthError } from '@berth/contract';
import type { Failure, Status } from '@berth/contract';
import type { Logger } from 'pino';
import { deleteEntriesOf } from '../allowlists/table.ts';
import { secretFiles } from '../credentials/credentials.ts';
import type { Database } from '../database/database.ts';
import type { EnvironmentRow } from '../database/schema.ts';
import { specDatasets } from '../datasets/table.ts';
import { releasePort } from '../environments/environments.ts';
import { resourcesOfNextRun } from '../environments/resources.ts';
import { addEvents } from '../events/events.ts';
import type { NewEvent } from '../events/events.ts';
import type { Platform } from '../platform/platform.ts';
import { givePort, skippedNote } from '../ports/ports.ts';
import { activePort } from '../ports/table.ts';
import { RuntimeError, allDone } from '../runtime/runtime.ts';
import type { ObservedWorkload, Runtime, WorkloadSpec } from '../runtime/runtime.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import type { Settings } from '../settings.ts';
import { hasFiles } from '../storage/storage.ts';
import { waitForSsh } from './handshake.ts';
import {
  beginStep,
  imageReference,
  isOurs,
  putOff,
  restartDone,
  settle,
  showStarting,
  storageIsClaimed,
  wasTakenAndDeleted,
} from './table.ts';

export interface Workshop {
  database: Database;
  runtime: Runtime;
  settings: Settings;
  keyRing: KeyRing;
  platform: Platform;
  authorityPublic: string;
  logger: Logger;
}

/** Tries of a step that may pass by itself, before the environment counts as failed. */
const mostAttempts = 4;
const firstPauseMs = 250;
const longestPauseMs = 5000;
/** Within that a gateway closes a port that the container is to publish from now on. */
const gatewayLetsGoMs = 2000;
const portPauseMs = 100;

/**
 * Somebody asked for something else, or another server works on it: what was begun is left where it is, and the new
 * wish is looked at.
 */
export class Superseded extends Error {
  override name = 'Superseded';
}

/** @param signal aborted with `Superseded`, or when the server stops */
export async function converge(workshop: Workshop, row: EnvironmentRow, signal: AbortSignal): Promise<void> {
  const began = Date.now();
  try {
    if (row.status === 'deleted') await converged.storageDropped(workshop, row);
    // It stays as it failed until somebody asks for a start, which gives it another status, or for its deletion.
    else if (row.status === 'failed' && row.wanted !== 'deleted') await converged.failed(workshop, row);
    else if (row.wanted === 'running') await converged.running(workshop, row, signal, began);
    else if (row.wanted === 'stopped') await converged.stopped(workshop, row, began);
    else await converged.deleted(workshop, row, began);
  } catch (error) {
    if (signal.aborted && !(signal.reason instanceof Superseded)) return;
    const ours = await isOurs(workshop.database, row);
    if (!ours || signal.aborted || error instanceof Superseded) await clearUp(workshop, row);
    else await retryOrFail(workshop, row, error);
  }
}

/**
 * After this server stood still for longer than its lease: if another one has deleted the environment meanwhile, what
 * was made here since then belongs to nothing.
 */
async function clearUp({ database, runtime }: Workshop, row: EnvironmentRow): Promise<void> {
  if (!(await wasTakenAndDeleted(database, row))) return;
  await runtime.removeWorkload(row.id, 1);
  if (!(await storageIsClaimed(database, row.storage_id)))
    await runtime.removeStorage(row.storage_id, row.created_at);
}

const converged = {
  async failed({ database }: Workshop, row: EnvironmentRow): Promise<void> {
    const { failure_code: code, failure_cause: cause, failure_cure: cure } = row;
    await settle(database, row, {
      status: 'failed',
      failure: { code: code ?? '', cause: cause ?? '', cure: cure ?? '' },
    });
  },

  async running(workshop: Workshop, row: EnvironmentRow, signal: AbortSignal, began: number): Promise<void> {
    const { database, runtime, keyRing, settings } = workshop;
    if (row.restart_wanted) {
      await begin(workshop, row, 'stop', 'Stopping its container.');
      await runtime.stop(row.id, settings.stopGraceSeconds);
      await restartDone(database, row);
    }
    let workload = row.status === 'creating' ? null : await runtime.observe(row.id);
    // A container that runs stays what it was made as until its next start.
    const exposure = workload?.state === 'running' ? workload.exposure : row.exposure;
    const { files, hostKeyPublic } = await secretFiles(
      database,
      keyRing,
      row,
      workshop.authorityPublic,
      exposure,
    );
    if (row.status === 'running' && workload?.state === 'running' && workload.runId === row.run_id) {
      await runtime.writeSecrets(row.id, files);
      await settle(database, row, { status: 'running' });
      return;
    }
    const drifted = row.status === 'running';
    if (drifted) await noticeDrift(workshop, row, workload);

    const spec = await specOf(workshop, row);
    const deadline = began + settings.readyTimeoutSeconds * 1000;
    await begin(workshop, row, 'image', 'Looking for its image.');
    await runtime.ensureImage(
      spec.imageReference,
      (message) =>
        void addEvents(database, row.id, [{ kind: 'step', step: 'image', message }]).catch(() => undefined),
      signal,
    );
    signal.throwIfAborted();
    await begin(workshop, row, 'storage', 'Making its folders that last.');
    let otherSize: number | null = null;
    await allDone([
      runtime.ensureStorage(spec).then((size) => (otherSize = size)),
      runtime.writeSecrets(row.id, files),
    ]);
    signal.throwIfAborted();
    await begin(workshop, row, 'container', 'Starting its container.');
    workload = await runOnFreePort(workshop, row, spec);
    await begin(workshop, row, 'handshake', 'Waiting for its sshd to answer.');
    const onMove = (message: string) => addEvents(database, row.id, [{ kind: 'retry', message }]);
    workload = await waitForSsh(runtime, row.id, workload, hostKeyPublic, onMove, deadline, signal);

    const notes = notesOf(workshop, spec, otherSize);
    const since = drifted ? began : row.status_since.getTime();
    const { runId, resources: runResources, exposure: runExposure } = workload;
    await finish(workshop, row, { status: 'running', runId, runResources, runExposure, notes }, [
      ...notes
        .filter((note) => !row.notes.includes(note))
        .map((message): NewEvent => ({ kind: 'note', message })),
      {
        kind: 'status',
        status: 'running',
        message: `Running: ssh answered after ${seconds(since)} s.`,
      },
    ]);
  },

  async stopped(workshop: Workshop, row: EnvironmentRow, began: number): Promise<void> {
    const { runtime, settings, database } = workshop;
    if (row.status === 'stopped' && (await runtime.observe(row.id))?.state !== 'running') {
      await settle(database, row, { status: 'stopped' });
      return;
    }
    await begin(workshop, row, 'stop', 'Stopping its container.');
    await runtime.stop(row.id, settings.stopGraceSeconds);
    await finish(workshop, row, { status: 'stopped', runResources: null, runExposure: null }, [
      { kind: 'status', status: 'stopped', message: `Stopped after ${seconds(began)} s; its files stay.` },
    ]);
  },

  async deleted(workshop: Workshop, row: EnvironmentRow, began: number): Promise<void> {
    const { runtime, database } = workshop;
    const kept = row.keep_storage && hasFiles(row);
    const what = kept ? 'its container; its files are kept' : 'its container and its files';
    await begin(workshop, row, 'remove', `Removing ${what}.`);
    await runtime.removeWorkload(row.id, 1);
    if (!kept) await runtime.removeStorage(row.storage_id, row.created_at);
    const left = kept ? 'its files and this history are left' : 'nothing is left but this history';
    await database.transaction().execute(async (transaction) => {
      if (!(await settle(transaction, row, { status: 'deleted', storageKept: kept }))) return;
      await deleteEntriesOf(transaction, { envId: row.id });
      const released = await releasePort(transaction, row.id);
      await transaction.deleteFrom('ssh_credentials').where('env_id', '=', row.id).execute();
      await addEvents(transaction, row.id, [
        ...released,
        { kind: 'note', message: `Deleted after ${seconds(began)} s; ${left}.` },
      ]);
    });
  },

  /** Files that were kept of a deleted environment, and are no longer wanted. */
  async storageDropped({ runtime, database }: Workshop, row: EnvironmentRow): Promise<void> {
    if (row.storage_kept_since !== null && !row.keep_storage)
      await runtime.removeStorage(row.storage_id, row.created_at);
    await database.transaction().execute(async (transaction) => {
      if (!(await settle(transaction, row, { status: 'deleted', storageKept: false }))) return;
      await addEvents(transaction, row.id, [
        { kind: 'note', message: 'The files that were kept are removed; nothing is left but this history.' },
      ]);
    });
  },
};

/** @throws Superseded */
async function begin(
  { database }: Workshop,
  row: EnvironmentRow,
  step: string,
  message: string,
): Promise<void> {
  if (!(await beginStep(database, row, step, message))) throw new Superseded();
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}

async function finish(
  { database }: Workshop,
  row: EnvironmentRow,
  change: Parameters<typeof settle>[2],
  events: NewEvent[],
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    if (!(await settle(transaction, row, change))) throw new Superseded();
    await addEvents(transaction, row.id, events);
  });
}

async function specOf({ database }: Workshop, row: EnvironmentRow): Promise<WorkloadSpec> {
  const reference = await imageReference(database, row.image);
  if (reference === undefined) {
    throw new RuntimeError(
      'image_missing',
      `The image ${row.image} is no longer in the catalogue.`,
      'Create the environment again with another image.',
    );
  }
  return {
    id: row.id,
    storageId: row.storage_id,
    imageReference: reference,
    username: row.username,
    sudo: row.sudo,
    resources: resourcesOfNextRun(row),
    newSince: row.first_started_at === null ? row.created_at : null,
    exposure: row.exposure,
    publicPort: await activePort(database, row.id),
    datasets: await specDatasets(database, row.datasets),
  };
}

/** A port that the runtime finds taken is given back, and the next one is tried, with a line in the timeline. */
async function runOnFreePort(
  workshop: Workshop,
  row: EnvironmentRow,
  first: WorkloadSpec,
): Promise<ObservedWorkload> {
  const { database, runtime, settings } = workshop;
  const refused: number[] = [];
  // Until now a gateway may have had it, which hears of the change at about the same time.
  const gatewayLetsGoBy = Date.now() + gatewayLetsGoMs;
  let spec = first;
  for (;;) {
    try {
      return await runtime.run(spec);
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.code !== 'port_taken' || spec.publicPort === null)
        throw error;
      if (refused.length === 0 && row.first_started_at !== null && Date.now() < gatewayLetsGoBy) {
        await pause(portPauseMs);
        continue;
      }
      refused.push(spec.publicPort);
      const publicPort = await database.transaction().execute(async (transaction) => {
        if (!(await isOurs(transaction, row))) throw new Superseded();
        const released = await releasePort(transaction, row.id);
        const { port, events } = await givePort(transaction, runtime, settings, row, refused);
        await addEvents(transaction, row.id, [
          { kind: 'port', message: skippedNote(refused.slice(-1)) },
          ...released,
          ...events,
        ]);
        return port;
      });
      spec = { ...first, publicPort };
    }
  }
}

async function noticeDrift(
  workshop: Workshop,
  row: EnvironmentRow,
  workload: ObservedWorkload | null,
): Promise<void> {
  const { database } = workshop;
  const what =
    workload === null
      ? 'Its container was removed outside of Berth; it is made again.'
      : workload.state === 'running'
        ? 'Its container was started again outside of Berth.'
        : workload.outOfMemory
          ? 'Its container ran out of memory and ended; it is started again.'
          : `Its container was stopped outside of Berth${workload.exitCode === null ? '' : ` (exit code ${workload.exitCode})`}; it is started again.`;
  await database.transaction().execute(async (transaction) => {
    await showStarting(transaction, row);
    await addEvents(transaction, row.id, [{ kind: 'drift', status: 'starting', message: what }]);
  });
}

function notesOf(
  { platform, runtime }: Workshop,
  { resources: { cpu, storage } }: WorkloadSpec,
  otherSize: number | null,
): string[] {
  const notes = [];
  if (cpu > platform.cpuCores) {
    notes.push(`It asks for ${cpu} cores; the machine has ${platform.cpuCores}, which it may use.`);
  }
  if (!platform.storageEnforced)
    notes.push(`The limit of ${storage} GiB of storage is not held to on this host.`);
  if (otherSize !== null)
    notes.push(
      `Its folders keep the ${otherSize} GiB that they were made with; ${runtime.name} cannot change that.`,
    );
  return notes;
}

async function retryOrFail(workshop: Workshop, row: EnvironmentRow, error: unknown): Promise<void> {
  const { database, logger, settings } = workshop;
  const cause = error instanceof Error ? error : new Error(String(error));
  if (!(cause instanceof RuntimeError) && !(cause instanceof BerthError)) {
    logger.error({ error: cause, environment: row.id }, 'working on an environment failed');
  }
  const attempts = row.attempts + 1;
  const away = cause instanceof RuntimeError && cause.code === 'unavailable';
  // How long an environment has been running says nothing about how long its repair takes.
  const since = row.status === 'running' ? Date.now() : row.status_since.getTime();
  const late = Date.now() - since > settings.readyTimeoutSeconds * 1000;
  const mayPass = cause instanceof RuntimeError ? cause.passing : !(cause instanceof BerthError);
  // What shall stop or go away is tried until it is so; what shall run is given up at some point.
  const again = row.wanted !== 'running' || (mayPass && !late && (away || attempts < mostAttempts));
  if (again) {
    const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(attempts - 1, 10), longestPauseMs);
    await putOff(database, row, pauseMs, attempts);
    if (attempts === 1 || !away) {
      await addEvents(database, row.id, [{ kind: 'retry', message: `${cause.message} Trying again.` }]);
    }
    return;
  }
  await fail(workshop, row, failureOf(cause));
}

function failureOf(cause: Error): Failure {
  if (cause instanceof RuntimeError) return { code: cause.code, cause: cause.message, cure: cause.cure };
  if (cause instanceof BerthError) return { code: cause.code, cause: cause.message, cure: cause.cure };
  return {
    code: 'internal',
    cause: 'Berth made a mistake.',
    cure: "Look into Berth's log, then start it again.",
  };
}

/** An environment that never ran leaves nothing of its own behind; one that did keeps its files and its port. */
async function fail(workshop: Workshop, row: EnvironmentRow, failure: Failure): Promise<void> {
  const { database, runtime, settings } = workshop;
  const neverRan = row.first_started_at === null;
  try {
    if (neverRan) {
      await runtime.removeWorkload(row.id, 1);
      if (!hasFiles(row)) await runtime.removeStorage(row.storage_id, row.created_at);
    } else {
      await runtime.stop(row.id, settings.stopGraceSeconds);
    }
  } catch (error) {
    // Cleaned up once the runtime can: the row stays due, and this is reached again.
    await putOff(database, row, longestPauseMs, row.attempts + 1);
    workshop.logger.warn({ error, environment: row.id }, 'cleaning up after a failure has to wait');
    return;
  }
  await database.transaction().execute(async (transaction) => {
    if (!(await settle(transaction, row, { status: 'failed', failure, runExposure: null }))) return;
    const released = neverRan ? await releasePort(transaction, row.id) : [];
    const kept = !neverRan
      ? 'Its files and its port were kept.'
      : hasFiles(row)
        ? 'The files that it took over were kept.'
        : 'Nothing was left behind.';
    await addEvents(transaction, row.id, [
      {
        kind: 'status',
        status: 'failed' satisfies Status,
        message: `${failure.cause} ${failure.cure} ${kept}`,
      },
      ...released,
    ]);
  });
}
