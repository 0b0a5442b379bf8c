/** 100 environments asked for in the same moment, on one machine: all must run, and each must let its owner in. */
import { TestBerth } from '../test/harness/berth.ts';
import { Login } from '../test/harness/ssh.ts';
import type { Figure } from './main.ts';
import { progress, quantile } from './statistics.ts';

const count = 100;

export async function burst(): Promise<Figure[]> {
  const berth = await TestBerth.start({ portCount: count + 20 });
  try {
    const began = performance.now();
    const answeredMs: number[] = [];
    const created = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const environment = await berth.create({
          name: `burst-${index}`,
          resources: { cpu: 1, memory: 0.25 },
        });
        answeredMs.push(performance.now() - began);
        return environment;
      }),
    );
    progress(`${count} requests answered after ${quantile(answeredMs, 1).toFixed(0)} ms`);
    const settled = await Promise.allSettled(
      created.map(async ({ env_id }) => {
        await berth.until(env_id, 'running', 600_000);
        return performance.now() - began;
      }),
    );
    const runningMs = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    progress(`${runningMs.length} of ${count} run after ${quantile(runningMs, 1).toFixed(0)} ms`);
    let entered = 0;
    for (const { env_id } of created) {
      const login = new Login(await berth.ssh(env_id));
      const result = await login.ssh('hostname');
      if (result.stdout.trim() === env_id) entered += 1;
      else progress(`${env_id}: ${result.stderr}`);
      login.remove();
    }
    return [
      { name: 'environments asked for at once', value: count, unit: '' },
      { name: 'all requests answered', value: quantile(answeredMs, 1), unit: 'ms' },
      { name: 'running', value: runningMs.length, unit: '', target: `${count}` },
      { name: 'logged in with the stock client', value: entered, unit: '', target: `${count}` },
      {
        name: 'distinct ports',
        value: new Set(created.map(({ ssh_port }) => ssh_port)).size,
        unit: '',
        target: `${count}`,
      },
      { name: 'request to running, p50', value: quantile(runningMs, 0.5), unit: 'ms' },
      { name: 'request to running, last', value: quantile(runningMs, 1), unit: 'ms' },
    ];
  } finally {
    await berth.remove();
  }
}
