import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { AttemptRecord, GatewayRecord } from '@berth/contract';
import { pathOf, routes } from '@berth/contract';
import { databases } from '../../../../test/harness/databases.ts';
import { makeApp } from '../http/app.ts';
import type { App } from '../http/app.ts';
import { ControlPlane } from '../testing/control-plane.ts';
import { GatewayMetrics } from './gateway-metrics.ts';
import { Metrics } from './metrics.ts';

function attempt(given: Partial<AttemptRecord>): AttemptRecord {
  return {
    type: 'attempt',
    id: 'attempt000000001',
    at: '2026-11-24T19:05:01.000Z',
    connection: null,
    way: 'own-port',
    target: 'demo-7f3k',
    jumper: null,
    user: 'developer',
    source: '203.0.113.7',
    source_port: 51234,
    client: '',
    method: 'password',
    accepted: false,
    reason: 'wrong_password',
    fingerprint: null,
    account: null,
    customer: 1,
    count: 1,
    ...given,
  };
}

const counted = {
  'berth_gateway_accepted_total{way="own-port"}': 4,
  'berth_gateway_relayed_bytes_total{direction="in"}': 1000,
  'berth_gateway_handshake_seconds_bucket{le="0.1"}': 3,
  'berth_gateway_handshake_seconds_bucket{le="+Inf"}': 4,
  berth_gateway_handshake_seconds_sum: 0.75,
  berth_gateway_handshake_seconds_count: 4,
  berth_gateway_connections: 2,
  'berth_gateway_event_loop_delay_seconds{quantile="0.99"}': 0.011,
};

function report(id: string, metrics: Record<string, number>, ended = false): GatewayRecord {
  return {
    type: 'gateway',
    id,
    host: 'x',
    version: '1',
    started_at: '2026-11-24T19:05:01.000Z',
    connections: 0,
    draining: false,
    ended,
    metrics,
  };
}

/**
 * The text format, version 0.0.4: each metric's samples together after its HELP and TYPE, no series twice, counters
 * named `_total`, buckets that grow up to `+Inf`, which is the count.
 */
function mustBeExposition(text: string): void {
  assert.ok(text.endsWith('\n'));
  const kinds = new Map<string, string>();
  const series = new Map<string, number>();
  let family = '';
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const head = /^# (HELP|TYPE) ([a-z_:][a-z0-9_:]*) (.+)$/.exec(line);
    if (head) {
      const [, word, name = '', rest = ''] = head;
      if (word === 'HELP') assert.ok(!kinds.has(name), `${name} comes twice`);
      else {
        assert.match(rest, /^(counter|gauge|histogram|summary)$/);
        if (name.startsWith('berth_'))
          assert.equal(name.endsWith('_total'), rest === 'counter', `${name} is a ${rest}`);
        kinds.set(name, rest);
      }
      family = name;
      continue;
    }
    const sample =
      /^([a-z_:][a-z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,(?=[a-z]))?)+\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|Na[Nn]|\+Inf)$/.exec(
        line,
      );
    assert.ok(sample, line);
    const [, name = '', labels = '', value] = sample;
    const isHistogram = kinds.get(family) === 'histogram';
    assert.ok(name === family || (isHistogram && name.replace(/_(bucket|sum|count)$/, '') === family), line);
    assert.ok(!series.has(name + labels), `${name}${labels} comes twice`);
    series.set(name + labels, Number(value));
  }
  for (const [name, kind] of kinds) {
    if (kind !== 'histogram') continue;
    const buckets = [...series].filter(([each]) => each.startsWith(`${name}_bucket{`));
    const groups = new Map<string, number[]>();
    for (const [each, count] of buckets) {
      const others = each.replace(/le="[^"]*",?/, '');
      groups.set(others, [...(groups.get(others) ?? []), count]);
    }
    for (const counts of groups.values())
      assert.deepEqual(
        counts,
        counts.toSorted((a, b) => a - b),
        name,
      );
  }
}

