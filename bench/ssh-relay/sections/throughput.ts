// What goes through a second, of one transfer by the stock client, and what it costs the relay.

import type { Figure } from '../../main.ts';
import type { Direction } from '../openssh.ts';
import { cpuSeconds } from '../processes.ts';
import { startBenchSshd } from '../relays/jump.ts';
import { type Stage, medians, mediansAndRatios } from '../stage.ts';

// About as long a transfer with each.
const ciphers = [
  { cipher: 'aes128-gcm@openssh.com', mebibytes: 512 },
  { cipher: 'aes256-gcm@openssh.com', mebibytes: 512 },
  { cipher: 'chacha20-poly1305@openssh.com', mebibytes: 256 },
];
const directions: Direction[] = ['down', 'up'];
const mebibyte = 1024 ** 2;

/** MiB/s in both directions, and seconds of the relay's CPU for each GiB, with each cipher. */
export async function throughput(stage: Stage): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { cipher, mebibytes } of ciphers) {
    const file = stage.zeros(mebibytes * mebibyte);
    figures.push(...(await throughputWith(stage, cipher, file, mebibytes)));
  }
  return figures;
}

async function throughputWith(
  stage: Stage,
  cipher: string,
  file: string,
  mebibytes: number,
): Promise<Figure[]> {
  const settings = [`Ciphers ${cipher}`];
  const sshd = await startBenchSshd(stage.keys, stage.keys.upstreamHost, settings);
  try {
    return await stage.withRelays(sshd.port, async (contenders) => {
      const figures: Figure[] = [];
      const clients = stage.withClients(contenders, settings);
      for (const direction of directions) {
        const label = `${cipher.split('@')[0]}, ${direction}`;
        const series = await stage.inTurns(`throughput, ${label}`, clients, async ({ running, client }) => {
          const before = cpuOf(running.pid);
          const seconds = await client.transfer(direction, file);
          return { rate: mebibytes / seconds, cost: ((cpuOf(running.pid) - before) * 1024) / mebibytes };
        });
        const rates = series.map(({ name, values }) => ({ name, values: values.map(({ rate }) => rate) }));
        const costs = series.map(({ name, values }) => ({ name, values: values.map(({ cost }) => cost) }));
        figures.push(
          ...mediansAndRatios(`throughput, ${label}`, 'MiB/s', rates, stage.floors),
          ...medians(`CPU, ${label}`, 's a GiB', costs.slice(1)),
        );
      }
      return figures;
    });
  } finally {
    await sshd.stop();
  }
}

function cpuOf(pid: number | undefined): number {
  return pid === undefined ? 0 : cpuSeconds(pid);
}
