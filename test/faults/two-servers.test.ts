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
const [postgres] = databases.filter(({ name }) => name === 'PostgreSQL');

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

  /** Waits until one of the two works on the environment. */
  async function worker(id: string): Promise<{ working: TestBerth; idle: TestBerth }> {
    const ids = [serverId(first), serverId(second)];
    const owner = await eventually(
      async () => {
        const query = 'select lease_owner from environments where id = $1';
        return (await rows.query<{ lease_owner: string | null }>(query, [id])).rows[0]?.lease_owner ?? null;
      },
      (found) => found !== null,
      10_000,
      2,
    );
    return owner === ids[0] ? { working: first, idle: second } : { working: second, idle: first };
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

  const operations = [
    { name: 'create', template: null, ends: 'running' },
    { name: 'stop', template: routes.environmentStop, ends: 'stopped' },
    { name: 'start', template: routes.environmentStart, ends: 'running' },
    { name: 'delete', template: routes.environment, ends: 'gone' },
  ] as const;
  let id = '';

  for (const { name, template, ends } of operations) {
    it(`one is killed during ${name}: the other finishes it`, async (context) => {
      if (template === null) id = await create(first, 'handed-over');
      else {
        if (ends === 'gone') promised.delete(id);
        await first.call(ends === 'gone' ? 'DELETE' : 'POST', pathOf(template, { id }));
      }
      const { working, idle } = await worker(id);
      await working.kill();
      const began = Date.now();
      await idle.until(id, ends, takeOverMs);
      await settles(idle, promised, 2000, dataDirs());
      context.diagnostic(`finished ${Date.now() - began} ms after the kill`);
      if (ends === 'running') await mustLogIn(id, idle);
      assert.ok(await working.up(), working.log.slice(-2000));
    });
  }

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
    const { working, idle } = await worker(made);
    process.kill(working.pid, 'SIGSTOP');
    try {
      await idle.until(made, 'running', takeOverMs);
      promised.delete(made);
      await idle.call('DELETE', pathOf(routes.environment, { id: made }));
      await idle.until(made, 'gone');
    } finally {
      process.kill(working.pid, 'SIGCONT');
    }
    // It answers, so it runs again; what it had begun it would go on with now.
    await working.call('GET', routes.ready);
    await pause(2000);
    await settles(idle, promised, 2000, dataDirs());
  });
});
