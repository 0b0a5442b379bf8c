// Throughput over a path of 40 ms: half of it before the relay and half behind it, all of it without one.

import { fileURLToPath } from 'node:url';
import type { Figure } from '../../main.ts';
import type { Direction } from '../openssh.ts';
import { type Program, start } from '../processes.ts';
import { startBenchSshd } from '../relays/jump.ts';
import { type Contender, type Stage, mediansAndRatios } from '../stage.ts';

const settings = ['Ciphers aes128-gcm@openssh.com'];
const legMs = 20;
const mebibyte = 1024 ** 2;
const transferMebibytes = 64;
const directions: Direction[] = ['down', 'up'];
const program = fileURLToPath(new URL('../delay-process.ts', import.meta.url));

export async function longPath(stage: Stage): Promise<Figure[]> {
  const sshd = await startBenchSshd(stage.keys, stage.keys.upstreamHost, settings);
  const legs: Program[] = [];
  const addLeg = async (port: number): Promise<number> => {
    const leg = await start(process.execPath, [program, `${port}`, `${legMs}`]);
    legs.push(leg);
    return Number(leg.firstLine);
  };
  const file = stage.zeros(transferMebibytes * mebibyte);
  try {
    return await stage.withRelays(await addLeg(sshd.port), async (near) => {
      const contenders: Contender[] = [];
      for (const { name, running } of near) {
        contenders.push({ name, running: { ...running, port: await addLeg(running.port) } });
      }
      const clients = stage.withClients(contenders, settings);
      const figures: Figure[] = [];
      for (const direction of directions) {
        const label = `40 ms path, aes128-gcm, ${direction}`;
        const series = await stage.inTurns(label, clients, async ({ client }) => {
          const seconds = await client.transfer(direction, file);
          return transferMebibytes / seconds;
        });
        figures.push(...mediansAndRatios(label, 'MiB/s', series, stage.floors));
      }
      return figures;
    });
  } finally {
    for (const leg of legs) await leg.stop();
    await sshd.stop();
  }
}
