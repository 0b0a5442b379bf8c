/**
 * Waits until an environment's sshd has answered a real SSH handshake with the environment's own host key.
 *
 * What answers at a container's address need not be that container: an engine that was killed may have left the
 * address to a dead one. Hence the host key is checked, and an address that does not lead to it is changed.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ProbeError, parsePublicKey, probe } from '@berth/ssh';
import { RuntimeError } from '../runtime/runtime.ts';
import type { ObservedWorkload, Runtime } from '../runtime/runtime.ts';

const probeTimeoutMs = 3000;
/** sshd listens some 30 ms after the container started, and a refused connection costs next to nothing. */
const eagerPauseMs = 5;
const eagerForMs = 500;
const longestPauseMs = 250;
/** Looking at the container costs the engine more than a refused connection costs the kernel. */
const lookPauseMs = 300;
/** A container that runs and does not answer for so long is given another address, then after twice the time again. */
const firstPatienceMs = 3000;
/** The runtime waits longer and longer before it starts again what ends again and again; that is not waited for. */
const longestRestartPauseMs = 2000;

/**
 * @param onMove told before the environment is given another address
 * @param deadline milliseconds since the epoch
 * @returns the workload whose sshd answered
 * @throws RuntimeError when the container ends, or the time is up; the signal's reason when it is aborted
 */
export async function waitForSsh(
  runtime: Runtime,
  id: string,
  started: ObservedWorkload,
  hostKeyPublic: string,
  onMove: (message: string) => Promise<void>,
  deadline: number,
  signal: AbortSignal,
): Promise<ObservedWorkload> {
  const expectedHostKey = parsePublicKey(hostKeyPublic).blob;
  const began = Date.now();
  let workload: ObservedWorkload | null = started;
  let pauseMs = eagerPauseMs;
  let lastFault = 'it has no address yet';
  let lookedAt = began;
  let patienceMs = firstPatienceMs;
  for (;;) {
    signal.throwIfAborted();
    if (workload?.address) {
      try {
        await probe({ ...workload.address, timeoutMs: probeTimeoutMs, expectedHostKey, signal });
        return workload;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ProbeError)) throw error;
        lastFault = error.message.replace(/\.$/, '');
      }
    }
    const lookIsDue = Date.now() - lookedAt > lookPauseMs;
    if (workload?.address === null || lookIsDue) {
      workload = await runtime.observe(id);
      lookedAt = Date.now();
      const endedAgain =
        workload !== null &&
        (workload.restarts > started.restarts ||
          (workload.state === 'waiting' &&
            workload.restarts > 0 &&
            Date.now() - began > longestRestartPauseMs));
      if (workload === null || workload.state === 'stopped' || endedAgain) {
        throw await endedEarly(runtime, id, workload);
      }
    }
    if (Date.now() > deadline) {
      throw new RuntimeError(
        'refused',
        `Its sshd did not answer in time: ${lastFault}.`,
        'Look at its log, then start it again.',
      );
    }
    if (workload?.state === 'running' && Date.now() - began > patienceMs) {
      patienceMs *= 2;
      await onMove(`${capitalized(lastFault)}; it runs, so it is given another address.`);
      workload = await runtime.moveAddress(id);
    }
    await pause(pauseMs, undefined, { signal });
    if (Date.now() - began > eagerForMs) pauseMs = Math.min(pauseMs * 1.5, longestPauseMs);
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

async function endedEarly(
  runtime: Runtime,
  id: string,
  workload: ObservedWorkload | null,
): Promise<RuntimeError> {
  if (workload === null) {
    return new RuntimeError('other', 'Its container was removed while it started.', 'Start it again.');
  }
  if (workload.outOfMemory) {
    return new RuntimeError(
      'refused',
      'Its container ran out of memory while it started.',
      'Give it more memory and start it again.',
    );
  }
  const said = await lastLines(runtime, id, 3);
  const code = workload.exitCode === null ? '' : ` with exit code ${workload.exitCode}`;
  return new RuntimeError(
    'other',
    `Its container ended${code}${said === '' ? '' : `; its log ends with: ${said}`}`.replace(/\.?$/, '.'),
    'Look at its log, then start it again.',
  );
}

async function lastLines(runtime: Runtime, id: string, count: number): Promise<string> {
  const lines: string[] = [];
  for await (const line of runtime.logs(id, {
    tail: count,
    follow: false,
    signal: AbortSignal.timeout(5000),
  })) {
    lines.push(
      line
        .replace(/[\p{Cc}\p{Cf}]/gu, ' ')
        .trim()
        .slice(0, 200),
    );
  }
  return lines.slice(-count).join(' | ');
}
