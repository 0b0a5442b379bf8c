/** Berth's own logins: who gets in, what is recorded of it, and what ends it. */
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { scopes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { eventually } from '../../../../test/harness/ssh.ts';
import { addEntry } from '../allowlists/allowlists.ts';
import { killConnection } from '../connections/connections.ts';
import { deleteEnvironment, stopEnvironment, updateEnvironment } from '../environments/environments.ts';
import { announce } from '../events/notices.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { issueToken, hashOf, removeToken } from '../tokens/tokens.ts';
import { principalOfToken } from '../tokens/table.ts';
import { InsideConnections } from './inside-connections.ts';
import { NotLetIn, openInside } from './inside.ts';
import type { Inside, InsideWish } from './inside.ts';

const source = '192.0.2.7';

for (const on of databases) {
  describe(`Berth's own logins, on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let alice: Account;
    let bob: Account;
    const opened: Inside[] = [];

    before(async () => {
      plane = await ControlPlane.open(on, { exposure: 'gateway', readyTimeoutSeconds: 20 });
      plane.runtime.letsIn = true;
      alice = await plane.account('alice');
      bob = await plane.account('bob');
    });
    after(() => plane.close());
    beforeEach(() => plane.startReconciler());
    afterEach(async () => {
      for (const inside of opened.splice(0)) {
        inside.end('the test is over');
        await inside.ended;
      }
      await plane.clear();
    });

    /** Signed in as in a browser. */
    const signedIn = async ({ principal }: Account, granted = scopes.slice(), lifeMs = 3_600_000) => {
      const { token } = await issueToken(plane.database, {
        account_id: principal.accountId,
        kind: 'session',
        name: '',
        scopes: granted,
        expires_at: new Date(Date.now() + lifeMs),
        source: null,
      });
      const found = await principalOfToken(plane.database, hashOf(token) ?? Buffer.alloc(0));
      assert.ok(found);
      return found.principal;
    };
    const running = async (name: string) => {
      const { env_id: id } = await plane.create({ name }, plane.services, alice.principal);
      await plane.until(id, 'running');
      await known(id, 'running');
      return id;
    };
    const known = (id: string, status: string) =>
      eventually(
        () => plane.services.directory.environment(id),
        (environment) => environment?.status === status,
        5000,
        5,
      );
    const enter = async (environment: string, change: Partial<InsideWish> = {}) => {
      const inside = await openInside(plane.services, {
        principal: change.principal ?? (await signedIn(alice)),
        environment,
        way: 'terminal',
        source,
        sourcePort: 50_000,
        client: 'Mozilla/5.0',
        wake: true,
        signal: new AbortController().signal,
        ...change,
      });
      opened.push(inside);
      return inside;
    };
    const run = async (inside: Inside, command: string) => {
      const session = await inside.session();
      await session.exec(command, { env: inside.variables });
      session.stderr.resume();
      return text(session.channel);
    };
    const connection = (id: string) =>
      plane.database.selectFrom('connections').selectAll().where('id', '=', id).executeTakeFirst();
    const attempts = (environment: string) =>
      plane.database
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'ssh.login')
        .where('target', '=', environment)
        .orderBy('id')
        .execute();
    const refusedFor = async (environment: string, change: Partial<InsideWish> = {}) => {
      const error = await enter(environment, change).then(
        () => assert.fail('it got in'),
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof NotLetIn, String(error));
      const last = (await attempts(environment)).at(-1);
      assert.equal(last?.outcome, 'refused');
      assert.deepEqual([last?.detail['reason'], last?.source], [error.reason, change.source ?? source]);
      return error;
    };

    test('runs what is asked for, and is recorded like the connection of a client', async () => {
      const id = await running('work');
      const inside = await enter(id);
      assert.equal(
        await run(inside, 'echo "$BERTH_CLIENT"; head -c 200000 /dev/zero | wc -c'),
        `${source} 50000\n200000\n`,
      );
      const row = await eventually(
        () => connection(inside.id),
        (found) => (found?.bytes_out ?? 0) > 0 && found?.channels === 1,
      );
      assert.deepEqual(
        [row?.way, row?.method, row?.account, row?.source, row?.client, row?.ended_at],
        ['terminal', 'session', alice.principal.account, source, 'Mozilla/5.0', null],
      );
      const [attempt] = await attempts(id);
      assert.deepEqual(
        [attempt?.outcome, attempt?.account, attempt?.detail['way'], attempt?.detail['connection']],
        ['done', alice.principal.account, 'terminal', inside.id],
      );
      inside.end('closed by the person');
      await inside.ended;
      const over = await eventually(
        () => connection(inside.id),
        (found) => found?.ended_at !== null,
      );
      assert.equal(over?.end_reason, 'closed by the person');
      assert.ok((over?.bytes_in ?? 0) > 1000);
    });

    test('lets in nobody of another customer, and no token that may only read', async () => {
      const id = await running('hers');
      await assert.rejects(enter(id, { principal: await signedIn(bob) }), { code: 'not_found' });
      await assert.rejects(enter('no-such-0000'), { code: 'not_found' });
      await assert.rejects(enter(id, { principal: await signedIn(alice, ['read']) }), { code: 'forbidden' });
      assert.deepEqual(await attempts(id), []);
    });

    test('refuses by allowlist, lockout and ban, and says why', async () => {
      const id = await running('guarded');
      await addEntry(
        plane.database,
        { principal: alice.principal, source },
        {
          network: '198.51.100.0/24',
          env_id: id,
        },
      );
      await eventually(
        () => plane.services.directory.environment(id),
        (environment) => environment?.allowlist.length === 1,
      );
      assert.match((await refusedFor(id)).message, /allowlist of guarded-\w+ does not have 192\.0\.2\.7/);
      const allowed = { source: '198.51.100.9' };
      assert.equal((await enter(id, allowed)).source, '198.51.100.9');
      assert.equal((await enter(id, { source: '::ffff:198.51.100.9' })).source, '198.51.100.9');

      const until = new Date(Date.now() + 60_000);
      const lockout = { target: id, source: allowed.source };
      await plane.database
        .insertInto('lockouts')
        .values({ ...lockout, failures: 5, until })
        .execute();
      await announce(plane.database, { topic: 'lockout', ...lockout });
      await eventually(() => plane.services.directory.lockedUntil(id, allowed.source), Boolean);
      assert.match((await refusedFor(id, allowed)).message, /^Locked until /);

      const banned = { source: '198.51.100.10' };
      await plane.database
        .insertInto('bans')
        .values({ ...banned, failures: 20, until })
        .execute();
      await announce(plane.database, { topic: 'ban', ...banned });
      await eventually(() => plane.services.directory.bannedUntil(banned.source), Boolean);
      assert.match((await refusedFor(id, banned)).message, /^Nothing is accepted from /);
    });

    test('starts what is stopped and tells of it, where a person asked and it may be', async () => {
      const id = await running('asleep');
      await stopEnvironment(plane.services, plane.asker, id);
      await plane.until(id, 'stopped');
      await known(id, 'stopped');
      assert.match((await refusedFor(id, { wake: false })).message, /is stopped/);
      assert.equal((await plane.show(id))?.status, 'stopped');
      const said: string[] = [];
      const inside = await enter(id, { onStatus: ({ message }) => said.push(message) });
      assert.ok(said.length > 0);
      assert.equal(await run(inside, 'echo in'), 'in\n');
      inside.end('over');
      await stopEnvironment(plane.services, plane.asker, id);
      await plane.until(id, 'stopped');
      await updateEnvironment(plane.services, plane.asker, id, { wake: false });
      await eventually(
        () => plane.services.directory.environment(id),
        (environment) => environment?.wake === false && environment.status === 'stopped',
      );
      assert.equal((await refusedFor(id)).reason, 'not_running');
    });

    test('is ended by a kill, an allowlist, a stop and a deletion', async () => {
      const id = await running('cut');
      const killed = await enter(id);
      await killConnection(plane.database, plane.asker, killed.id);
      assert.equal(await killed.ended, 'admin ended this connection.');

      const outside = await enter(id);
      const inNetwork = await enter(id, { source: '198.51.100.9' });
      await addEntry(
        plane.database,
        { principal: alice.principal, source },
        {
          network: '198.51.100.0/24',
        },
      );
      assert.match(await outside.ended, /allowlist of cut-\w+ was changed/);
      assert.equal(inNetwork.endReason, undefined);

      await stopEnvironment(plane.services, plane.asker, id);
      assert.ok(await inNetwork.ended);
      await plane.until(id, 'stopped');
      await known(id, 'stopped');
      const again = await enter(id, { source: '198.51.100.9' });
      await deleteEnvironment(plane.services, plane.asker, id);
      assert.match(await again.ended, /was deleted/);
      await eventually(
        () => plane.database.selectFrom('connections').selectAll().where('ended_at', 'is', null).execute(),
        (open) => open.length === 0,
      );
    });

    test('ends with the session that opened it, and with what its account may do', async () => {
      const id = await running('signed');
      const principal = await signedIn(alice);
      const inside = await enter(id, { principal });
      const other = await enter(id);
      const short = await enter(id, { principal: await signedIn(alice, scopes.slice(), 1500) });
      const actor = { principal, source };
      await removeToken(plane.database, principal, actor, principal.tokenId ?? 0);
      assert.match(await inside.ended, /session .* has ended/);
      assert.match(await short.ended, /session .* has ended/);
      assert.equal(other.endReason, undefined);
      const chief = await plane.account('watchers', 'admin');
      const watching = await enter(id, { principal: await signedIn(chief) });
      await plane.database
        .updateTable('accounts')
        .set({ role: 'member' })
        .where('id', '=', chief.principal.accountId)
        .execute();
      assert.match(await watching.ended, /session .* has ended/);
    });

    test('a server that was killed leaves none that seems alive', async () => {
      const id = await running('left');
      const inside = await enter(id);
      const { services } = plane;
      const again = await InsideConnections.open(services);
      await again.close();
      const row = await connection(inside.id);
      assert.equal(row?.end_reason, 'The server was restarted.');
    });
  });
}
