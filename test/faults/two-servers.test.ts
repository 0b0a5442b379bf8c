/** Two servers on one PostgreSQL and one Docker: one is killed, or stands still, and the other finishes its work. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { CreatedEnvironment } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import pg from 'pg';
import { TestBerth, skipWithoutDocker } from '../harness/berth.ts';
import { databases } from '../harness/databases.ts';
import { Login, eventually } from '../harness/ssh.ts';
import { settles } from './survey.ts';
import type { Promised } from './survey.ts';

/** A lease lasts 15 seconds. */
const takeOverMs = 20_000;
const postgres = databases.find(({ name }) => name === 'PostgreSQL');

describe('two servers', { skip: skipWithoutDocker || postgres?.skip }, () => {
  let first: TestBerth;
  let second: TestBerth;
  let rows: pg.Client;
  const promised = new Map<string, Promised>();

  before(async () => {
    const databaseUrl = (await postgres?.create()) ?? null;
    first = await TestBerth.start({ databaseUrl, portCount: 40 });
    second = await TestBerth.make({
      databaseUrl,
      settings: { BERTH_PORT_RANGE: `${first.ports.first}-${first.ports.last}` },
    });
    copyFileSync(join(first.dataDir, 'secret.key'), join(second.dataDir, 'secret.key'));
    assert.ok(await second.up(), second.log);
    rows = new pg.Client({ connectionString: databaseUrl ?? '' });
    await rows.connect();
  });

  after(async () => {
    await rows?.end();
    await first?.kill();
    await second?.kill();
    await first?.remove();
    await second?.remove();
  });

  const dataDirs = () => [first.dataDir, second.dataDir];

  async function create(through: TestBerth, name: string): Promise<string> {
    const created = await through.create({ name, resources: { cpu: 1, memory: 0.25 } });
    promised.set(created.env_id, { port: created.ssh_port, password: created.ssh_password });
    return created.env_id;
  }

  function serverId(berth: TestBerth): string {
    return readFileSync(join(berth.dataDir, 'server-id'), 'utf8').trim();
  }

  /** Who works on the environment; null: nobody. */
  async function worker(id: string): Promise<string | null> {
    const query = 'select lease_owner from environments where id = $1';
    return (await rows.query<{ lease_owner: string | null }>(query, [id])).rows[0]?.lease_owner ?? null;
  }

  async function becomesWorker(berth: TestBerth, id: string): Promise<void> {
    await eventually(
      () => worker(id),
      (owner) => owner === serverId(berth),
      10_000,
      1,
    );
  }

  async function act(through: TestBerth, id: string, template: string): Promise<void> {
    const method = template === routes.environment ? 'DELETE' : 'POST';
    const { status, body } = await through.call(method, pathOf(template, { id }));
    assert.equal(status, 202, JSON.stringify(body));
  }

  async function mustLogIn(id: string, through: TestBerth): Promise<void> {
    const login = new Login(await through.ssh(id));
    try {
      const ran = await login.ssh('hostname');
      assert.equal(ran.stdout, `${id}\n`, ran.stderr);
    } finally {
      login.remove();
    }
  }

  it('one is killed in the middle of its work: the other finishes it', async (context) => {
    const [stops, starts, goes] = await Promise.all(
      ['stops', 'starts', 'goes'].map(async (name) => {
        const id = await create(first, name);
        await first.until(id, 'running');
        return id;
      }),
    );
    assert.ok(stops && starts && goes);
    await act(first, starts, routes.environmentStop);
    await first.until(starts, 'stopped');
    // So that all the work is the first one's.
    process.kill(second.pid, 'SIGSTOP');
    let comes: string;
    try {
      promised.delete(goes);
      const created = create(first, 'comes');
      await Promise.all([
        act(first, stops, routes.environmentStop),
        act(first, starts, routes.environmentStart),
        act(first, goes, routes.environment),
      ]);
      comes = await created;
      await becomesWorker(first, comes);
      await first.kill();
    } finally {
      process.kill(second.pid, 'SIGCONT');
    }
    const began = Date.now();
    const unfinished = await rows.query('select id from environments where lease_owner is not null');
    assert.ok(unfinished.rowCount && unfinished.rowCount > 1, 'it was killed too late');
    await Promise.all([
      second.until(comes, 'running', takeOverMs),
      second.until(stops, 'stopped', takeOverMs),
      second.until(starts, 'running', takeOverMs),
      second.until(goes, 'gone', takeOverMs),
    ]);
    context.diagnostic(`finished ${Date.now() - began} ms after the kill`);
    await mustLogIn(comes, second);
    await mustLogIn(starts, second);
    assert.ok(await first.up(), first.log.slice(-2000));
    // What the killed one left in its data folder is cleared away by itself.
    await settles(second, promised, 10_000, dataDirs());
  });

  it('whichever of them writes a new password, it opens the environment', async () => {
    const shared = await create(first, 'shared');
    await first.until(shared, 'running');
    for (let round = 0; round < 6; round += 1) {
      const through = round % 2 === 0 ? first : second;
      const path = pathOf(routes.environmentResetPassword, { id: shared });
      const { status, body } = await through.call<CreatedEnvironment>('POST', path);
      assert.equal(status, 200);
      promised.set(shared, { port: promised.get(shared)?.port ?? null, password: body.ssh_password });
      await settles(through, promised, 10_000, dataDirs());
    }
    await eventually(() => mustLogIn(shared, second).then(() => true), Boolean);
  });

  it('work on no environment both at once', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `once-${index}`);
    const made = await Promise.all(names.map((name, index) => create(index % 2 ? first : second, name)));
    await Promise.all(made.map((each) => first.until(each, 'running')));
    await settles(first, promised, 10_000, dataDirs());
    for (const each of made) {
      const { rows: steps } = await rows.query<{ step: string; count: number }>(
        `select step, count(*)::integer as count from environment_events
         where env_id = $1 and kind = 'step' group by step order by step`,
        [each],
      );
      assert.deepEqual(
        steps.map(({ step, count }) => `${step} ${count}`),
        ['container 1', 'handshake 1', 'image 1', 'storage 1'],
        each,
      );
    }
  });

  it('one stands still for longer than its lease: what the other did meanwhile stays so', async () => {
    const made = await create(first, 'paused');
    const owner = await eventually(
      () => worker(made),
      (found) => found !== null,
      10_000,
      1,
    );
    const [working, idle] = owner === serverId(first) ? [first, second] : [second, first];
    process.kill(working.pid, 'SIGSTOP');
    try {
      await idle.until(made, 'running', takeOverMs);
      promised.delete(made);
      await act(idle, made, routes.environment);
      await idle.until(made, 'gone');
    } finally {
      process.kill(working.pid, 'SIGCONT');
    }
    // It answers, so it runs again; what it had begun it would go on with now.
    await working.call('GET', routes.ready);
    await pause(2000);
    await eventually(
      async () => (await idle.things()).filter((thing) => thing.includes(made)),
      (left) => left.length === 0,
    );
    await working.kill();
    assert.ok(await working.up(), working.log.slice(-2000));
    await settles(idle, promised, 10_000, dataDirs());
  });
});
