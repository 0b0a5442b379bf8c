/** Whatever is sent to the routes of people and of who is asking: an answer of the catalogue, never an error of ours. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '@berth/contract';
import { errorCatalogue, routes } from '@berth/contract';
import fc from 'fast-check';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import type { Account } from '../testing/control-plane.ts';

const strange = [
  '%00',
  '%ff%fe',
  '%zz',
  "' or '1'='1",
  '..%2f..%2fetc%2fpasswd',
  '%E2%80%AE',
  '-1',
  '0',
  '1e3',
  '1.5',
  '2147483648',
  '99999999999999999999',
  'NaN',
  'null',
  '$(reboot)',
  '{{7*7}}',
  'a'.repeat(600),
];

const lists: [url: string, filters: string[]][] = [
  [routes.customers, ['search', 'limit', 'cursor', 'nothing']],
  [routes.accounts, ['search', 'limit', 'cursor', 'customer_id', 'role', 'nothing']],
  [routes.tokens, ['limit', 'cursor', 'account_id', 'kind', 'nothing']],
  [
    routes.audit,
    ['limit', 'cursor', 'action', 'account', 'customer_id', 'target', 'outcome', 'since', 'until', 'nothing'],
  ],
];

const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue(),
);

/** Fields of each body; each is there or not, with whatever value. */
const bodies: [method: 'POST' | 'PATCH', url: string, fields: string[]][] = [
  ['POST', routes.customers, ['name', '__proto__x']],
  ['PATCH', `${routes.customers}/999999`, ['name']],
  ['POST', routes.accounts, ['name', 'role', 'customer_id', 'password']],
  ['PATCH', `${routes.accounts}/999999`, ['role', 'password']],
  ['POST', routes.tokens, ['name', 'account_id', 'scopes', 'expires_in_days']],
  ['POST', routes.ownPassword, ['current', 'new']],
  ['POST', routes.deviceToken, ['device_code']],
  ['POST', routes.deviceAuthorization, ['name']],
  ['POST', routes.deviceApproval, ['user_code', 'approve']],
];

for (const on of databases) {
  describe(`hostile input on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let chief: Account;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      chief = await plane.account('operators', 'admin');
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const checked = (answer: { statusCode: number; body: string }, what: string) => {
      assert.ok(answer.statusCode < 500, `${what}: ${answer.statusCode} ${answer.body}`);
      if (answer.statusCode < 400) return;
      const problem = JSON.parse(answer.body) as Problem;
      assert.ok(problem.code in errorCatalogue, what);
      assert.ok(problem.detail.length > 5 && problem.cure.length > 5, what);
    };
    const headers = () => ({ authorization: `Bearer ${chief.token}` });

    for (const [url, filters] of lists) {
      test(`in a query of ${url} is answered in words`, async () => {
        const cursors = [[], [1, 2], ['x'], [-1], [1e15], [null]].map((value) =>
          Buffer.from(JSON.stringify(value)).toString('base64url'),
        );
        for (const filter of filters) {
          for (const value of [...strange, ...(filter === 'cursor' ? cursors : [])]) {
            const query = `${url}?${filter}=${value.includes('%') ? value : encodeURIComponent(value)}`;
            checked(await app.inject({ url: query, headers: headers() }), query);
          }
        }
      });
    }

    for (const [method, url, fields] of bodies) {
      test(`in a body of ${method} ${url} is answered in words`, async () => {
        const body = fc.record(Object.fromEntries(fields.map((field) => [field, anything])), {
          requiredKeys: [],
        });
        await fc.assert(
          fc.asyncProperty(body, async (sent) => {
            const answer = await app.inject({
              method,
              url,
              headers: { ...headers(), 'content-type': 'application/json' },
              payload: JSON.stringify(sent),
            });
            checked(answer, JSON.stringify(sent));
          }),
          { numRuns: 60 },
        );
      });
    }

    test('in place of an id is answered in words', async () => {
      for (const list of [routes.customers, routes.accounts, routes.tokens])
        for (const id of strange)
          for (const method of ['GET', 'DELETE'] as const) {
            const answer = await app.inject({ method, url: `${list}/${id}`, headers: headers() });
            checked(answer, `${method} ${list}/${id}`);
            assert.ok([400, 404, 405].includes(answer.statusCode), `${list}/${id}: ${answer.statusCode}`);
          }
    });

    test('in place of a token or a cookie opens nothing', async () => {
      for (const value of [...strange, 'berth_', `berth_${'A'.repeat(43)}`, `berth_${'A'.repeat(10_000)}`])
        for (const headers of [
          { authorization: `Bearer ${value}` },
          { authorization: value },
          { cookie: `__Host-berth=${value}` },
          { cookie: `__Host-berth=${chief.token}x` },
          { cookie: value },
        ] as Record<string, string>[]) {
          const answer = await app.inject({ url: routes.whoami, headers });
          assert.equal(answer.statusCode, 401, JSON.stringify(headers));
        }
    });
  });
}
