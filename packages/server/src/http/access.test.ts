/** Who may ask what: walks over every route that the application registers. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { after, before, describe, test } from 'node:test';
import type { Problem, Scope } from '@berth/contract';
import { errorCatalogue, routes } from '@berth/contract';
import type { FastifyInstance } from 'fastify';
import { databases } from '../../../../test/harness/databases.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

/** A thing of alice's, in the place of a path's parameter. */
type Thing =
  | 'environment'
  | 'connection'
  | 'key'
  | 'token'
  | 'account'
  | 'customer'
  | 'image'
  | 'dataset'
  | 'storage'
  | 'entry'
  | 'authority'
  | 'lockout';

/**
 * - `public`: answers without asking who is there
 * - `own`: for everybody who is signed in; what it shows or changes is the asker's own
 * - `admin`: a member is refused; one of another customer like one of the same
 * - a thing: for its customer and for administrators; to others it does not exist
 */
type Rule = 'public' | 'own' | 'admin' | Thing;

/** Every route has its line; one without it fails below. */
const rules: Record<string, Rule> = {
  [`GET ${routes.health}`]: 'public',
  [`GET ${routes.ready}`]: 'public',
  [`GET ${routes.openapi}`]: 'public',
  [`POST ${routes.login}`]: 'public',
  [`POST ${routes.session}`]: 'public',
  [`DELETE ${routes.session}`]: 'own',
  [`POST ${routes.deviceAuthorization}`]: 'public',
  [`POST ${routes.deviceToken}`]: 'public',
  [`GET ${routes.deviceApproval}`]: 'own',
  [`POST ${routes.deviceApproval}`]: 'own',
  [`GET ${routes.devicePage}`]: 'public',
  [`GET ${routes.whoami}`]: 'own',
  [`POST ${routes.ownPassword}`]: 'own',
  [`GET ${routes.metrics}`]: 'admin',
  [`GET ${routes.platform}`]: 'admin',
  [`GET ${routes.audit}`]: 'admin',
  [`GET ${routes.auditExport}`]: 'admin',
  [`GET ${routes.auditVerify}`]: 'admin',
  [`GET ${routes.backup}`]: 'admin',
  [`POST ${routes.restore}`]: 'admin',
  [`POST ${routes.rotateSecrets}`]: 'admin',

  [`GET ${routes.customers}`]: 'admin',
  [`POST ${routes.customers}`]: 'admin',
  [`GET ${routes.customer}`]: 'admin',
  [`PATCH ${routes.customer}`]: 'admin',
  [`DELETE ${routes.customer}`]: 'admin',
  [`GET ${routes.quotas}`]: 'own',
  [`GET ${routes.quota}`]: 'customer',
  [`PUT ${routes.quota}`]: 'admin',
  [`GET ${routes.accounts}`]: 'own',
  [`POST ${routes.accounts}`]: 'admin',
  [`GET ${routes.account}`]: 'account',
  [`PATCH ${routes.account}`]: 'admin',
  [`DELETE ${routes.account}`]: 'admin',
  [`GET ${routes.tokens}`]: 'own',
  [`POST ${routes.tokens}`]: 'own',
  [`DELETE ${routes.token}`]: 'token',

  [`GET ${routes.images}`]: 'own',
  [`POST ${routes.images}`]: 'admin',
  [`GET ${routes.image}`]: 'image',
  [`PATCH ${routes.image}`]: 'admin',
  [`DELETE ${routes.image}`]: 'admin',
  [`POST ${routes.imageCheck}`]: 'admin',
  [`GET ${routes.datasets}`]: 'own',
  [`POST ${routes.datasets}`]: 'admin',
  [`GET ${routes.dataset}`]: 'dataset',
  [`PATCH ${routes.dataset}`]: 'admin',
  [`DELETE ${routes.dataset}`]: 'admin',

  [`GET ${routes.environments}`]: 'own',
  [`POST ${routes.environments}`]: 'own',
  [`GET ${routes.environment}`]: 'environment',
  [`PATCH ${routes.environment}`]: 'environment',
  [`DELETE ${routes.environment}`]: 'environment',
  [`POST ${routes.environmentStart}`]: 'environment',
  [`POST ${routes.environmentStop}`]: 'environment',
  [`POST ${routes.environmentRestart}`]: 'environment',
  [`GET ${routes.environmentSsh}`]: 'environment',
  [`POST ${routes.environmentResetPassword}`]: 'environment',
  [`GET ${routes.environmentEvents}`]: 'environment',
  [`GET ${routes.environmentLogs}`]: 'environment',
  [`GET ${routes.jupyter}`]: 'environment',
  [`GET ${routes.keptStorage}`]: 'own',
  [`DELETE ${routes.keptStorageOf}`]: 'storage',
  [`GET ${routes.sshKeys}`]: 'own',
  [`POST ${routes.sshKeys}`]: 'own',
  [`DELETE ${routes.sshKey}`]: 'key',
  [`GET ${routes.sshAuthorities}`]: 'own',
  [`POST ${routes.sshAuthorities}`]: 'own',
  [`DELETE ${routes.sshAuthority}`]: 'authority',
  [`GET ${routes.sshRevocations}`]: 'own',
  [`PUT ${routes.sshRevocations}`]: 'own',
  [`DELETE ${routes.sshRevocations}`]: 'own',
  [`GET ${routes.lockouts}`]: 'own',
  [`DELETE ${routes.lockout}`]: 'lockout',
  [`GET ${routes.bans}`]: 'admin',
  [`DELETE ${routes.ban}`]: 'admin',
  [`GET ${routes.ports}`]: 'own',
  [`GET ${routes.connections}`]: 'own',
  [`GET ${routes.connection}`]: 'connection',
  [`DELETE ${routes.connection}`]: 'connection',
  [`GET ${routes.allowlist}`]: 'own',
  [`POST ${routes.allowlist}`]: 'own',
  [`GET ${routes.allowlistCheck}`]: 'own',
  [`DELETE ${routes.allowlistEntry}`]: 'entry',
};

