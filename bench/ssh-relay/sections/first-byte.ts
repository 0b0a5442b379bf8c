// How long a person waits: from the start of the stock client to the first byte of a subsystem, one login at a time.

import { quantile } from '../../statistics.ts';
import type { Figure } from '../../main.ts';
import { startBenchSshd } from '../relays/jump.ts';
import { type Stage, mediansAndRatios } from '../stage.ts';

const loginsARound = 6;
// Old and new OpenSSH, and relays, prefer different ones, whose cost would then be what is compared.
const settings = ['KexAlgorithms curve25519-sha256'];

export async function firstByte(stage: Stage): Promise<Figure[]> {
  const sshd = await startBenchSshd(stage.keys, stage.keys.upstreamHost, settings);
  try {
    return await stage.withRelays(sshd.port, async (contenders) => {
      const clients = stage.withClients(contenders, settings);
      const label = 'connect to first byte, curve25519';
      const rounds = await stage.inTurns(label, clients, async ({ client }) => {
        const times: number[] = [];
        for (let login = 0; login < loginsARound; login += 1) {
          times.push(await client.firstByte());
        }
        return times;
      });
      const series = rounds.map(({ name, values }) => ({ name, values: values.flat() }));
      return [
        ...mediansAndRatios(`${label}, p50`, 'ms', series, stage.floors),
        ...series.map(({ name, values }) => ({
          name: `${label}, p95: ${name}`,
          value: quantile(values, 0.95),
          unit: 'ms',
        })),
      ];
    });
  } finally {
    await sshd.stop();
  }
}
