/** Whether the environment runs, and whether what is inside is fit to be logged in to. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  AuthenticationError,
  SigningKey,
  TransportError,
  dial,
  disconnectReason,
  parseVerificationKey,
} from '@berth/ssh';
import type { ProbeErrorCode } from '@berth/ssh';
import { findUpstream } from '../../control/upstream.ts';
import { resourcesOfNextRun } from '../../environments/resources.ts';
import { found, mebibytes, minute, quoted } from '../found.ts';
import type { Found } from '../found.ts';
import type { Scene } from '../scene.ts';

const leastDiskBytes = 16 * 1024 ** 2;
const leastInodes = 64;
const fullShare = 0.97;
/** Certificates hold from a minute before they are made. */
const mostSkewSeconds = 30;
const loginMs = 4000;
const logLines = 5;
const notKnown = '?';

export function state({ services: { settings }, subject, failing }: Scene): Found {
  const { status, wanted, wake, port, stop_asked_at: stopAskedAt } = subject;
  if (failing !== null) {
    const { code: failure, cause: reason, cure } = failing;
    return found('start_fails', { failure, reason, what_to_do: cure });
  }
  if (status === 'failed') {
    const { failure_code: failure, failure_cause: reason, failure_cure: cure } = subject;
    return found('start_failed', { failure: failure ?? '', reason: reason ?? '', what_to_do: cure ?? '' });
  }
  if (status === 'running' && wanted === 'running') return found('it_runs');
  if (status !== 'stopped') {
    const seconds = Math.floor((Date.now() - subject.status_since.getTime()) / 1000);
    return found('under_way', { status, seconds, step: subject.step ?? 'waiting for its turn' });
  }
  if (subject.exposure === 'direct' && port !== null) return found('stopped_and_direct');
  if (!wake) return found('stopped_and_stays');
  const quietUntil = new Date((stopAskedAt?.getTime() ?? 0) + settings.wakeQuietMinutes * 60_000);
  return quietUntil.getTime() > Date.now()
    ? found('stopped_a_moment_ago', { until: minute(quietUntil) })
    : found('stopped_until_login');
}

export async function container(scene: Scene): Promise<Found> {
  const { subject, failing } = scene;
  if (await scene.runs()) return found('container_runs');
  // A start that fails before its container ended, and one that failed before, leave what says nothing of it.
  const isExpected = failing === null ? !scene.shouldRun : failing.ended === null;
  if (isExpected) return found('nothing_runs');
  const workload = failing?.ended ?? (await scene.workload());
  if (workload === null) return found('container_missing');
  const log = await lastLines(scene);
  const exit_code = workload.exitCode ?? notKnown;
  if (workload.outOfMemory) {
    const { memory } = resourcesOfNextRun(subject);
    return found('container_out_of_memory', { memory_gib: memory, exit_code, log });
  }
  const { restarts } = workload;
  return restarts > 0
    ? found('container_restarts', { restarts, exit_code, log, image: subject.image })
    : found('container_ended', { exit_code, log });
}

async function lastLines({ services: { runtime }, subject, signal }: Scene): Promise<string> {
  const lines: string[] = [];
  for await (const line of runtime.logs(subject.id, { tail: logLines, follow: false, signal }))
    lines.push(quoted(line, 200));
  return lines.slice(-logLines).join(' | ') || '(nothing)';
}

export async function memory(scene: Scene): Promise<Found> {
  const inside = await scene.inside();
  if (inside === null) return found('nothing_runs');
  if (inside.memory === null) return found('cannot_look_inside', { reason: 'its memory is not to be seen.' });
  const { usedBytes, limitBytes, kills } = inside.memory;
  const used_mib = mebibytes(usedBytes);
  if (limitBytes === null) return found('memory_unlimited', { used_mib, kills });
  const facts = { used_mib, limit_mib: mebibytes(limitBytes), kills };
  if (kills > 0) return found('memory_ran_out', facts);
  return found(usedBytes > limitBytes * fullShare ? 'memory_nearly_used_up' : 'memory_left', facts);
}