/** Bodies that fit, where a route wants one before it looks at anything. */
const bodies: Record<string, object> = {
  [`PATCH ${routes.environment}`]: { name: 'renamed' },
  [`PATCH ${routes.customer}`]: { name: 'renamed' },
  [`PATCH ${routes.account}`]: { role: 'member' },
  [`PATCH ${routes.image}`]: { description: 'another' },
  [`PATCH ${routes.dataset}`]: { description: 'another' },
  [`PUT ${routes.quota}`]: { environments: 1 },
  [`POST ${routes.customers}`]: { name: 'new' },
  [`POST ${routes.accounts}`]: { name: 'new' },
  [`POST ${routes.images}`]: { name: 'new', reference: 'new' },
  [`POST ${routes.datasets}`]: { name: 'new', kind: 'volume', source: 'new' },
  [`POST ${routes.environments}`]: { name: 'new' },
  [`POST ${routes.sshKeys}`]: { name: 'new', public_key: 'ssh-ed25519 AAAA' },
  [`POST ${routes.sshAuthorities}`]: { name: 'new', public_key: 'ssh-ed25519 AAAA' },
  [`PUT ${routes.sshRevocations}`]: { list: 'AAAA' },
  [`POST ${routes.tokens}`]: { name: 'new' },
  [`POST ${routes.allowlist}`]: { network: '192.0.2.0/24' },
  [`POST ${routes.ownPassword}`]: { current: 'x', new: 'y' },
  [`POST ${routes.deviceApproval}`]: { user_code: 'ABCD-EFGH' },
};

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
  const hers = {} as Record<Thing, string>;

  before(async () => {
    assert.ok(on);
    plane = await ControlPlane.open(on);
    subscribe('fastify.initialization', collectRoutes);
    app = await makeApp(plane.services);
    unsubscribe('fastify.initialization', collectRoutes);
    alice = await plane.account('alice');
    bob = await plane.account('bob');
    chief = await plane.account('alice', 'admin');
    const { database } = plane;
    const { customerId, accountId } = alice.principal;
    hers.environment = (await plane.create({ name: 'hers' }, plane.services, alice.principal)).env_id;
    hers.customer = String(customerId);
    hers.account = String(accountId);
    const key = await database
      .insertInto('ssh_keys')
      .values({
        customer_id: customerId,
        account_id: accountId,
        name: 'laptop',
        type: 'ssh-ed25519',
        fingerprint: 'SHA256:test',
        public_key: 'ssh-ed25519 AAAA',
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    hers.key = String(key.id);
    const token = await database
      .insertInto('tokens')
      .values({ account_id: accountId, hash: Buffer.alloc(32, 1), kind: 'api', name: 'hers' })
      .returning('id')
      .executeTakeFirstOrThrow();
    hers.token = String(token.id);
    const customers = [customerId];
    await database.insertInto('images').values({ name: 'hers', reference: 'hers', customers }).execute();
    hers.image = 'hers';
    await database
      .insertInto('datasets')
      .values({ name: 'hers', kind: 'volume', source: 'hers', read_only: true, customers })
      .execute();
    hers.dataset = 'hers';
    hers.connection = 'connectionofhers0001';
    await database
      .insertInto('connections')
      .values({
        id: hers.connection,
        gateway: 'gatewayofhers000001',
        env_id: hers.environment,
        customer_id: customerId,
        method: 'password',
        way: 'own-port',
        source: '192.0.2.1',
        source_port: 50_000,
        client: 'SSH-2.0-test',
        started_at: new Date(),
      })
      .execute();
    const kept = await plane.create({ name: 'kept' }, plane.services, alice.principal);
    await database
      .updateTable('environments')
      .set({ status: 'deleted', wanted: 'deleted', storage_kept_since: new Date(), keep_storage: true })
      .where('id', '=', kept.env_id)
      .execute();
    hers.storage = kept.env_id;
    const entry = await database
      .insertInto('allowlist_entries')
      .values({ customer_id: customerId, network: '203.0.113.0/24', note: 'hers' })
      .returning('id')
      .executeTakeFirstOrThrow();
    hers.entry = String(entry.id);
    const authority = await database
      .insertInto('ssh_authorities')
      .values({
        customer_id: customerId,
        name: 'hers',
        type: 'ssh-ed25519',
        fingerprint: 'SHA256:authority',
        public_key: 'ssh-ed25519 AAAA',
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    hers.authority = String(authority.id);
    const lockout = await database
      .insertInto('lockouts')
      .values({
        target: hers.environment,
        env_id: hers.environment,
        customer_id: customerId,
        source: '203.0.113.7',
        failures: 5,
        until: new Date(Date.now() + 1_800_000),
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    hers.lockout = String(lockout.id);
  });
  after(async () => {
    await app.close();
    await plane.close();
  });

  const ruleOf = ({ method, url }: Route): Rule | undefined => rules[`${method} ${url}`];
  /** With alice's thing in the path; where an administrator's route has one, any will do. */
  const ask = ({ method, url }: Route, authorization?: string) => {
    const rule = ruleOf({ method, url });
    const noun = url.split('/')[2] ?? '';
    const byNoun: Record<string, string> = {
      customers: hers.customer,
      quotas: hers.customer,
      accounts: hers.account,
      images: hers.image,
      datasets: hers.dataset,
    };
    const thing =
      rule !== undefined && rule in hers ? hers[rule as Thing] : (byNoun[noun] ?? hers.environment);
    const payload = bodies[`${method} ${url}`];
    return app.inject({
      method: method as 'GET',
      url: url.replace(/:(id|name)/, thing),
      headers: authorization === undefined ? {} : { authorization },
      ...(payload ? { payload } : {}),
    });
  };
  const problemOf = (body: string, status: number): Problem => {
    const problem = JSON.parse(body) as Problem;
    assert.equal(problem.status, status);
    assert.equal(problem.type, `urn:berth:error:${problem.code}`);
    assert.ok(problem.code in errorCatalogue, problem.code);
    for (const field of ['title', 'detail', 'cure'] as const) assert.ok(problem[field].length > 5, field);
    return problem;
  };
  const known = () => routesOfApp.filter(({ url }) => !isDocumentation(url));
  const guarded = () => known().filter((route) => ruleOf(route) !== 'public');
  const having = (...wanted: (Rule | undefined)[]) =>
    known().filter((route) => wanted.includes(ruleOf(route)));

  test('every route has its rule, and every rule its route', () => {
    const found = known().map(({ method, url }) => `${method} ${url}`);
    assert.deepEqual(
      found.filter((each) => !(each in rules)),
      [],
      'these need a line above',
    );
    assert.deepEqual(
      Object.keys(rules).filter((each) => !found.includes(each)),
      [],
    );
    const urls = new Set(routesOfApp.map(({ url }) => url));
    for (const url of Object.values(routes)) assert.ok(urls.has(url), `${url} is not registered`);
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
    for (const each of having('public').filter(({ method }) => method === 'GET')) {
      assert.equal((await ask(each)).statusCode, 200, each.url);
    }
    assert.equal((await app.inject({ url: routes.docs })).statusCode, 200);
  });

  const things = () => guarded().filter((route) => (ruleOf(route) ?? '') in hers);

  test("another customer's member finds nothing of hers, by whatever route", async () => {
    for (const route of things()) {
      const answer = await ask(route, `Bearer ${bob.token}`);
      const name = `${route.method} ${route.url}`;
      assert.equal(answer.statusCode, 404, `${name}: ${answer.body}`);
      const problem = problemOf(answer.body, 404);
      assert.equal(problem.code, 'not_found', name);
    }
    const row = await plane.show(hers.environment);
    assert.equal(row?.status, 'creating', 'nothing was done to it');
  });

  test("another customer's member cannot tell hers from what does not exist", async () => {
    const headers = { authorization: `Bearer ${bob.token}` };
    const none: Record<Thing, string> = {
      environment: 'none-2222',
      storage: 'none-2222',
      key: '999999',
      token: '999999',
      account: '999999',
      customer: '999999',
      image: 'none',
      dataset: 'none',
      connection: 'noneofthemis00001',
      entry: '999999',
      authority: '999999',
      lockout: '999999',
    };
    for (const route of things()) {
      const thing = ruleOf(route) as Thing;
      const at = (id: string) =>
        app.inject({
          method: route.method as 'GET',
          url: route.url.replace(/:(id|name)/, id),
          headers,
          ...(bodies[`${route.method} ${route.url}`]
            ? { payload: bodies[`${route.method} ${route.url}`] }
            : {}),
        });
      const [found, missing] = [await at(hers[thing]), await at(none[thing])];
      const said = (body: string, id: string) => {
        const problem = JSON.parse(body) as Problem;
        return { ...problem, detail: problem.detail.replace(new RegExp(`\\b${id}\\b`, 'g'), 'X') };
      };
      assert.deepEqual(
        said(found.body, hers[thing]),
        said(missing.body, none[thing]),
        `${route.method} ${route.url}`,
      );
    }
  });

  test('what is for administrators refuses a member, of the same customer as well', async () => {
    for (const route of having('admin')) {
      for (const { token } of [alice, bob]) {
        const answer = await ask(route, `Bearer ${token}`);
        assert.equal(answer.statusCode, 403, `${route.method} ${route.url}: ${answer.body}`);
        assert.equal(problemOf(answer.body, 403).code, 'forbidden');
      }
    }
  });

  test('a token does only what its scopes allow', async () => {
    const withScopes = async (account: Account, ...scopes: Scope[]) => {
      const token = `berth_${randomBytes(32).toString('base64url')}`;
      const hash = createHash('sha256').update(token).digest();
      await plane.database
        .insertInto('tokens')
        .values({ account_id: account.principal.accountId, hash, kind: 'api', scopes })
        .execute();
      return `Bearer ${token}`;
    };
    const reader = await withScopes(alice, 'read');
    for (const route of guarded().filter(({ method, url }) => method !== 'GET' && url !== routes.session)) {
      assert.equal((await ask(route, reader)).statusCode, 403, `${route.method} ${route.url}`);
    }
    assert.equal((await ask({ method: 'GET', url: routes.environments }, reader)).statusCode, 200);
    const writer = await withScopes(alice, 'write');
    assert.equal((await ask({ method: 'GET', url: routes.environments }, writer)).statusCode, 403);
    const limited = await withScopes(chief, 'read', 'write');
    for (const route of having('admin')) {
      assert.equal((await ask(route, limited)).statusCode, 403, `${route.method} ${route.url}`);
    }
  });

  test("lists show a member its own customer's things only, and an administrator everybody's", async () => {
    const lists: [url: string, isHers: (item: Record<string, unknown>) => boolean][] = [
      [routes.environments, ({ env_id }) => env_id === hers.environment],
      [routes.ports, ({ env_id }) => env_id === hers.environment],
      [routes.quotas, ({ customer_id }) => customer_id === Number(hers.customer)],
      [routes.accounts, ({ id }) => id === Number(hers.account)],
      [routes.images, ({ name }) => name === hers.image],
      [routes.datasets, ({ name }) => name === hers.dataset],
      [routes.keptStorage, ({ env_id }) => env_id === hers.storage],
      [routes.connections, ({ id }) => id === hers.connection],
      [routes.allowlist, ({ id }) => id === Number(hers.entry)],
      [routes.lockouts, ({ id }) => id === Number(hers.lockout)],
    ];
    for (const [url, isHers] of lists) {
      const sees = async ({ token }: Account) => {
        const answer = await app.inject({ url, headers: { authorization: `Bearer ${token}` } });
        return answer.json<{ items: Record<string, unknown>[] }>().items.some(isHers);
      };
      assert.deepEqual([await sees(alice), await sees(bob), await sees(chief)], [true, false, true], url);
    }
    for (const url of [routes.sshKeys, routes.sshAuthorities, routes.tokens]) {
      const answer = await app.inject({ url, headers: { authorization: `Bearer ${bob.token}` } });
      const { items } = answer.json<{ items: { account?: string; name: string }[] }>();
      assert.ok(!items.some(({ name }) => name === 'laptop' || name === 'hers'), url);
    }
  });

  test('the platform shows the settings in force and where each came from', async () => {
    const shown = await ask({ method: 'GET', url: routes.platform }, `Bearer ${chief.token}`);
    assert.equal(shown.statusCode, 200);
    const { settings } = shown.json<{ settings: { name: string; source: string }[] }>();
    assert.ok(settings.some(({ name, source }) => name === 'dataDir' && source.includes('BERTH_DATA_DIR')));
  });

  test('one is told who one is', async () => {
    const answer = await ask({ method: 'GET', url: routes.whoami }, `bearer ${alice.token}`);
    assert.deepEqual(answer.json(), {
      account: 'member-of-alice',
      account_id: alice.principal.accountId,
      role: 'member',
      customer_id: alice.principal.customerId,
      customer: 'alice',
      scopes: ['read', 'write'],
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