describe('what workers count', () => {
  const read = async (metrics: GatewayMetrics, series: string) => {
    const text = await metrics.text();
    mustBeExposition(text);
    const line = text.split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.split(' ').at(-1));
  };
  const bytes = 'berth_gateway_relayed_bytes_total{direction="in"}';

  test('is summed over them, and never falls when one ends or starts again', async () => {
    const metrics = new GatewayMetrics();
    metrics.take(report('one', counted));
    metrics.take(report('two', { ...counted, [bytes]: 500 }));
    assert.equal(await read(metrics, bytes), 1500);
    assert.equal(await read(metrics, 'berth_gateway_connections'), 4);
    assert.equal(await read(metrics, 'berth_gateway_handshake_seconds_bucket{le="+Inf"}'), 8);
    metrics.take(report('one', { ...counted, [bytes]: 1200 }));
    metrics.take(report('one', { ...counted, [bytes]: 1100 }));
    assert.equal(await read(metrics, bytes), 1700, 'a report that comes late takes nothing back');
    for (let times = 0; times < 2; times += 1)
      metrics.take(report('one', { ...counted, [bytes]: 1300 }, true));
    assert.equal(await read(metrics, bytes), 1800, 'and an end that comes twice adds nothing');
    assert.equal(await read(metrics, 'berth_gateway_connections'), 2);
    metrics.take(report('one again', { [bytes]: 7 }));
    assert.equal(await read(metrics, bytes), 1807);
  });

  test('is the greatest where a sum says nothing', async () => {
    const metrics = new GatewayMetrics();
    const delay = 'berth_gateway_event_loop_delay_seconds{quantile="0.99"}';
    metrics.take(report('one', { [delay]: 0.01 }));
    metrics.take(report('two', { [delay]: 0.02 }));
    assert.equal(await read(metrics, delay), 0.02);
  });

  test('holds now only of workers that report', async (context) => {
    context.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
    const metrics = new GatewayMetrics();
    metrics.take(report('one', counted));
    context.mock.timers.tick(31_000);
    assert.equal(await read(metrics, 'berth_gateway_connections'), undefined);
    assert.equal(await read(metrics, bytes), 1000);
    metrics.take(report('one', counted));
    assert.equal(await read(metrics, 'berth_gateway_connections'), 2);
    context.mock.timers.tick(25 * 3_600_000);
    assert.equal(await read(metrics, bytes), 1000);
  });

  test('is told under known names only', async () => {
    const metrics = new GatewayMetrics();
    metrics.take(
      report('one', {
        berth_environments: 9,
        'berth_gateway_connections 5\nberth_forged': 1,
        'berth_gateway_connections{a="b\n"}': 1,
        toString: 1,
        berth_gateway_unsent_bytes: Number.NaN,
      }),
    );
    const text = await metrics.text();
    mustBeExposition(text);
    assert.doesNotMatch(text, /forged|environments|toString|^berth_gateway_connections/m);
  });
});

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

    test('count attempts, connections, lockouts, bans and gateways', async () => {
      const { database } = plane;
      const { gatewayMetrics } = plane.services;
      gatewayMetrics.countAttempts([
        attempt({}),
        attempt({ reason: 'flood', count: 40 }),
        attempt({ accepted: true, reason: null, way: 'jump' }),
      ]);
      gatewayMetrics.countStateLines(3);
      const source = '192.0.2.1';
      const soon = new Date(Date.now() + 60_000);
      const past = new Date(Date.now() - 60_000);
      await database
        .insertInto('lockouts')
        .values([
          { target: 'a', source, failures: 5, until: soon },
          { target: 'b', source, failures: 5, until: past },
          { target: 'c', source, failures: 5, until: soon, cleared_at: past },
        ])
        .execute();
      await database.insertInto('bans').values({ source, failures: 20, until: soon }).execute();
      const gateway = { host: 'x', version: '1', started_at: past, connections: 1 };
      await database
        .insertInto('gateways')
        .values([
          { id: 'serves', ...gateway, draining: false },
          { id: 'drains', ...gateway, draining: true },
          { id: 'ended', ...gateway, draining: true, ended_at: past },
          { id: 'silent', ...gateway, draining: false, seen_at: past },
        ])
        .execute();
      const connection = {
        env_id: 'x',
        customer_id: 1,
        method: 'password' as const,
        way: 'jump' as const,
        source,
        source_port: 1,
        client: '',
        started_at: past,
      };
      await database
        .insertInto('connections')
        .values([
          { id: 'open', ...connection },
          { id: 'over', ...connection, ended_at: past },
        ])
        .execute();

      const { body } = await get(routes.metrics);
      const reasons = (way: string, outcome: string, reason: string) =>
        value(body, `berth_attempts_total{way="${way}",outcome="${outcome}",reason="${reason}"}`);
      assert.equal(reasons('own-port', 'refused', 'wrong_password'), 1);
      assert.equal(reasons('own-port', 'refused', 'flood'), 40);
      assert.equal(reasons('jump', 'accepted', 'none'), 1);
      assert.equal(value(body, 'berth_control_state_lines_total'), 3);
      assert.equal(value(body, 'berth_connections{way="jump"}'), 1);
      assert.equal(value(body, 'berth_connections{way="own-port"}'), 0);
      assert.equal(value(body, 'berth_lockouts'), 1);
      assert.equal(value(body, 'berth_bans'), 1);
      assert.equal(value(body, 'berth_gateways{state="serving"}'), 1);
      assert.equal(value(body, 'berth_gateways{state="draining"}'), 1);
      assert.ok((value(body, 'berth_audit_unsealed') ?? -1) >= 0);
    });

    test('are of the form that Prometheus takes', async () => {
      plane.services.gatewayMetrics.take(report('worker', { ...counted }));
      mustBeExposition((await get(routes.metrics)).body);
    });

    test('are all that the dashboard asks for, and it asks for nothing else', async () => {
      const file = new URL('../../../../deploy/grafana/berth.json', import.meta.url);
      const dashboard = readFileSync(file, 'utf8');
      const known = new Set(new Metrics(plane.services).names);
      const asked = new Set(
        [...dashboard.matchAll(/"expr": "((?:[^"\\]|\\.)*)"/g)].flatMap(([, expression = '']) =>
          [...expression.matchAll(/\b(?:berth|process|nodejs)_[a-z_]+/g)].map(([name]) => name),
        ),
      );
      assert.ok(asked.size >= 20, [...asked].join(' '));
      for (const name of asked)
        assert.ok(
          known.has(name) || known.has(name.replace(/_(bucket|sum|count)$/, '')),
          `${name} is no metric`,
        );
      const description = JSON.parse(dashboard) as { panels: { title: string; gridPos: object }[] };
      assert.equal(new Set(description.panels.map(({ title }) => title)).size, description.panels.length);
    });

    test('are described, every one', () => {
      const page = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
      const own = new Metrics(plane.services).names.filter((name) => name.startsWith('berth_'));
      const described = [...page.matchAll(/^\| `(berth_[a-z_]+)`/gm)].map(([, name]) => name);
      assert.deepEqual(described.toSorted(), own.toSorted());
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
