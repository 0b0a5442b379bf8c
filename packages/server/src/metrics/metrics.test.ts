import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';

for (const on of databases) {
  describe(`the metrics on ${on.name}`, { skip: on.skip }, () => {
    let plane: ControlPlane;
    let app: App;
    let token: string;
    before(async () => {
      plane = await ControlPlane.open(on);
      app = await makeApp(plane.services);
      ({ token } = await plane.account('operators', 'admin'));
    });
    after(async () => {
      await app.close();
      await plane.close();
    });

    const get = (url: string, as = token) => app.inject({ url, headers: { authorization: `Bearer ${as}` } });
    const value = (text: string, series: string) => {
      const line = text.split('\n').find((each) => each.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.split(' ').at(-1));
    };

    test('count environments, ports, the queue, requests and failures, with bounded labels', async () => {
      const { env_id: failed } = await plane.create({ name: 'failed' });
      await plane.create({ name: 'waiting' });
      await plane.database
        .updateTable('environments')
        .set({ status: 'failed', failure_code: 'image_missing', due_at: null })
        .where('id', '=', failed)
        .execute();
      for (const id of [failed, 'nobody-2222', 'nobody-3333']) await get(pathOf(routes.environment, { id }));
      for (const path of ['/x1', '/x2', '/x3?secret=word']) await get(path);

      const answer = await get(routes.metrics);
      assert.equal(answer.statusCode, 200);
      assert.match(answer.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
      const text = answer.body;
      assert.equal(value(text, 'berth_environments{status="failed"}'), 1);
      assert.equal(value(text, 'berth_environments{status="creating"}'), 1);
      assert.equal(value(text, 'berth_environments{status="running"}'), 0);
      assert.equal(value(text, 'berth_environment_failures{code="image_missing"}'), 1);
      assert.equal(value(text, 'berth_ports{state="used"}'), 2);
      assert.equal(value(text, 'berth_ports{state="free"}'), 2766);
      assert.equal(value(text, 'berth_reconciler_queue'), 1);
      assert.equal(value(text, 'berth_reconciler_working'), 0);
      assert.equal(value(text, 'berth_runtime_up{runtime="docker"}'), 1);
      assert.equal(value(text, 'berth_database_up'), 1);
      assert.ok((value(text, 'berth_database_queries_total') ?? 0) > 0);
      assert.equal(value(text, 'berth_database_connections{state="waiting"}'), 0);
      const route = `route="${routes.environment}",method="GET"`;
      assert.equal(value(text, `berth_http_requests_total{${route},status="200"}`), 1);
      assert.equal(value(text, `berth_http_requests_total{${route},status="404"}`), 2);
      assert.equal(value(text, 'berth_http_requests_total{route="none",method="any",status="404"}'), 3);
      assert.equal(value(text, `berth_http_request_duration_seconds_count{${route}}`), 3);
      assert.ok((value(text, 'process_cpu_seconds_total') ?? 0) > 0);
      assert.doesNotMatch(text, /nobody|secret|failed-/);
    });

    test('are for administrators', async () => {
      const member = await plane.account('people');
      assert.equal((await get(routes.metrics, member.token)).statusCode, 403);
      assert.equal((await app.inject({ url: routes.metrics })).statusCode, 401);
    });

    test('say so when the runtime does not answer', async () => {
      const broken = await makeApp(
        plane.with({}, { platform: { ...plane.services.platform, runtimeFault: 'does not answer' } }),
      );
      const { body } = await broken.inject({
        url: routes.metrics,
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(value(body, 'berth_runtime_up{runtime="docker"}'), 0);
      await broken.close();
    });
  });
}
