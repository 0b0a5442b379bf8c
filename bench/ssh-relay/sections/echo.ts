// How soon a key press comes back on one connection while another one is busy with bulk, in the same relay process.

import { quantile } from '../../statistics.ts';
import type { Figure } from '../../main.ts';
import { startBenchSshd } from '../relays/jump.ts';
import { type Stage, mediansAndRatios } from '../stage.ts';

const settings = ['Ciphers aes128-gcm@openssh.com'];
const bytes = 300;

export async function echo(stage: Stage): Promise<Figure[]> {
  const sshd = await startBenchSshd(stage.keys, stage.keys.upstreamHost, settings);
  try {
    return await stage.withRelays(sshd.port, async (contenders) => {
      const clients = stage.withClients(contenders, settings);
      const label = 'echo beside a bulk transfer';
      const series = await stage.inTurns(label, clients, async (contender) => {
        const transfer = await contender.client.endlessTransfer();
        try {
          const result = await stage.runGoClient<{ microseconds: number[] }>(
            'echo',
            contender,
            `-count=${bytes}`,
          );
          return result.microseconds.map((each) => each / 1000);
        } finally {
          await transfer.stop();
        }
      });
      return [0.5, 0.99].flatMap((q) =>
        mediansAndRatios(
          `${label}, p${q * 100}`,
          'ms',
          series.map(({ name, values }) => ({ name, values: values.map((each) => quantile(each, q)) })),
          stage.floors,
        ),
      );
    });
  } finally {
    await sshd.stop();
  }
}
