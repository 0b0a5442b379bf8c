/**
 * The browser's terminal over real WebSockets and a real SSH connection: who gets one, what ends it, and what it takes of
 * a page. The shell is this machine's, which has no keeper; test/end-to-end/terminal.test.ts has real environments.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Connection, Scope } from '@berth/contract';
import { pathOf, routes, scopes } from '@berth/contract';
import { databases } from '../../../../../test/harness/databases.ts';
import { eventually } from '../../../../../test/harness/ssh.ts';
import { TerminalPage } from '../../../../../test/harness/terminal.ts';
import type { PageOptions } from '../../../../../test/harness/terminal.ts';
import { addEntry } from '../../allowlists/allowlists.ts';
import { killConnection } from '../../connections/connections.ts';
import { deleteEnvironment, stopEnvironment, updateEnvironment } from '../../environments/environments.ts';
import { announce } from '../../events/notices.ts';
import { makeApp } from '../../http/app.ts';
import type { App } from '../../http/app.ts';
import { ControlPlane, testPassword } from '../../testing/control-plane.ts';
import type { Account } from '../../testing/control-plane.ts';
import { issueToken, removeToken, hashOf } from '../../tokens/tokens.ts';
import { principalOfToken } from '../../tokens/table.ts';

const source = '127.0.0.1';

for (const on of databases) {
  describe(`the browser's terminal, on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let origin: string;
    let alice: Account;
    let bob: Account;
    const pages: TerminalPage[] = [];
    before(async () => {
      plane = await ControlPlane.open(on, { exposure: 'gateway', readyTimeoutSeconds: 20 });
      plane.runtime.letsIn = true;
      [alice, bob] = [await plane.account('alice'), await plane.account('bob')];
      const addresses = { ...plane.services.addresses, publicUrl: '' };
      app = await makeApp(plane.with({}, { addresses }));
      origin = await app.listen({ host: '127.0.0.1', port: 0 });
      addresses.publicUrl = origin;
    });
    beforeEach(() => plane.startReconciler());
    afterEach(async () => {
      for (const page of pages.splice(0)) page.cut();
      await plane.clear();
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const as = ({ token }: { token: string }) => ({ authorization: `Bearer ${token}` });
    const open = (environment: string, options: Partial<PageOptions> = {}) => {
      const page = new TerminalPage({ origin, environment, headers: as(alice), ...options });
      pages.push(page);
      return page;
    };
    const connected = async (environment: string, options: Partial<PageOptions> = {}) => {
      const page = open(environment, options);
      await page.connect();
      await page.hears('ready');
      return page;
    };
    const known = (id: string, status: string) =>
      eventually(
        () => plane.services.directory.environment(id),
        (environment) => environment?.status === status,
        5000,
        5,
      );
    const running = async (name: string) => {
      const { env_id: id } = await plane.create({ name }, plane.services, alice.principal);
      await plane.until(id, 'running');
      await known(id, 'running');
      return id;
    };
    const live = (fits: (rows: { id: string }[]) => boolean) =>
      eventually(
        () => plane.database.selectFrom('connections').selectAll().where('ended_at', 'is', null).execute(),
        fits,
      );
    const tokenOf = async ({ principal }: Account, granted: Scope[]) => {
      const { token } = await issueToken(plane.database, {
        account_id: principal.accountId,
        kind: 'session',
        name: '',
        scopes: granted,
        expires_at: new Date(Date.now() + 3_600_000),
        source,
      });
      return token;
    };
    const cookieOf = async (account: string) => {
      const answer = await fetch(`${origin}${routes.session}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ account, password: testPassword }),
      });
      assert.equal(answer.status, 200);
      return (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    };
    const attempts = (target: string) =>
      plane.database
        .selectFrom('audit')
        .selectAll()
        .where('action', '=', 'ssh.login')
        .where('target', '=', target)
        .orderBy('id')
        .execute();
    const refusedWith = async (page: TerminalPage, status: number, change: Partial<PageOptions> = {}) => {
      await assert.rejects(page.connect(change), new RegExp(`answered ${status}:`));
    };

    it('gives a shell to whoever is signed in, and is recorded', async () => {
      const id = await running('shell');
      const page = await connected(id, { headers: { ...as(alice), 'user-agent': 'Browser/1' } });
      assert.equal((await page.hears('ready')).lasts, false);
      page.type('echo "from ${BERTH_CLIENT% *}"\n');
      await page.says(new RegExp(`from ${source}`));
      const [row] = await live(([found]) => found !== undefined);
      const shown = (
        await app.inject({ url: pathOf(routes.connection, { id: row?.id ?? '' }), headers: as(alice) })
      ).json<Connection>();
      assert.deepEqual(
        [shown.way, shown.method, shown.account, shown.source, shown.client, shown.env_id],
        ['terminal', 'session', alice.principal.account, source, 'Browser/1', id],
      );
      const hidden = await app.inject({
        url: pathOf(routes.connection, { id: row?.id ?? '' }),
        headers: as(bob),
      });
      assert.equal(hidden.statusCode, 404);
      const [attempt] = await attempts(id);
      assert.deepEqual([attempt?.outcome, attempt?.detail['way']], ['done', 'terminal']);
      page.type('exit 3\n');
      assert.equal((await page.hears('exit')).status, 3);
      page.leave();
      await live((rows) => rows.length === 0);
    });

    it('opens for the cookie of a session, from a page of its own origin only', async () => {
      const id = await running('cookie');
      const cookie = await cookieOf(alice.principal.account);
      await connected(id, { headers: { cookie, origin } });
      for (const strange of [
        { cookie, origin: 'https://evil.example' },
        { cookie, origin: origin.replace(/:\d+$/, ':1') },
        { cookie, origin: 'null' },
        { cookie },
        // A token does not make another's page ours.
        { ...as(alice), origin: 'https://evil.example' },
      ])
        await refusedWith(open(id), 403, { headers: strange });
      assert.equal((await attempts(id)).length, 1);
    });

    it('is refused to strangers, other customers, and tokens that may only read', async () => {
      const id = await running('hers');
      await refusedWith(open(id), 401, { headers: {} });
      await refusedWith(open(id), 401, { headers: { authorization: `Bearer berth_${'A'.repeat(43)}` } });
      await refusedWith(open(id), 404, { headers: as(bob) });
      await refusedWith(open('none-0000'), 404);
      await refusedWith(open(id), 403, { headers: as({ token: await tokenOf(alice, ['read']) }) });
      const chief = await plane.account('chief', 'admin');
      await connected(id, { headers: as(chief) });
      assert.equal((await attempts(id)).length, 1);
    });

    it('says what it is to whoever asks without a WebSocket', async () => {
      const id = await running('plain');
      const query = 'session=abcdefgh&writer=0123456789abcdef&columns=80&rows=24';
      const answer = await app.inject({
        url: `${pathOf(routes.terminal, { id })}?${query}`,
        headers: as(alice),
      });
      assert.equal(answer.statusCode, 400);
      assert.match(answer.body, /WebSocket/);
    });

    it('is refused by allowlist, ban and lockout, with the sentence, and each time in the audit log', async () => {
      const id = await running('guarded');
      const why = async () => {
        const page = open(id);
        await page.connect();
        const { why, sentence } = await page.ends();
        assert.equal(why, 'refused');
        return sentence;
      };
      await addEntry(plane.database, plane.asker, { network: '127.0.0.2/32', env_id: id });
      await eventually(
        () => plane.services.directory.environment(id)?.allowlist.length,
        (length) => length === 1,
      );
      assert.match(await why(), /allowlist of guarded-\w+ does not have 127\.0\.0\.1/);
      const inside = await connected(id, { localAddress: '127.0.0.2' });
      const until = new Date(Date.now() + 60_000);
      await plane.database
        .insertInto('lockouts')
        .values({ target: id, source: '127.0.0.2', failures: 5, until })
        .execute();
      await announce(plane.database, { topic: 'lockout', target: id, source: '127.0.0.2' });
      await eventually(() => plane.services.directory.lockedUntil(id, '127.0.0.2'), Boolean);
      const locked = open(id);
      await locked.connect({ localAddress: '127.0.0.2' });
      assert.match((await locked.ends()).sentence, /Locked until \d{4}-/);
      assert.ok(inside.isOpen, 'whoever is in stays in, as at the gateway');
      await plane.database.insertInto('bans').values({ source: '127.0.0.1', failures: 50, until }).execute();
      await announce(plane.database, { topic: 'ban', source: '127.0.0.1' });
      await eventually(() => plane.services.directory.bannedUntil('127.0.0.1'), Boolean);
      assert.match(await why(), /Nothing is accepted from 127\.0\.0\.1 until/);
      assert.deepEqual(
        (await attempts(id)).map(({ outcome, detail }) => [outcome, detail['reason']]),
        [
          ['refused', 'not_allowed'],
          ['done', null],
          ['refused', 'locked'],
          ['refused', 'banned'],
        ],
      );
    });

    it('starts a stopped environment where a person asked for that, and tells how it gets on', async () => {
      const id = await running('asleep');
      await stopEnvironment(plane.services, plane.asker, id);
      await plane.until(id, 'stopped');
      await known(id, 'stopped');
      const again = open(id);
      await again.connect();
      assert.equal((await again.ends()).why, 'stopped');
      assert.equal((await plane.show(id))?.status, 'stopped', 'a page that connects again undoes no stop');
      const page = open(id, { wake: true });
      await page.connect();
      await page.hears('ready');
      assert.ok(page.messages.some(({ type }) => type === 'progress'));
      assert.equal((await plane.show(id))?.status, 'running');
      await stopEnvironment(plane.services, plane.asker, id);
      await page.ends();
      await plane.until(id, 'stopped');
      await updateEnvironment(plane.services, plane.asker, id, { wake: false });
      await eventually(
        () => plane.services.directory.environment(id),
        (found) => found?.wake === false && found.status === 'stopped',
      );
      const refused = open(id, { wake: true });
      await refused.connect();
      const { why, sentence } = await refused.ends();
      assert.equal(why, 'stopped');
      assert.match(sentence, /logins do not start it/);
    });

    it('is cut by a kill, an allowlist, a deletion, and says so', async () => {
      const id = await running('cut');
      const killed = await connected(id);
      const [row] = await live((rows) => rows.length === 1);
      await killConnection(plane.database, plane.asker, row?.id ?? '');
      assert.deepEqual(await killed.ends(2000), {
        type: 'end',
        why: 'ended',
        sentence: 'admin ended this connection.',
      });
      const outside = await connected(id);
      const within = await connected(id, { localAddress: '127.0.0.2' });
      await addEntry(plane.database, plane.asker, { network: '127.0.0.2/32', env_id: id });
      assert.match((await outside.ends(2000)).sentence, /does not have 127\.0\.0\.1 any more/);
      assert.ok(within.isOpen);
      await deleteEnvironment(plane.services, plane.asker, id);
      assert.match((await within.ends(5000)).sentence, /was deleted/);
    });

    it('is cut within seconds when the session that it came with is over', async () => {
      const id = await running('session');
      const token = await tokenOf(alice, scopes.slice());
      const page = await connected(id, { headers: as({ token }) });
      const other = await connected(id);
      const found = await principalOfToken(plane.database, hashOf(token) ?? Buffer.alloc(0));
      assert.ok(found);
      const { principal } = found;
      await removeToken(plane.database, principal, { principal, source }, principal.tokenId ?? 0);
      assert.equal((await page.ends(5000)).why, 'ended');
      assert.ok(other.isOpen);
    });

    it('takes nothing that is not the protocol, and no more input than there is room for', async () => {
      const id = await running('protocol');
      for (const strange of [
        'no JSON',
        '{"type":"size","columns":1e9,"rows":24}',
        '{"type":"taken","offset":1000000000}',
        Buffer.alloc(200_000, 'x'),
      ]) {
        const page = await connected(id);
        page.sendRaw(strange);
        await page.until(() => !page.isOpen, 3000, 'close');
      }
      const flooding = await connected(id);
      flooding.type('exec sleep 60\n');
      for (let count = 0; count < 400 && flooding.isOpen; count += 1) {
        flooding.sendRaw(Buffer.alloc(60_000, 'x'));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await flooding.until(() => !flooding.isOpen, 3000, 'close');
    });

    it('sends a page no more than a window beyond what it has taken', async () => {
      const id = await running('slow');
      const page = await connected(id, { keeps: false });
      page.takes = false;
      page.type('head -c 20000000 /dev/zero | tr "\\0" x\n');
      await eventually(
        () => page.offset,
        (bytes) => bytes >= 1024 * 1024,
      );
      await new Promise((resolve) => setTimeout(resolve, 500));
      assert.ok(page.offset < 1024 * 1024 + 70_000, `${page.offset} bytes`);
      const other = await connected(id);
      other.type('echo "others $((40 + 2))"\n');
      await other.says(/others 42/);
      page.take();
      await eventually(
        () => page.offset,
        (bytes) => bytes >= 20_000_000,
      );
    });

    it('is told apart from one that has ended, where sessions do not last', async () => {
      const id = await running('lost');
      const page = await connected(id);
      page.cut();
      await page.connect();
      assert.equal((await page.ends()).why, 'gone');
      const answer = await app.inject({ url: pathOf(routes.terminals, { id }), headers: as(alice) });
      assert.deepEqual(answer.json(), { items: [], lasting: false });
    });
  });
}
