/**
 * What containers use.
 *
 * Where this server is on Docker's own machine it is read from their control groups, which costs some 60 microseconds a
 * container. Elsewhere the engine is asked, which takes it a second and 5 milliseconds of a processor, hence less often.
 */
import { readFileSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import type Docker from 'dockerode';
import type { WorkloadUsage } from '../runtime.ts';
import { cgroupMounts, readCgroup } from './cgroup.ts';
import { hasStatus } from './errors.ts';

const askEveryMs = 30_000;
/** How many the engine is asked for at once. */
const askedAtOnce = 10;
/** After so many, whatever else waits gets its turn. */
const readAtOnce = 20;

interface Run {
  id: string;
  runId: string;
  containerId: string;
  /** Of its first process, on Docker's machine. */
  pid: number;
}

/** As the engine's API has it, of what is used here. */
interface EngineStats {
  read: string;
  cpu_stats: { cpu_usage: { total_usage: number } };
  memory_stats: { usage?: number; stats?: { total_inactive_file?: number; inactive_file?: number } };
  networks?: Record<string, { rx_bytes: number; tx_bytes: number }>;
}

export class DockerUsage {
  readonly #docker: Docker;
  readonly #find: (id: string) => Promise<Run | null>;
  readonly #mounts = cgroupMounts(readOrNothing('/proc/self/mountinfo'));
  #runs = new Map<string, Run>();
  #asked = new Map<string, number>();

  /** @param find looks for a container of this installation that runs */
  constructor(docker: Docker, find: (id: string) => Promise<Run | null>) {
    this.#docker = docker;
    this.#find = find;
  }

  /** @throws an error of the engine */
  async read(ids: string[]): Promise<WorkloadUsage[]> {
    const runs = new Map<string, Run>();
    const found: WorkloadUsage[] = [];
    const elsewhere: Run[] = [];
    for (const [index, id] of ids.entries()) {
      if (index % readAtOnce === readAtOnce - 1) await breathe();
      const known = this.#runs.get(id);
      const usage = known && this.#readHere(known);
      if (usage) {
        runs.set(id, known);
        found.push(usage);
      } else if (known !== undefined || this.#isDue(id)) {
        const run = await this.#find(id);
        const first = run && this.#readHere(run);
        if (first) {
          runs.set(id, run);
          found.push(first);
        } else if (run) {
          elsewhere.push(run);
        }
      }
    }
    this.#runs = runs;
    const now = Date.now();
    this.#asked = new Map([...this.#asked].filter(([, at]) => now - at < askEveryMs));
    for (const { id } of elsewhere) this.#asked.set(id, now);
    for (let first = 0; first < elsewhere.length; first += askedAtOnce) {
      const batch = elsewhere.slice(first, first + askedAtOnce);
      found.push(...(await Promise.all(batch.map((run) => this.#ask(run)))).flat());
    }
    return found;
  }

  #isDue(id: string): boolean {
    return Date.now() - (this.#asked.get(id) ?? 0) >= askEveryMs;
  }

  /** undefined: the process is over, or is another's by now, or is not on this machine. */
  #readHere({ id, runId, containerId, pid }: Run): WorkloadUsage | undefined {
    try {
      const membership = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      if (!membership.includes(containerId)) return undefined;
      const network = networkOf(readFileSync(`/proc/${pid}/net/dev`, 'utf8'));
      return { id, runId, at: Date.now(), ...readCgroup(this.#mounts, membership), network, gpu: null };
    } catch {
      return undefined;
    }
  }

  /** Nothing where it has ended meanwhile. */
  async #ask({ id, runId, containerId }: Run): Promise<WorkloadUsage[]> {
    try {
      const container = this.#docker.getContainer(containerId);
      const stats = (await container.stats({ stream: false, 'one-shot': true })) as unknown as EngineStats;
      const { usage, stats: memory } = stats.memory_stats;
      if (usage === undefined) return [];
      const cached = memory?.total_inactive_file ?? memory?.inactive_file ?? 0;
      const networks = Object.values(stats.networks ?? {});
      return [
        {
          id,
          runId,
          at: Date.parse(stats.read),
          cpuSeconds: stats.cpu_stats.cpu_usage.total_usage / 1e9,
          memoryBytes: usage - cached,
          network: {
            inBytes: networks.reduce((sum, { rx_bytes }) => sum + rx_bytes, 0),
            outBytes: networks.reduce((sum, { tx_bytes }) => sum + tx_bytes, 0),
          },
          gpu: null,
        },
      ];
    } catch (error) {
      if (hasStatus(error, 404, 409)) return [];
      throw error;
    }
  }
}

/** @param table as /proc/PID/net/dev has it, see proc_pid_net(5) */
function networkOf(table: string): { inBytes: number; outBytes: number } {
  let inBytes = 0;
  let outBytes = 0;
  for (const line of table.split('\n').slice(2)) {
    const [name = '', numbers = ''] = line.split(':');
    const columns = numbers.trim().split(/\s+/).map(Number);
    if (name.trim() === 'lo' || columns.length < 9) continue;
    inBytes += columns[0] ?? 0;
    outBytes += columns[8] ?? 0;
  }
  return { inBytes, outBytes };
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
