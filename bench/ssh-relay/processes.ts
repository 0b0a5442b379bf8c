// The processes of the bench: how they are started, and what the kernel says they cost (proc(5)).

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';

// USER_HZ, which Linux shows to programs as 100 on every machine that Node runs on.
const ticksPerSecond = 100;

export interface Program {
  readonly pid: number;
  /** What it printed first. */
  readonly firstLine: string;
  readonly stop: () => Promise<void>;
}

/**
 * Starts a program and waits for its first line: what listens prints its port there.
 *
 * @param endsBy the signal that ends it; SIGTERM for one that has more to end than itself
 * @throws Error with what it wrote to stderr, when it ends before that
 */
export async function start(
  file: string,
  parameters: readonly string[],
  endsBy: 'SIGKILL' | 'SIGTERM' = 'SIGKILL',
): Promise<Program> {
  const child = spawn(file, parameters, { stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = stopper(child, endsBy);
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4096)));
  child.stdin.on('error', () => undefined);
  const firstLine = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => reject(new Error(`${file} ${parameters[0]} ended: ${complaint}`)));
    createInterface(child.stdout).once('line', resolve);
  });
  child.stdout.resume();
  return { pid: child.pid ?? 0, firstLine, stop };
}

/** Runs a program to its end and returns what it printed. */
export async function run(file: string, parameters: readonly string[]): Promise<string> {
  const child = spawn(file, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = stopper(child);
  let printed = '';
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-4096)));
  const [code] = (await once(child, 'close')) as [number | null];
  await stop();
  if (code !== 0) throw new Error(`${file} ${parameters[0]} failed (${code}): ${complaint}`);
  return printed;
}

const children = new Map<ChildProcess, NodeJS.Signals>();
process.once('exit', () => {
  for (const [child, signal] of children) child.kill(signal);
});

/** What ends a process; a bench that is cut off does not leave it behind either. */
export function stopper(child: ChildProcess, endsBy: NodeJS.Signals = 'SIGKILL'): () => Promise<void> {
  children.set(child, endsBy);
  const ended = new Promise<void>((resolve) => {
    const forget = (): void => {
      children.delete(child);
      resolve();
    };
    child.once('close', forget);
    child.once('error', forget);
  });
  return async () => {
    child.kill(endsBy);
    await ended;
  };
}

/** Seconds of CPU that a process took, with all it started, whether that has ended or not. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  for (const { times } of familyOf(pid)) ticks += times;
  return ticks / ticksPerSecond;
}

/**
 * Bytes of memory: the resident set of a process, and of the processes that it forked (as sshd does for each
 * connection) their share, since they have most of their pages in common.
 */
export function memoryBytes(pid: number): number {
  let kibibytes = 0;
  for (const member of familyOf(pid)) {
    kibibytes += rollup(member.pid, member.pid === pid ? 'Rss' : 'Pss');
  }
  return kibibytes * 1024;
}

/** Bytes of the resident set of this process alone. */
export function residentBytes(pid: number): number {
  return rollup(pid, 'Rss') * 1024;
}

function rollup(pid: number, field: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0; // it has ended meanwhile
  }
}

function familyOf(pid: number): { pid: number; times: number }[] {
  const byParent = new Map<number, { pid: number; times: number }[]>();
  const own: { pid: number; times: number }[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const fields = statOf(entry);
    if (fields === undefined) continue;
    // Fields 4 and 14 to 17, counted from 1, of which the first two are cut off.
    const [parent, ...times] = [1, 11, 12, 13, 14].map((index) => Number(fields[index]));
    const member = { pid: Number(entry), times: times.reduce((sum, each) => sum + each, 0) };
    if (member.pid === pid) own.push(member);
    const siblings = byParent.get(parent ?? 0) ?? [];
    siblings.push(member);
    byParent.set(parent ?? 0, siblings);
  }
  // A list that is walked while it grows: the children of each member follow.
  for (const member of own) own.push(...(byParent.get(member.pid) ?? []));
  return own;
}

function statOf(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
