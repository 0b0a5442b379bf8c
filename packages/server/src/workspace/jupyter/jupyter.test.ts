/**
 * Who gets to JupyterLab, what of a request reaches it, and what ends it. In its place inside stands a program that
 * answers with what came to it (testing/echo-lab.ts); that JupyterLab itself works this way is tested end to end.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Problem, Scope } from '@berth/contract';
import { links, pathOf, routes, scopes } from '@berth/contract';
import { databases } from '../../../../../test/harness/databases.ts';
import { LabVisit, Visitor } from '../../../../../test/harness/jupyter.ts';
import type { Visit } from '../../../../../test/harness/jupyter.ts';
import { eventually } from '../../../../../test/harness/ssh.ts';
import { killConnection } from '../../connections/connections.ts';
import { stopEnvironment, updateEnvironment } from '../../environments/environments.ts';
import { makeApp } from '../../http/app.ts';
import type { App } from '../../http/app.ts';
import type { Settings } from '../../settings.ts';
import { ControlPlane } from '../../testing/control-plane.ts';
import type { Account } from '../../testing/control-plane.ts';
import { issueToken } from '../../tokens/tokens.ts';
import { makeJupyterApp } from './app.ts';
import { JupyterOrigin } from './origin.ts';

const echoLab = fileURLToPath(new URL('../../testing/echo-lab.ts', import.meta.url));
const on = databases[0];
assert.ok(on);

/** Of a server, its two listeners, and a home in which programs are found. */
class Stage implements AsyncDisposable {
  readonly plane: ControlPlane;
  readonly #apps: App[];
  readonly #home: string;
  readonly api: { host: string; port: number };
  readonly alice: Account;
  readonly bob: Account;

  private constructor(parts: {
    plane: ControlPlane;
    apps: App[];
    home: string;
    port: number;
    alice: Account;
    bob: Account;
  }) {
    this.plane = parts.plane;
    this.#apps = parts.apps;
    this.#home = parts.home;
    this.api = { host: '127.0.0.1', port: parts.port };
    this.alice = parts.alice;
    this.bob = parts.bob;
  }

  static async open(settings: Partial<Settings> = {}): Promise<Stage> {
    const plane = await ControlPlane.open(databases[0] ?? assert.fail(), {
      exposure: 'gateway',
      ...settings,
    });
    const home = mkdtempSync(join(tmpdir(), 'berth-home-'));
    mkdirSync(join(home, 'bin'));
    mkdirSync(join(home, 'tmp'));
    writeFileSync(join(home, '.bash_profile'), 'PATH=$HOME/bin:$PATH\necho "what a profile prints"\n');
    const program = `#!/bin/sh\nexec '${process.execPath}' '${echoLab}' "$@"\n`;
    writeFileSync(join(home, 'bin/jupyter-lab'), program, { mode: 0o755 });
    plane.runtime.letsIn = true;
    plane.runtime.insideEnvironment = { HOME: home, TMPDIR: join(home, 'tmp') };
    const { services } = plane;
    const apps = [await makeApp(services), await makeJupyterApp(services)];
    const [apiPort = 0, jupyterPort = 0] = await Promise.all(
      apps.map(async (app) => {
        await app.listen({ host: '127.0.0.1', port: 0 });
        return (app.server.address() as AddressInfo).port;
      }),
    );
    const apiUrl = `http://127.0.0.1:${apiPort}`;
    services.addresses.publicUrl = apiUrl;
    services.addresses.jupyter = JupyterOrigin.of(
      { 'jupyter.publicUrl': settings['jupyter.publicUrl']?.replace('PORT', String(jupyterPort)) ?? null },
      apiUrl,
      { apiUrl, port: jupyterPort },
    );
    await plane.startReconciler();
    const [alice, bob] = [await plane.account('alice'), await plane.account('bob')];
    return new Stage({ plane, apps, home, port: apiPort, alice, bob });
  }

  get ownOrigin(): string {
    return `http://127.0.0.1:${this.api.port}`;
  }

  async running(name: string, account = this.alice): Promise<string> {
    const { env_id: id } = await this.plane.create({ name }, this.plane.services, account.principal);
    await this.plane.until(id, 'running');
    await this.known(id, 'running');
    return id;
  }

  async stopped(id: string): Promise<void> {
    await stopEnvironment(this.plane.services, this.plane.asker, id);
    await this.plane.until(id, 'stopped');
    await this.known(id, 'stopped');
  }

