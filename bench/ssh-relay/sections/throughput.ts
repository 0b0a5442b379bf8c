// What goes through a second, of one transfer by the stock client, and what it costs the relay.

import type { Figure } from '../../main.ts';
import { type Direction, OpenSsh } from '../openssh.ts';
import { cpuSeconds } from '../processes.ts';
import { startBenchSshd } from '../relays/jump.ts';
import { type Contender, type Stage, medians, mediansAndRatios } from '../stage.ts';

const ciphers = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'chacha20-poly1305@openssh.com'];
const directions: Direction[] = ['down', 'up'];
const mebibyte = 1024 ** 2;
const transferMebibytes = 512;

/** MiB/s in both directions, and seconds of the relay's CPU for each GiB, with each cipher. */
export async function throughput(stage: Stage): Promise<Figure[]> {
  const sshd = await startBenchSshd(stage.keys, stage.keys.upstreamHost);
  const file = stage.zeros(transferMebibytes * mebibyte);
  try {
    return await stage.withRelays(sshd.port, async (contenders) => {
      const figures: Figure[] = [];
      for (const cipher of ciphers) {
        const clients = clientsOf(stage, contenders, cipher);
        for (const direction of directions) {
          const label = `${cipher.split('@')[0]}, ${direction}`;
          const series = await stage.inTurns(
            `throughput, ${label}`,
            contenders,
            async ({ running, name }) => {
              const before = cpuOf(running.pid);
              const seconds = (await clients.get(name)?.transfer(direction, file)) ?? NaN;
              return { seconds, cpu: cpuOf(running.pid) - before };
            },
          );
          const rates = series.map(({ name, values }) => ({
            name,
            values: values.map(({ seconds }) => transferMebibytes / seconds),
          }));
          const costs = series.map(({ name, values }) => ({
            name,
            values: values.map(({ cpu }) => (cpu * 1024) / transferMebibytes),
          }));
          figures.push(
            ...mediansAndRatios(`throughput, ${label}`, 'MiB/s', rates),
            ...medians(`CPU, ${label}`, 's a GiB', costs.slice(1)),
          );
        }
      }
      return figures;
    });
  } finally {
    await sshd.stop();
  }
}

export function clientsOf(
  stage: Stage,
  contenders: readonly Contender[],
  cipher?: string,
): Map<string, OpenSsh> {
  return new Map(contenders.map(({ name, running }) => [name, new OpenSsh(stage.keys, running, cipher)]));
}

function cpuOf(pid: number | undefined): number {
  return pid === undefined ? 0 : cpuSeconds(pid);
}
