/** The server process's memory at rest: resident set as the kernel counts it, after it has worked and calmed down. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { TestBerth } from '../test/harness/berth.ts';
import type { Figure } from './main.ts';
import { progress, quantile } from './statistics.ts';

const restSeconds = 20;
const environments = 10;

export async function memory(): Promise<Figure[]> {
  const berth = await TestBerth.start();
  try {
    progress(`resting ${restSeconds} s without an environment`);
    const fresh = await atRest(berth.pid);
    await Promise.all(
      Array.from({ length: environments }, (_, index) =>
        berth.createRunning({ name: `memory-${index}`, resources: { cpu: 1, memory: 0.25 } }),
      ),
    );
    progress(`resting ${restSeconds} s beside ${environments} running environments`);
    const worked = await atRest(berth.pid);
    return [
      { name: 'server at rest, fresh', value: fresh, unit: 'MiB', target: '<= 400' },
      {
        name: `server at rest, ${environments} environments running`,
        value: worked,
        unit: 'MiB',
        target: '<= 400',
      },
    ];
  } finally {
    await berth.remove();
  }
}

async function atRest(pid: number): Promise<number> {
  const samples: number[] = [];
  for (let second = 0; second < restSeconds; second += 1) {
    await pause(1000);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    samples.push(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
  }
  return quantile(samples.slice(restSeconds / 2), 0.5);
}