  async known(id: string, status: string): Promise<void> {
    const { directory } = this.plane.services;
    await eventually(
      () => directory.environment(id),
      (environment) => environment?.status === status,
    );
  }

  /** In a browser that is signed in. */
  async signedIn({ principal }: Account, granted: Scope[] = scopes.slice()): Promise<Visitor> {
    const { token } = await issueToken(this.plane.database, {
      account_id: principal.accountId,
      kind: 'session',
      name: '',
      scopes: granted,
      expires_at: new Date(Date.now() + 3_600_000),
      source: null,
    });
    return new Visitor(this.api, { cookie: `berth=${token}` });
  }

  async enter(id: string, account = this.alice): Promise<LabVisit> {
    const lab = await (await this.signedIn(account)).enter(id);
    const page = await lab.loaded();
    assert.equal(page.status, 200, page.body);
    return lab;
  }

  /** Makes the program inside be there or not. */
  installed(is: boolean): void {
    chmodSync(join(this.#home, 'bin/jupyter-lab'), is ? 0o755 : 0o644);
  }

  /** Process id of what stands for JupyterLab. */
  get labPid(): number {
    const [folder] = readdirSync(join(this.#home, 'tmp'));
    const file = join(this.#home, 'tmp', folder ?? '', 'pid');
    return folder !== undefined && existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  }

  /** As if its container had ended. */
  endLab(): void {
    if (this.labPid > 0) process.kill(this.labPid, 'SIGKILL');
    rmSync(join(this.#home, 'tmp'), { recursive: true, force: true });
    mkdirSync(join(this.#home, 'tmp'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const app of this.#apps.toReversed()) await app.close();
    await this.plane.close();
    this.endLab();
    rmSync(this.#home, { recursive: true, force: true });
  }
}

const at = (id: string, rest: string) => `/jupyter/${id}/${rest}`;
const echoed = ({ body, status }: Visit) => {
  assert.equal(status, 200, body);
  return (JSON.parse(body) as { headers: Record<string, string> }).headers;
};
const codeOf = ({ body }: Visit) => (JSON.parse(body) as Problem).code;

describe('JupyterLab', () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage[Symbol.asyncDispose]());
  afterEach(() => stage.endLab());

  test('is led to by a ticket that is good once, and from an origin of its own', async () => {
    const id = await stage.running('work');
    const visitor = await stage.signedIn(stage.alice);
    const ticket = await visitor.ticket(id);
    assert.notEqual(ticket.host, `127.0.0.1:${stage.api.port}`);
    assert.match(ticket.hostname, new RegExp(`^${id}\\.localhost$`));
    const lab = await LabVisit.take(ticket);
    assert.equal(lab.path, at(id, 'lab'));
    const page = await lab.loaded();
    assert.equal(page.status, 200, page.body);
    assert.equal((JSON.parse(page.body) as { url: string }).url, at(id, 'lab'));
    await assert.rejects(LabVisit.take(ticket), /not let in: 403 .*used already/s);
  });

  test('a ticket is good for half a minute, and for one environment at its own address', async () => {
    const [one, other] = [await stage.running('one'), await stage.running('other')];
    const visitor = await stage.signedIn(stage.alice);
    const late = await visitor.ticket(one);
    await stage.plane.database
      .updateTable('jupyter_tickets')
      .set('expires_at', (e) => e.cast<never>(e.val(new Date(Date.now() - 1)), 'timestamptz'))
      .execute();
    await assert.rejects(LabVisit.take(late), /not let in: 403/);

    const ticket = await visitor.ticket(one);
    const elsewhere = new URL(ticket.href.replace(one, other));
    await assert.rejects(LabVisit.take(elsewhere), /not let in: 404/);
    await assert.rejects(LabVisit.take(ticket), /not let in: 403/, 'it was spent');

    const lab = await visitor.enter(one);
    const host = lab.url.host.replace(one, other);
    const origin = `http://${host}`;
    assert.equal((await lab.ask(at(other, 'api'), { headers: { host, origin } })).status, 403);
    assert.equal((await lab.ask(at(other, 'api'))).status, 404);
    await assert.rejects(LabVisit.take(new URL(`${lab.url.origin}/enter?ticket=guessed`)), /not let in: 403/);
  });

  test('strangers are led to the sign-in, and others find nothing', async () => {
    const id = await stage.running('hers');
    const path = pathOf(routes.jupyter, { id });
    const typed = { accept: 'text/html', 'sec-fetch-site': 'none' };
    const stranger = await new Visitor(stage.api, {}).ask(path, { headers: typed });
    assert.deepEqual([stranger.status, stranger.headers.location], [303, links.signIn('', path)]);
    assert.equal((await new Visitor(stage.api, {}).ask(path)).status, 401);
    assert.equal((await new Visitor(stage.api, { authorization: 'Bearer nonsense' }).ask(path)).status, 401);

    const bob = await stage.signedIn(stage.bob);
    const his = await bob.ask(path, { headers: typed });
    assert.equal(his.status, 404);
    const missing = await bob.ask(path.replace(id, 'none-2222'), { headers: typed });
    assert.equal(his.body.replaceAll(id, ''), missing.body.replaceAll('none-2222', ''));
    const reader = await stage.signedIn(stage.alice, ['read']);
    assert.equal((await reader.ask(path, { headers: typed })).status, 403);
    const { count } = await stage.plane.database
      .selectFrom('jupyter_tickets')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('env_id', '=', id)
      .executeTakeFirstOrThrow();
    assert.equal(Number(count), 0);
  });

  test("another site's page gets nobody in: it is asked first, and only Berth's own page may answer", async () => {
    const id = await stage.running('asked');
    const path = pathOf(routes.jupyter, { id });
    const visitor = await stage.signedIn(stage.alice);
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, {}]) {
      const question = await visitor.ask(path, { headers: { accept: 'text/html', ...headers } });
      assert.equal(question.status, 200);
      assert.equal(question.headers.location, undefined);
      assert.match(question.body, /<form method="post"/);
      assert.match(String(question.headers['content-security-policy']), /frame-ancestors 'none'/);
    }
    const post = (headers: Record<string, string>) =>
      visitor.ask(path, {
        method: 'POST',
        headers: { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded', ...headers },
      });
    const lab = await visitor.enter(id);
    for (const origin of ['http://evil.example', lab.url.origin, 'null'])
      assert.equal((await post({ origin })).status, 403, origin);
    assert.equal((await post({})).status, 403);
    const answered = await post({ origin: stage.ownOrigin });
    assert.equal(answered.status, 303);
    assert.ok((await LabVisit.take(new URL(answered.headers.location ?? ''))).cookie);
  });

  test('takes only what comes from its own pages, WebSockets too', async () => {
    const id = await stage.running('origins');
    const lab = await stage.enter(id);
    const foreign = [
      'http://evil.example',
      stage.ownOrigin,
      lab.url.origin.replace(id, 'other-2222'),
      'null',
    ];
    for (const origin of foreign) {
      assert.equal((await lab.ask(at(id, 'api'), { headers: { origin } })).status, 403, origin);
      assert.equal(await lab.opened(lab.socket(at(id, 'ws'), { origin })), 403, origin);
    }
    const bare = { host: lab.url.host, cookie: lab.cookie, 'sec-fetch-site': '', 'sec-fetch-mode': '' };
    for (const site of ['cross-site', 'same-site']) {
      const asked = {
        ...bare,
        'sec-fetch-site': site,
        'sec-fetch-mode': 'no-cors',
        'sec-fetch-dest': 'image',
      };
      assert.equal((await lab.ask(at(id, 'api'), { headers: asked })).status, 403, site);
      const framed = { ...asked, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' };
      assert.equal((await lab.ask(at(id, 'lab'), { headers: framed })).status, 403, site);
      const link = { ...asked, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
      assert.equal((await lab.ask(at(id, 'lab'), { headers: link })).status, 200, site);
      const form = await lab.ask(at(id, 'api'), { method: 'POST', headers: link });
      assert.equal(form.status, 403, site);
    }
    const { status } = await lab.ask(at(id, 'api'), { headers: { cookie: '' } });
    assert.equal(status, 403);
    assert.equal(await lab.opened(lab.socket(at(id, 'ws'), { cookie: '' })), 403);
    const socket = lab.socket(at(id, 'ws'));
    const { 'sec-websocket-key': key } = echoed(
      await lab.ask(at(id, 'api'), { headers: { origin: lab.url.origin } }),
    );
    assert.equal(key, undefined);
    socket.terminate();
  });

  test("nothing of Berth's own goes in, and no cookie for more than this comes out", async () => {
    const id = await stage.running('clean');
    const lab = await stage.enter(id);
    const inside = echoed(
      await lab.ask(at(id, 'api'), {
        headers: {
          cookie: `berth=secret; ${lab.cookie}; __Host-berth=secret; _xsrf=theirs; berthing=theirs`,
          authorization: 'Bearer secret',
          forwarded: 'for=1.2.3.4',
          'x-forwarded-for': '1.2.3.4',
          'x-real-ip': '1.2.3.4',
          'x-berth-account': 'admin',
          'x-berth-jupyter': 'guessed',
          'remote-user': 'admin',
          connection: 'close, x-hop',
          'x-hop': 'one',
          'x-other': 'theirs',
        },
      }),
    );
    assert.equal(inside['cookie'], '_xsrf=theirs; berthing=theirs');
    assert.equal(inside['x-berth-account'], stage.alice.principal.account);
    assert.match(inside['x-berth-jupyter'] ?? '', /^[0-9a-f]{64}$/);
    assert.equal(inside['x-other'], 'theirs');
    assert.equal(inside['host'], lab.url.host);
    for (const name of ['authorization', 'forwarded', 'x-forwarded-for', 'x-real-ip', 'remote-user', 'x-hop'])
      assert.equal(inside[name], undefined, name);

    const { headers } = await lab.ask(at(id, 'cookies'));
    assert.deepEqual(headers['set-cookie'], [
      `wide=1; Path=/jupyter/${id}/; SameSite=Strict`,
      `narrow=1; HttpOnly; Path=/jupyter/${id}/cookies; SameSite=Strict`,
    ]);
    for (const name of ['service-worker-allowed', 'access-control-allow-origin', 'server'])
      assert.equal(headers[name], undefined, name);
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.match(String(headers['content-security-policy']), /frame-ancestors 'self'/);
  });

  test('the cookie is for this environment, and no script reads it', async () => {
    const id = await stage.running('cookie');
    const visitor = await stage.signedIn(stage.alice);
    const ticket = await visitor.ticket(id);
    const answer = await new Visitor(stage.api, {}).ask('/healthz');
    assert.equal(answer.status, 200);
    const app = await fetch(`http://127.0.0.1:${ticket.port}${ticket.pathname}${ticket.search}`, {
      redirect: 'manual',
    });
    // Not the host that the ticket is for.
    assert.equal(app.status, 404);
    assert.equal(app.headers.get('set-cookie'), null);
  });

  test('carries long bodies both ways as they come, and an upgrade byte by byte', async () => {
    const id = await stage.running('long');
    const lab = await stage.enter(id);
    const bytes = 16 * 1024 * 1024;
    const counted = await lab.ask(at(id, 'count'), {
      method: 'PUT',
      body: Buffer.alloc(bytes, 1),
      headers: { origin: lab.url.origin },
    });
    assert.equal(counted.body, String(bytes));
    const got = await lab.ask(at(id, `bytes/${bytes}`));
    assert.equal(got.body.length, bytes);

    const raw = connect({ host: '127.0.0.1', port: Number(lab.url.port), allowHalfOpen: true });
    raw.write(
      `GET ${at(id, 'ws')} HTTP/1.1\r\nHost: ${lab.url.host}\r\nOrigin: ${lab.url.origin}\r\nCookie: ${lab.cookie}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
    );
    let heard = '';
    raw.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    await eventually(
      () => heard,
      (text) => text.endsWith('hello'),
    );
    assert.match(heard, /^HTTP\/1\.1 101 /);
    raw.end('last words');
    await once(raw, 'end');
    assert.ok(heard.endsWith('hellolast words'), heard);
    raw.destroy();
  });

  test('whatever comes is answered, and ends', async () => {
    const id = await stage.running('strange');
    const lab = await stage.enter(id);
    const { host, port } = lab.url;
    const known = `Host: ${host}\r\nCookie: ${lab.cookie}\r\n`;
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    const requests: [text: string, answer: RegExp][] = [
      [`GET /%zz HTTP/1.1\r\n${known}\r\n`, /^HTTP\/1\.1 40/],
      [`GET /%zz HTTP/1.1\r\n${known}${upgrade}\r\n`, /^HTTP\/1\.1 40/],
      [`GET /healthz HTTP/1.1\r\n${known}${upgrade}\r\n`, /^HTTP\/1\.1 200/],
      [`GET /jupyter/${id} HTTP/1.1\r\n${known}\r\n`, /^HTTP\/1\.1 404/],
      [`GET /jupyter/../jupyter/${id}/api HTTP/1.1\r\n${known}\r\n`, /^HTTP\/1\.1 40/],
      [`GET ${at(id, 'api')} HTTP/1.0\r\n\r\n`, /^HTTP\/1\.1 404/],
      [
        `GET ${at(id, 'api')} HTTP/1.1\r\nHost: evil.example\r\nCookie: ${lab.cookie}\r\n\r\n`,
        /^HTTP\/1\.1 404/,
      ],
      [`POST ${at(id, 'ws')} HTTP/1.1\r\n${known}${upgrade}\r\n`, /^HTTP\/1\.1 403/],
      [`TRACE ${at(id, 'api')} HTTP/1.1\r\n${known}\r\n`, /^HTTP\/1\.1 404/],
      [`PROPFIND ${at(id, 'api')} HTTP/1.1\r\n${known}\r\n`, /^HTTP\/1\.1 404/],
      ['\x16\x03\x01\x02\x00', /^HTTP\/1\.1 400/],
    ];
    for (const [text, answer] of requests) {
      const socket = connect({ host: '127.0.0.1', port: Number(port) });
      let heard = '';
      socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
      socket.write(text);
      await eventually(
        () => heard,
        (said) => answer.test(said),
      );
      if (text.includes('Upgrade') && !socket.readableEnded) await once(socket, 'end');
      socket.destroy();
    }
    assert.equal((await lab.ask(at(id, 'api'))).status, 200);
  });

  test('starts a stopped environment for whoever comes in, and not for a page that asks by itself', async () => {
    const id = await stage.running('asleep');
    const lab = await stage.enter(id);
    await stage.stopped(id);
    const polled = await lab.ask(at(id, 'api'));
    assert.deepEqual([polled.status, codeOf(polled)], [409, 'wrong_state']);
    const attempts = stage.plane.database
      .selectFrom('audit')
      .select('id')
      .where('action', '=', 'ssh.login')
      .where('target', '=', id);
    assert.equal((await attempts.execute()).length, 1, 'nothing was tried');
    const reloaded = await lab.load();
    assert.equal(reloaded.status, 409, reloaded.body);
    assert.match(reloaded.body, new RegExp(`href="${stage.ownOrigin}/jupyter/${id}"`));
    assert.equal((await stage.plane.show(id))?.status, 'stopped');

    stage.endLab();
    stage.plane.runtime.holdOn('run').open();
    const gate = stage.plane.runtime.holdOn('run');
    const again = await (await stage.signedIn(stage.alice)).enter(id);
    const waiting = await again.load();
    assert.equal(waiting.status, 503);
    assert.match(waiting.body, /Opening JupyterLab of asleep/);
    const state = await again.ask(at(id, '.berth/state'));
    const told = JSON.parse(state.body) as { state: string; message: string; seconds: number };
    assert.equal(told.state, 'starting');
    assert.equal(typeof told.seconds, 'number');
    gate.open();
    assert.equal((await again.loaded()).status, 200);
    assert.equal((await stage.plane.show(id))?.status, 'running');

    await stage.stopped(id);
    await updateEnvironment(stage.plane.services, stage.plane.asker, id, { wake: false });
    await eventually(
      () => stage.plane.services.directory.environment(id),
      (known) => known?.wake === false,
    );
    const refused = await (await (await stage.signedIn(stage.alice)).enter(id)).loaded();
    assert.equal(refused.status, 409);
    assert.match(refused.body, /logins do not start it/);
  });

  test('is cut by a kill, and comes back only through the entrance', async () => {
    const id = await stage.running('cut');
    const lab = await stage.enter(id);
    const socket = connect({ host: '127.0.0.1', port: Number(lab.url.port) });
    socket.write(
      `GET ${at(id, 'ws')} HTTP/1.1\r\nHost: ${lab.url.host}\r\nOrigin: ${lab.url.origin}\r\nCookie: ${lab.cookie}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
    );
    await once(socket, 'data');
    const { database } = stage.plane;
    const { id: connection } = await database
      .selectFrom('connections')
      .select('id')
      .where('env_id', '=', id)
      .where('way', '=', 'jupyter')
      .executeTakeFirstOrThrow();
    await killConnection(database, stage.plane.asker, connection);
    await once(socket, 'close');
    const page = await lab.load();
    assert.equal(page.status, 403);
    assert.match(page.body, /admin ended this connection/);
    assert.equal(codeOf(await lab.ask(at(id, 'api'))), 'jupyter_entrance');
    assert.equal(await lab.opened(lab.socket(at(id, 'ws'))), 403);
    assert.equal((await stage.enter(id)).path, at(id, 'lab'));
  });

  test('ends with the session at Berth that it came from', async () => {
    const id = await stage.running('out');
    const visitor = await stage.signedIn(stage.alice);
    const lab = await visitor.enter(id);
    const page = await lab.loaded();
    assert.equal(page.status, 200, page.body);
    const out = await visitor.ask(routes.session, { method: 'DELETE', headers: { origin: stage.ownOrigin } });
    assert.equal(out.status, 204);
    const after = await eventually(
      () => lab.ask(at(id, 'api')),
      ({ status }) => status !== 200,
    );
    assert.deepEqual([after.status, codeOf(after)], [403, 'jupyter_entrance']);
    await eventually(
      () =>
        stage.plane.database
          .selectFrom('connections')
          .selectAll()
          .where('ended_at', 'is', null)
          .where('env_id', '=', id)
          .execute(),
      (open) => open.length === 0,
    );
  });

  test('one that has ended inside is started again by the next request', async () => {
    const id = await stage.running('again');
    const lab = await stage.enter(id);
    const before = stage.labPid;
    process.kill(before, 'SIGKILL');
    await eventually(
      () => !existsSync(`/proc/${before}`) || / [ZX] /.test(readFileSync(`/proc/${before}/stat`, 'utf8')),
      Boolean,
    );
    const answer = await lab.ask(at(id, 'api'));
    assert.equal(answer.status, 200, answer.body);
    assert.notEqual(stage.labPid, before);
  });

  test('where the image has none, the page says so and what helps', async () => {
    const id = await stage.running('without');
    stage.installed(false);
    try {
      const lab = await (await stage.signedIn(stage.alice)).enter(id);
      const page = await lab.loaded();
      assert.equal(page.status, 409);
      assert.match(page.body, /has no JupyterLab/);
      assert.match(page.body, /pip install jupyterlab/);
      const chinese = await lab.ask(lab.path, {
        headers: { 'sec-fetch-mode': 'navigate', 'accept-language': 'zh-CN,zh;q=0.9' },
      });
      assert.match(chinese.body, /<html lang="zh-CN">/);
      assert.match(chinese.body, /此环境没有安装 JupyterLab/);
    } finally {
      stage.installed(true);
    }
  });
});

describe('JupyterLab on one origin for all environments', () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open({ 'jupyter.publicUrl': 'http://127.0.0.1:PORT' });
  });
  after(() => stage[Symbol.asyncDispose]());

  test("each environment's cookie goes to that environment only", async () => {
    const [one, other] = [await stage.running('one'), await stage.running('other')];
    const visitor = await stage.signedIn(stage.alice);
    const ticket = await visitor.ticket(one);
    const answer = await fetch(ticket, { redirect: 'manual' });
    const [cookie] = answer.headers.getSetCookie();
    assert.match(
      cookie ?? '',
      new RegExp(`^berth-jupyter=[^;]+; Path=/jupyter/${one}/; HttpOnly; SameSite=Lax$`),
    );
    const lab = await visitor.enter(one);
    const page = await lab.loaded();
    assert.equal(page.status, 200, page.body);
    const elsewhere = await lab.ask(at(other, 'api'));
    assert.deepEqual([elsewhere.status, codeOf(elsewhere)], [403, 'jupyter_entrance']);
  });

  test("an administrator opens no other customer's, whose scripts could reach the administrator's own", async () => {
    const id = await stage.running('theirs');
    const chief = await stage.signedIn(await stage.plane.account('watchers', 'admin'));
    await assert.rejects(chief.ticket(id), /no ticket: 403 .*host name of its own/s);
  });
});

test('where it has no address the way in says so', async () => {
  await using stage = await Stage.open();
  stage.plane.services.addresses.jupyter = null;
  const id = await stage.running('nowhere');
  const answer = await (await stage.signedIn(stage.alice)).ask(pathOf(routes.jupyter, { id }));
  assert.deepEqual([answer.status, codeOf(answer)], [501, 'jupyter_not_served']);
});