export async function disk(scene: Scene): Promise<Found> {
  const inside = await scene.inside();
  if (inside === null) return found('nothing_runs');
  const disks = inside.disks.toSorted((one, other) => one.freeBytes - other.freeBytes);
  const [fullest] = disks;
  if (fullest === undefined) return found('cannot_look_inside', { reason: 'its disks are not to be seen.' });
  const factsOf = ({ place, freeBytes, inodesFree }: typeof fullest) => ({
    place,
    free_mib: mebibytes(freeBytes),
    inodes_free: inodesFree,
  });
  if (fullest.freeBytes < leastDiskBytes) return found('disk_full', factsOf(fullest));
  const usedUp = disks.find(({ inodes, inodesFree }) => inodes > 0 && inodesFree < leastInodes);
  return usedUp ? found('inodes_used_up', factsOf(usedUp)) : found('disk_left', factsOf(fullest));
}

type SshdCode = 'sshd_not_listening' | 'sshd_silent' | 'sshd_closes' | 'sshd_is_no_ssh' | 'sshd_unreachable';

const ofSshd: Partial<Record<ProbeErrorCode, SshdCode>> = {
  refused: 'sshd_not_listening',
  timeout: 'sshd_silent',
  not_ssh: 'sshd_is_no_ssh',
  unreachable: 'sshd_unreachable',
};

export async function sshd(scene: Scene): Promise<Found> {
  if (!(await scene.runs())) return found('nothing_runs');
  const handshake = await scene.sshd();
  if (handshake === undefined) return found('sshd_unreachable', { reason: 'it has no address.' });
  if ('result' in handshake) {
    const { serverVersion, durationMs } = handshake.result;
    return found('sshd_answers', {
      software: serverVersion.replace(/^SSH-2\.0-/, ''),
      duration_ms: Math.round(durationMs),
    });
  }
  const { code, message } = handshake.error;
  return found(ofSshd[code] ?? 'sshd_closes', { reason: quoted(message) });
}

export async function host_key(scene: Scene): Promise<Found> {
  if (!(await scene.runs())) return found('nothing_runs');
  const handshake = await scene.sshd();
  if (handshake === undefined || 'error' in handshake) return found('host_key_not_shown');
  const expected = await scene.hostKey();
  const shown = handshake.result.fingerprint;
  return shown === expected.fingerprint
    ? found('host_key_right', { fingerprint: shown })
    : found('host_key_changed', { shown, fingerprint: expected.fingerprint });
}

/** As the gateway gets in, so that whatever is wrong with the files that sshd trusts shows here. */
export async function login(scene: Scene): Promise<Found> {
  const { services, subject, signal } = scene;
  // sshd's log is what tells who came to such an environment: it shall not tell of Berth.
  if (scene.exposure === 'direct') return found('login_not_tried');
  const environment = services.directory.environment(subject.id);
  const handshake = await scene.sshd();
  if (environment === undefined || handshake === undefined || 'error' in handshake)
    return found((await scene.runs()) ? 'login_not_reached' : 'nothing_runs');
  const key = new SigningKey(generateKeyPairSync('ed25519').privateKey);
  const upstream = await findUpstream(services, {
    attempt: randomBytes(12).toString('hex'),
    environment,
    upstreamKey: key.publicKey.blob.toString('base64'),
    forwarding: { local: false, remote: false, agent: false, x11: false, sftp: false },
    forceCommand: null,
  });
  if (upstream === null) return found('nothing_runs');
  const { host, port, user } = upstream;
  const hostKey = Buffer.from(upstream.hostKey, 'base64');
  try {
    const transport = await dial({
      ...{ host, port, user, hostKey, signal },
      credentials: [{ method: 'publickey', key, certificate: Buffer.from(upstream.certificate, 'base64') }],
      algorithms: { hostKey: parseVerificationKey(hostKey).signatureAlgorithms },
      timeoutMs: loginMs,
    });
    transport.disconnect(disconnectReason.byApplication, 'The look is done.');
    return found('login_works');
  } catch (error) {
    if (error instanceof TransportError && error.code === 'host_key') return found('login_not_reached');
    if (error instanceof AuthenticationError || error instanceof TransportError)
      return found('login_refused', { reason: quoted(error.message) });
    throw error;
  }
}

export async function clock(scene: Scene): Promise<Found> {
  const inside = await scene.inside();
  if (inside === null) return found('nothing_runs');
  if (inside.clockSeconds === null)
    return found('cannot_look_inside', { reason: 'it does not tell its time.' });
  const skew_seconds = Math.abs(Math.round(inside.clockSeconds - Date.now() / 1000));
  return found(skew_seconds > mostSkewSeconds ? 'clocks_differ' : 'clocks_agree', { skew_seconds });
}
