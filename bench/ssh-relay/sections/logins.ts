// How many clients get in a second when many come at once, and what each costs the relay. The clients and the
// upstream server are written in Go, and cheap: a stock sshd would be the limit, since it forks for each login.

import { execFileSync } from 'node:child_process';
import type { Figure } from '../../main.ts';
import { cpuSeconds } from '../processes.ts';
import { type Stage, medians, mediansAndRatios } from '../stage.ts';

const keyExchanges = ['curve25519-sha256', 'mlkem768x25519-sha256'];
const seconds = 1.5;
const parallel = 8;

export async function logins(stage: Stage): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const keyExchange of keyExchanges) figures.push(...(await loginsWith(stage, keyExchange)));
  return figures;
}

async function loginsWith(stage: Stage, keyExchange: string): Promise<Figure[]> {
  const upstream = await stage.startUpstream(keyExchange);
  const stockHasIt = execFileSync('ssh', ['-Q', 'kex'], { encoding: 'utf8' }).includes(keyExchange);
  try {
    return await stage.withRelays(upstream.port, async (all) => {
      const contenders = all.filter(({ running }) => stockHasIt || running.jumpTo === undefined);
      const label = `logins, ${keyExchange}`;
      const series = await stage.inTurns(label, contenders, async (contender) => {
        const { pid } = contender.running;
        const before = pid === undefined ? 0 : cpuSeconds(pid);
        const result = await stage.runGoClient<{ logins: number; failed: number; seconds: number }>(
          'logins',
          contender,
          `-key-exchange=${keyExchange}`,
          `-parallel=${parallel}`,
          `-seconds=${seconds}`,
        );
        if (result.failed > 0) throw new Error(`${result.failed} logins failed: ${contender.name}`);
        const cpu = pid === undefined ? 0 : cpuSeconds(pid) - before;
        return { rate: result.logins / result.seconds, cpu, ...result };
      });
      const values = (of: (value: (typeof series)[number]['values'][number]) => number) =>
        series.map(({ name, values }) => ({ name, values: values.map(of) }));
      return [
        ...mediansAndRatios(
          label,
          'a second',
          values(({ rate }) => rate),
          stage.floors,
        ),
        ...medians(
          `${label}, CPU of the relay`,
          'ms each',
          values((v) => (v.cpu * 1000) / v.logins).slice(1),
        ),
        // On a machine with few cores, clients and upstream server take more of them than the relay. What it could
        // do with a core of its own follows from what a login costs it.
        ...medians(
          `${label}, by CPU of the relay`,
          'a second and core',
          values((v) => v.logins / v.cpu).slice(1),
        ),
        ...medians(
          `${label}, CPU of the relay meanwhile`,
          '% of a core',
          values((v) => (v.cpu * 100) / v.seconds).slice(1),
        ),
      ];
    });
  } finally {
    await upstream.stop();
  }
}
