/**
 * What a stranger learns from how long a refusal takes, over 200 tries of each kind at the shared port: nothing about
 * whether there is such an environment, or whether it runs.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { pathOf, routes } from '@berth/contract';
import { AuthenticationError, dial } from '@berth/ssh';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';

const tries = 200;
/** Strangers side by side. */
const parallel = 8;
/** Of the rank sum's distribution if both kinds took the same time: beyond it one time in 15,000. */
const largestDeviation = 4;

describe('a refusal', { skip: skipWithoutDocker }, () => {
  let berth: TestBerth;
  const names = { running: '', stopped: '', unknown: 'nobody-9z9z' };
  before(async () => {
    berth = await TestBerth.start({
      gateway: true,
      settings: {
        // All strangers are one address here.
        BERTH_LOCKOUT_FAILURES: '1000',
        BERTH_BAN_FAILURES: '10000',
        BERTH_LIMITS_CONNECTIONS_PER_SECOND: '10000',
      },
    });
    const make = (name: string) => berth.createRunning({ name, resources: { cpu: 1, memory: 0.5 } });
    names.running = (await make('runs')).env_id;
    names.stopped = (await make('stopped')).env_id;
    await berth.call('POST', pathOf(routes.environmentStop, { id: names.stopped }));
    await berth.until(names.stopped, 'stopped');
  });
  after(() => berth?.remove());

  it('takes as long for an environment that runs, one that is stopped, and none', async (context) => {
    const times: Record<keyof typeof names, number[]> = { running: [], stopped: [], unknown: [] };
    const kinds = Object.keys(times) as (keyof typeof names)[];
    let left = tries;
    const stranger = async () => {
      while (left > 0) {
        left -= 1;
        // None is always the first.
        kinds.push(...kinds.splice(0, 1));
        for (const kind of [...kinds]) times[kind].push(await timeOfRefusal(names[kind], berth.sharedPort));
      }
    };
    await Promise.all(Array.from({ length: parallel }, stranger));
    for (const kind of kinds) assert.equal(times[kind].length, tries);
    const medians = kinds.map((kind) => `${kind} ${median(times[kind]).toFixed(1)} ms`).join(', ');
    context.diagnostic(medians);
    for (const kind of ['running', 'stopped'] as const) {
      const deviation = rankSumDeviation(times[kind], times.unknown);
      assert.ok(Math.abs(deviation) < largestDeviation, `${kind}: ${deviation.toFixed(1)} (${medians})`);
    }
  });
});

/** Milliseconds from the connection to the refusal of a wrong password. */
async function timeOfRefusal(user: string, port: number): Promise<number> {
  const began = performance.now();
  await assert.rejects(
    dial({
      host: '127.0.0.1',
      port,
      user,
      credentials: [{ method: 'password', password: 'Wrong-Horse-9-Battery' }],
      hostKey: () => undefined,
    }),
    AuthenticationError,
  );
  return performance.now() - began;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Of the Mann-Whitney rank sum from what it would be if both came from one distribution, in standard deviations. */
function rankSumDeviation(first: readonly number[], second: readonly number[]): number {
  const all = [...first.map((value) => [value, 1] as const), ...second.map((value) => [value, 0] as const)];
  const ranked = all.toSorted(([a], [b]) => a - b);
  const rankSum = ranked.reduce((sum, [, isFirst], index) => sum + isFirst * (index + 1), 0);
  const [m, n] = [first.length, second.length];
  const expected = (m * (m + n + 1)) / 2;
  return (rankSum - expected) / Math.sqrt((m * n * (m + n + 1)) / 12);
}
