/** Who may ask what: walks over every route that the application registers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '@berth/contract';
import { errorCatalogue, routes } from '@berth/contract';
import type { FastifyInstance } from 'fastify';
import { databases } from '../../../../test/harness/databases.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

/** What answers without asking who is there. Everything else refuses a stranger. */
const publicRoutes: string[] = [
  `GET ${routes.health}`,
  `GET ${routes.ready}`,
  `GET ${routes.openapi}`,
  `POST ${routes.login}`,
];
const isDocumentation = (url: string) => url === routes.docs || url.startsWith(`${routes.docs}/`);

interface Route {
  method: string;
  url: string;
}

const routesOfApp: Route[] = [];
/** Fastify announces each application as it is made, before it has routes. */
const collectRoutes = (message: unknown) => {
  const { fastify } = message as { fastify: FastifyInstance };
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) routesOfApp.push({ method: each, url });
  });
};

const on = databases[0];

describe('who may ask', () => {
  let plane: ControlPlane;
  let app: App;
  let alice: Account;
  let bob: Account;
  let chief: Account;
  let environment: string;
  let keyId: number;

  before(async () => {
    assert.ok(on);
    plane = await ControlPlane.open(on);
    subscribe('fastify.initialization', collectRoutes);
    app = await makeApp(plane.services);
    unsubscribe('fastify.initialization', collectRoutes);
    alice = await plane.account('alice');
    bob = await plane.account('bob');
    chief = await plane.account('alice', 'admin');
    environment = (await plane.create({ name: 'hers' }, plane.services, alice.principal)).env_id;
    const { id } = await plane.database
      .insertInto('ssh_keys')
      .values({
        customer_id: alice.principal.customerId,
        account_id: alice.principal.accountId,
        name: 'laptop',
        type: 'ssh-ed25519',
        fingerprint: 'SHA256:test',
        public_key: 'ssh-ed25519 AAAA',
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    keyId = id;
  });
  after(async () => {
    await app.close();
    await plane.close();
  });

  const ask = ({ method, url }: Route, authorization?: string, payload?: object) =>
    app.inject({
      method: method as 'GET',
      url: url.replace(':id', url.includes('ssh-keys') ? String(keyId) : environment),
      headers: authorization === undefined ? {} : { authorization },
      ...(payload ? { payload } : {}),
    });
  const problemOf = (body: string, status: number): Problem => {
    const problem = JSON.parse(body) as Problem;
    assert.equal(problem.status, status);
    assert.equal(problem.type, `urn:berth:error:${problem.code}`);
    assert.ok(problem.code in errorCatalogue, problem.code);
    for (const field of ['title', 'detail', 'cure'] as const) assert.ok(problem[field].length > 5, field);
    return problem;
  };
  const guarded = () =>
    routesOfApp.filter(
      ({ method, url }) => !isDocumentation(url) && !publicRoutes.includes(`${method} ${url}`),
    );

  test('the walk knows each route of the contract', () => {
    const found = new Set(routesOfApp.map(({ url }) => url));
    for (const url of Object.values(routes)) assert.ok(found.has(url), `${url} is not registered`);
    assert.ok(guarded().length >= 15);
  });

  const strangers: [string, () => Promise<string | undefined> | string | undefined][] = [
    ['without a token', () => undefined],
    ['with an empty one', () => 'Bearer '],
    ['with a garbage one', () => 'Bearer garbage'],
    ['with one of the right form that nobody has', () => `Bearer berth_${'A'.repeat(43)}`],
    ['with a token under another scheme', () => `Basic ${alice.token}`],
    ['with half a token', () => `Bearer ${alice.token.slice(0, 30)}`],
    [
      'with one that has expired',
      async () => {
        const { token } = await plane.account('late');
        const hash = createHash('sha256').update(token).digest();
        const { numUpdatedRows } = await plane.database
          .updateTable('tokens')
          .set({ expires_at: new Date(Date.now() - 1000) })
          .where('hash', '=', hash)
          .executeTakeFirst();
        assert.equal(numUpdatedRows, 1n);
        return `Bearer ${token}`;
      },
    ],
  ];
  for (const [who, token] of strangers) {
    test(`every route but the public ones refuses a stranger ${who}`, async () => {
      const authorization = await token();
      for (const route of guarded()) {
        const answer = await ask(route, authorization);
        const name = `${route.method} ${route.url}`;
        assert.equal(answer.statusCode, 401, name);
        assert.equal(answer.headers['www-authenticate'], 'Bearer', name);
        assert.match(String(answer.headers['content-type']), /^application\/problem\+json/, name);
        assert.equal(problemOf(answer.body, 401).code, 'unauthorized', name);
      }
    });
  }

  test('what is public answers without a token', async () => {
    for (const each of publicRoutes.filter((route) => !route.startsWith('POST'))) {
      const [method = '', url = ''] = each.split(' ');
      assert.equal((await ask({ method, url })).statusCode, 200, each);
    }
    assert.equal((await app.inject({ url: routes.docs })).statusCode, 200);
  });

  test("another customer's member finds nothing of hers, by whatever route", async () => {
    for (const route of guarded().filter(({ url }) => url.includes(':id'))) {
      const answer = await ask(route, `Bearer ${bob.token}`);
      const name = `${route.method} ${route.url}`;
      assert.equal(answer.statusCode, 404, name);
      const problem = problemOf(answer.body, 404);
      assert.equal(problem.code, 'not_found', name);
      assert.ok(!answer.body.includes('hers"'), name);
    }
    const row = await plane.show(environment);
    assert.equal(row?.status, 'creating', 'nothing was done to it');
  });

  test("another customer's member cannot tell hers from what does not exist", async () => {
    const authorization = `Bearer ${bob.token}`;
    const hers = await app.inject({ url: `/api/environments/${environment}`, headers: { authorization } });
    const none = await app.inject({ url: '/api/environments/none-2222', headers: { authorization } });
    assert.equal(hers.body.replaceAll(environment, 'none-2222'), none.body);
  });

  test("lists show a member its own customer's things only, and an administrator everybody's", async () => {
    for (const url of [routes.environments, routes.ports]) {
      const items = async (token: string) =>
        (await app.inject({ url, headers: { authorization: `Bearer ${token}` } })).json<{
          items: { env_id: string }[];
        }>().items;
      assert.deepEqual(await items(bob.token), [], url);
      assert.deepEqual(
        (await items(alice.token)).map(({ env_id }) => env_id),
        [environment],
      );
      assert.ok((await items(chief.token)).some(({ env_id }) => env_id === environment));
    }
  });

  test('the platform is for administrators', async () => {
    const answer = await ask({ method: 'GET', url: routes.platform }, `Bearer ${alice.token}`);
    assert.equal(answer.statusCode, 403);
    assert.equal(problemOf(answer.body, 403).code, 'forbidden');
    const shown = await ask({ method: 'GET', url: routes.platform }, `Bearer ${chief.token}`);
    assert.equal(shown.statusCode, 200);
    const { settings } = shown.json<{ settings: { name: string; source: string }[] }>();
    assert.ok(settings.some(({ name, source }) => name === 'dataDir' && source.includes('BERTH_DATA_DIR')));
  });

  test('one is told who one is', async () => {
    const answer = await ask({ method: 'GET', url: routes.whoami }, `bearer ${alice.token}`);
    assert.deepEqual(answer.json(), {
      account: 'member-of-alice',
      role: 'member',
      customer_id: alice.principal.customerId,
      customer: 'alice',
    });
  });

  test('each answer, good or bad, has the security headers', async () => {
    const token = `Bearer ${alice.token}`;
    const answers = [
      await app.inject({ url: routes.health }),
      await app.inject({ url: routes.docs }),
      await app.inject({ url: '/nowhere' }),
      await app.inject({ url: '/%zz' }),
      await app.inject({ url: `/api/environments/${'a'.repeat(300)}`, headers: { authorization: token } }),
      await app.inject({ url: routes.whoami }),
      await app.inject({ url: routes.whoami, headers: { authorization: token } }),
      await app.inject({ method: 'POST', url: routes.environments, headers: { authorization: token } }),
      await ask({ method: 'GET', url: routes.environmentLogs }, token),
    ];
    for (const { headers, raw, statusCode } of answers) {
      const name = `${raw.req.url} ${statusCode}`;
      assert.equal(headers['x-content-type-options'], 'nosniff', name);
      assert.equal(headers['x-frame-options'], 'SAMEORIGIN', name);
      assert.match(String(headers['content-security-policy']), /default-src|frame-ancestors/, name);
      assert.equal(headers['x-powered-by'], undefined, name);
      assert.equal(headers['server'], undefined, name);
    }
  });
});
