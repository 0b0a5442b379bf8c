/** Signing in a terminal through a browser (RFC 8628), over a real connection. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type {
  AuditPage,
  DeviceAuthorization,
  DeviceRequest,
  LoginToken,
  Problem,
  Whoami,
} from '@berth/contract';
import { routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { localSockets, makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane, testPassword } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { languageOf } from './page.ts';

for (const on of databases) {
  describe(`signing in a terminal on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let origin: string;
    let alice: Account;
    let cookie: string;
    before(async () => {
      plane = await ControlPlane.open(on);
      const addresses = { ...plane.services.addresses, publicUrl: '' };
      app = await makeApp(plane.with({}, { addresses }));
      origin = await app.listen({ host: '127.0.0.1', port: 0 });
      addresses.publicUrl = origin;
      alice = await plane.account('alice');
      const answer = await ask('POST', routes.session, {
        account: 'member-of-alice',
        password: testPassword,
      });
      cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const ask = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
      fetch(`${origin}${path}`, {
        method,
        headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    const begin = async (name = 'berth on laptop') => {
      const answer = await ask('POST', routes.deviceAuthorization, { name });
      assert.equal(answer.status, 200);
      return (await answer.json()) as DeviceAuthorization;
    };
    const poll = (device_code: string) => ask('POST', routes.deviceToken, { device_code });
    const decide = (
      user_code: string,
      approve?: boolean,
      headers: Record<string, string> = { cookie, origin },
    ) =>
      ask(
        'POST',
        routes.deviceApproval,
        { user_code, ...(approve === undefined ? {} : { approve }) },
        headers,
      );
    const look = (user_code: string) =>
      ask('GET', `${routes.deviceApproval}?user_code=${encodeURIComponent(user_code)}`, undefined, {
        cookie,
      });
    const codeOf = async (answer: Response, status = 400) => {
      const problem = (await answer.json()) as Problem;
      assert.equal(answer.status, status, problem.detail);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
      return problem.code;
    };

    test('gives the terminal a token once, after a person has compared and approved the code', async () => {
      const device = await begin();
      assert.match(device.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
      assert.deepEqual([device.expires_in, device.interval], [600, 5]);
      assert.equal(device.verification_uri, `${origin}/device`);
      assert.equal(device.verification_uri_complete, `${origin}/device?user_code=${device.user_code}`);
      assert.equal(await codeOf(await poll(device.device_code)), 'authorization_pending');

      const shown = (await (await look(device.user_code)).json()) as DeviceRequest;
      assert.deepEqual([shown.name, shown.source], ['berth on laptop', '127.0.0.1']);
      assert.equal((await decide(device.user_code)).status, 204);

      const { token, expires_at } = (await (await poll(device.device_code)).json()) as LoginToken;
      const days = (Date.parse(expires_at) - Date.now()) / 86_400_000;
      assert.ok(days > 29.9 && days <= 30, `${days} days`);
      const who = await ask('GET', routes.whoami, undefined, { authorization: `Bearer ${token}` });
      assert.equal(((await who.json()) as Whoami).account, 'member-of-alice');
      assert.equal(await codeOf(await poll(device.device_code)), 'expired_token', 'one use');
    });

    test('takes the code however it is typed', async () => {
      const { user_code } = await begin();
      assert.equal((await look(` ${user_code.toLowerCase().replace('-', ' ')} `)).status, 200);
    });

    test('tells a terminal that asks too fast to slow down, until it has waited', async () => {
      const { device_code } = await begin();
      assert.equal(await codeOf(await poll(device_code)), 'authorization_pending');
      assert.equal(await codeOf(await poll(device_code)), 'slow_down');
      await plane.database
        .updateTable('device_logins')
        .set({ asked_at: new Date(Date.now() - 5000) })
        .where('device_code_hash', '=', createHash('sha256').update(device_code).digest())
        .execute();
      assert.equal(await codeOf(await poll(device_code)), 'authorization_pending');
    });

    test('gives nothing after a refusal', async () => {
      const { device_code, user_code } = await begin();
      assert.equal((await decide(user_code, false)).status, 204);
      assert.equal(await codeOf(await poll(device_code)), 'access_denied');
      assert.equal(await codeOf(await poll(device_code)), 'expired_token');
    });

    test('gives nothing after ten minutes, nor for a code that is none', async () => {
      const { device_code, user_code } = await begin();
      await plane.database
        .updateTable('device_logins')
        .set({ expires_at: new Date(Date.now() - 1) })
        .where('user_code', '=', user_code)
        .execute();
      assert.equal(await codeOf(await poll(device_code)), 'expired_token');
      assert.equal(await codeOf(await decide(user_code), 404), 'not_found');
      assert.equal(await codeOf(await poll('nonsense')), 'expired_token');
      for (const code of ['AAAA-AAAA', 'x', "' or 1=1", '%'])
        assert.equal(await codeOf(await look(code), 404), 'not_found');
    });

    test('is decided once', async () => {
      const { user_code } = await begin();
      const answers = await Promise.all([decide(user_code), decide(user_code, false), decide(user_code)]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 404, 404]);
    });

    test('gives one of two questions the token', async () => {
      const { device_code, user_code } = await begin();
      await decide(user_code);
      const answers = await Promise.all([poll(device_code), poll(device_code)]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400]);
    });

    test('needs somebody who is signed in, on a page of this Berth, with a token that may write', async () => {
      const { user_code } = await begin();
      assert.equal(await codeOf(await decide(user_code, true, {}), 401), 'unauthorized');
      assert.equal(
        await codeOf(await decide(user_code, true, { cookie, origin: 'https://evil.example' }), 403),
        'forbidden',
      );
      const authorization = `Bearer ${alice.token}`;
      const made = await ask('POST', routes.tokens, { name: 'r', scopes: ['read'] }, { authorization });
      const reader = ((await made.json()) as { token: string }).token;
      const refused = await decide(user_code, true, { authorization: `Bearer ${reader}` });
      assert.equal(await codeOf(refused, 403), 'forbidden');
      assert.equal((await decide(user_code, true, { authorization })).status, 204);
    });

    test('gives the terminal no more than whoever approves may do', async () => {
      const chief = await plane.account('operators', 'admin');
      const made = await ask(
        'POST',
        routes.tokens,
        { name: 'w', scopes: ['read', 'write'] },
        { authorization: `Bearer ${chief.token}` },
      );
      const plain = ((await made.json()) as { token: string }).token;
      const { device_code, user_code } = await begin();
      await decide(user_code, true, { authorization: `Bearer ${plain}` });
      const { token } = (await (await poll(device_code)).json()) as LoginToken;
      const who = await ask('GET', routes.whoami, undefined, { authorization: `Bearer ${token}` });
      assert.deepEqual(((await who.json()) as Whoami).scopes, ['read', 'write']);
    });

    test('is begun and approved through the socket in the data folder too, as often as its owner likes', async () => {
      const socketPath = join(plane.folder, 'test.sock');
      const server = createServer((request, response) => app.routing(request, response));
      server.on('connection', (socket) => localSockets.add(socket));
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
      const askLocally = (path: string, body: object) =>
        new Promise<{ status: number; body: string }>((resolve, reject) => {
          const headers = { 'content-type': 'application/json' };
          const asked = request({ socketPath, path, method: 'POST', headers }, async (answer) =>
            resolve({ status: answer.statusCode ?? 0, body: await text(answer) }),
          );
          asked.on('error', reject);
          asked.end(JSON.stringify(body));
        });
      try {
        for (let count = 0; count < 25; count += 1) {
          const begun = await askLocally(routes.deviceAuthorization, {});
          assert.equal(begun.status, 200, begun.body);
          const { user_code } = JSON.parse(begun.body) as DeviceAuthorization;
          assert.equal((await askLocally(routes.deviceApproval, { user_code })).status, 204);
        }
        const { user_code } = JSON.parse(
          (await askLocally(routes.deviceAuthorization, {})).body,
        ) as DeviceAuthorization;
        assert.equal(((await (await look(user_code)).json()) as DeviceRequest).source, null);
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });

    test('keeps no device code, and writes down who approved what', async () => {
      const { device_code, user_code } = await begin('audited');
      const rows = await plane.database.selectFrom('device_logins').selectAll().execute();
      assert.ok(!JSON.stringify(rows).includes(device_code));
      await decide(user_code);
      await poll(device_code);
      const chief = await plane.account('auditors', 'admin');
      const answer = await ask('GET', `${routes.audit}?limit=2`, undefined, {
        authorization: `Bearer ${chief.token}`,
      });
      const { items } = (await answer.json()) as AuditPage;
      assert.deepEqual(
        items.map(({ action, account, detail }) => [action, account, detail]),
        [
          ['login', 'member-of-alice', { kind: 'device', name: 'audited' }],
          ['device.approve', 'member-of-alice', { name: 'audited', asked_from: '127.0.0.1' }],
        ],
      );
    });

    test('has a page that loads nothing from elsewhere and runs no script but its own', async () => {
      const answer = await ask('GET', routes.devicePage);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-type') ?? '', /^text\/html/);
      const html = await answer.text();
      const policy = answer.headers.get('content-security-policy') ?? '';
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.doesNotMatch(policy, /unsafe/);
      const hash = (text = '') => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
      const script = /<script>([\s\S]*?)<\/script>/.exec(html)?.[1];
      const style = /<style>([\s\S]*?)<\/style>/.exec(html)?.[1];
      assert.ok(policy.includes(`script-src ${hash(script)}`));
      assert.ok(policy.includes(`style-src ${hash(style)}`));
      assert.doesNotMatch(html, /(?:src|href)=|https?:\/\/|\son[a-z]+=|style=/);
      assert.match(html, /<html lang="en">/);
    });

    test('speaks Chinese to whoever reads that best', async () => {
      const html = await (
        await ask('GET', routes.devicePage, undefined, { 'accept-language': 'zh-TW,zh;q=0.9,en;q=0.8' })
      ).text();
      assert.match(html, /<html lang="zh-CN">/);
      assert.match(html, /从终端登录/);
    });
  });
}

describe("the page's language", () => {
  for (const [header, language] of [
    [undefined, 'en'],
    ['', 'en'],
    ['zh-CN', 'zh'],
    ['ZH', 'zh'],
    ['de, fr', 'en'],
    ['de, zh;q=0.5, en;q=0.4', 'zh'],
    ['en;q=0.4, zh;q=0.5', 'zh'],
    ['zh;q=0, en;q=0.1', 'en'],
    ['zh;q=x', 'en'],
    ['constructor, zh', 'zh'],
  ] as const) {
    test(`is ${language} for ${JSON.stringify(header)}`, () => assert.equal(languageOf(header), language));
  }
});
