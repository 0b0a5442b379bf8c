/** The server killed at random moments while many environments are made, stopped, started and deleted at once. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { CreatedEnvironment, Environment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { databases } from '../harness/databases.ts';
import { list, settles } from './survey.ts';
import type { Promised } from './survey.ts';

const full = process.env['BERTH_TEST_FULL'] === '1';
const customers = 10;
const loadMs = full ? 60_000 : 20_000;
const settleMs = 15_000;

/** A sequence that the seed determines (mulberry32), so that a failure can be looked at again. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One who makes an environment and does this and that with it, whether the server answers or not. */
class Customer {
  readonly #berth: TestBerth;
  readonly #name: string;
  readonly #draw: (below: number) => number;
  readonly #promised: Map<string, Promised>;
  id: string | null = null;
  /** What was answered last; null when a request since then got no answer. */
  expected: Environment['status'] | 'gone' | null = 'gone';
  requests = 0;

  constructor(
    berth: TestBerth,
    name: string,
    draw: (below: number) => number,
    promised: Map<string, Promised>,
  ) {
    this.#berth = berth;
    this.#name = name;
    this.#draw = draw;
    this.#promised = promised;
  }

  async act(): Promise<void> {
    this.requests += 1;
    if (this.id === null) return this.#create();
    const draw = this.#draw(5);
    if (draw === 0) return this.#change('DELETE', routes.environment, 'gone');
    if (draw <= 2) return this.#change('POST', routes.environmentStop, 'stopped');
    return this.#change('POST', routes.environmentStart, 'running');
  }

  async #create(): Promise<void> {
    this.expected = null;
    const answer = await this.#berth.call<CreatedEnvironment>('POST', routes.environments, {
      name: this.#name,
      resources: { cpu: 1, memory: 0.25 },
    });
    if (answer.status === 409) {
      // The last request was carried out without an answer.
      const found = (await list(this.#berth)).find(({ name }) => name === this.#name);
      this.id = found?.env_id ?? null;
      return;
    }
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    const { env_id, ssh_port, ssh_password } = answer.body;
    this.id = env_id;
    this.#promised.set(env_id, { port: ssh_port, password: ssh_password });
    this.expected = 'running';
  }

  async #change(method: string, template: string, expected: 'running' | 'stopped' | 'gone'): Promise<void> {
    const id = this.id ?? '';
    this.expected = null;
    if (expected === 'gone') this.#promised.delete(id);
    const { status, body } = await this.#berth.call(method, pathOf(template, { id }));
    if (status === 404 || status === 409) {
      // It is gone, or going: a deletion was carried out without an answer.
      this.id = null;
      this.expected = null;
      return;
    }
    assert.equal(status, 202, JSON.stringify(body));
    this.expected = expected;
    if (expected === 'gone') this.id = null;
  }
}

for (const database of databases) {
  if (!full && database.name === 'PostgreSQL') continue;
  it(
    `a server on ${database.name}, killed again and again under load, settles`,
    { skip: skipWithoutDocker || database.skip },
    async (context) => {
      const seed = Number(process.env['BERTH_TEST_SEED'] ?? randomInt(2 ** 31));
      context.diagnostic(`BERTH_TEST_SEED=${seed}`);
      const berth = await TestBerth.start({ databaseUrl: await database.create(), portCount: 40 });
      try {
        const promised = new Map<string, Promised>();
        const crowd = Array.from(
          { length: customers },
          (_, index) => new Customer(berth, `load-${index}`, sequence(seed + 1 + index), promised),
        );
        const ending = new AbortController();
        const faults: unknown[] = [];
        const busy = crowd.map(async (customer, index) => {
          const draw = sequence(seed + 101 + index);
          while (!ending.signal.aborted) {
            await customer.act().catch((error: NodeJS.ErrnoException) => {
              if (error instanceof assert.AssertionError) faults.push(error);
            });
            await pause(100 + draw(900), undefined, { signal: ending.signal }).catch(() => undefined);
          }
        });
        const draw = sequence(seed);
        let kills = 0;
        for (const end = Date.now() + loadMs; Date.now() < end; kills += 1) {
          await pause(1000 + draw(1000));
          await berth.kill();
          assert.ok(await berth.up(), berth.log.slice(-2000));
        }
        ending.abort();
        await Promise.all(busy);
        const requests = crowd.reduce((sum, customer) => sum + customer.requests, 0);
        const tookMs = await settles(berth, promised, settleMs);
        context.diagnostic(`${kills} kills, ${requests} requests, settled ${tookMs} ms after the last`);
        assert.deepEqual(faults, []);
        const there = new Map((await list(berth)).map((each) => [each.env_id, each.status]));
        for (const { id, expected } of crowd) {
          if (id !== null && expected !== null) assert.equal(there.get(id) ?? 'gone', expected, id);
        }
        for (const id of there.keys()) {
          assert.equal((await berth.call('DELETE', pathOf(routes.environment, { id }))).status, 202);
        }
        promised.clear();
        await Promise.all([...there.keys()].map((id) => berth.until(id, 'gone')));
        await settles(berth, promised, settleMs);
        assert.deepEqual(await berth.things(), []);
      } finally {
        await berth.remove();
      }
    },
  );
}
