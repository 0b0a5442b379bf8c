/** Where a request comes from: proxies that are believed, and other sites' pages, which are not. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '@berth/contract';
import { routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { makeApp } from './app.ts';
import type { App } from './app.ts';

describe('a request', () => {
  let plane: ControlPlane;
  before(async () => {
    const [on] = databases;
    assert.ok(on);
    plane = await ControlPlane.open(on);
  });
  after(() => plane.close());

  /** Logs in wrongly `times` times; at most ten a minute are let through for one address. */
  const lastAnswer = async (
    app: App,
    times: number,
    remoteAddress: string,
    forwarded: (each: number) => string,
  ) => {
    let status = 0;
    for (let each = 0; each < times; each += 1) {
      const answer = await app.inject({
        method: 'POST',
        url: routes.login,
        remoteAddress,
        headers: { 'x-forwarded-for': forwarded(each) },
        payload: { account: 'admin', password: 'wrong' },
      });
      status = answer.statusCode;
    }
    return status;
  };

  test('from an address that is no trusted proxy cannot say that it comes from elsewhere', async () => {
    const app = await makeApp(plane.services);
    assert.equal(await lastAnswer(app, 11, '203.0.113.9', (each) => `198.51.100.${each}`), 429);
    await app.close();
    const trusting = await makeApp(plane.with({ trustedProxies: ['10.0.0.0/8'] }));
    assert.equal(await lastAnswer(trusting, 11, '203.0.113.9', (each) => `198.51.100.${each}`), 429);
    await trusting.close();
  });

  test('from a trusted proxy is counted for the client that the proxy names', async () => {
    const app = await makeApp(plane.with({ trustedProxies: ['10.0.0.0/8', '192.0.2.7'] }));
    assert.equal(await lastAnswer(app, 11, '10.1.2.3', (each) => `198.51.100.${each}`), 401);
    assert.equal(await lastAnswer(app, 11, '192.0.2.7', () => '198.51.100.77, 10.9.9.9'), 429);
    await app.close();
  });

  test("of another site's page gets no leave from a browser: CORS is closed", async () => {
    const app = await makeApp(plane.services);
    const origin = 'https://elsewhere.example';
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: routes.environments,
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    assert.equal(preflight.statusCode, 405);
    assert.equal(preflight.json<Problem>().code, 'method_not_allowed');
    const { token } = await plane.account('visitors');
    const simple = await app.inject({
      url: routes.environments,
      headers: { origin, authorization: `Bearer ${token}` },
    });
    assert.equal(simple.statusCode, 200);
    for (const { headers } of [preflight, simple]) {
      assert.deepEqual(
        Object.keys(headers).filter((name) => name.startsWith('access-control-')),
        [],
      );
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    }
    await app.close();
  });
});
