/**
 * What Prometheus reads at GET /metrics. No label takes values that clients choose: routes are named by their
 * templates, failures by the codes of the runtime.
 */
import { statuses, waysIn } from '@berth/contract';
import { sql } from 'kysely';
import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { countPorts } from '../ports/table.ts';
import type { Services } from '../http/app.ts';
import { readControls, readWork } from './table.ts';

type Observed = Pick<
  Services,
  'database' | 'settings' | 'platform' | 'poolUse' | 'queriesRun' | 'gatewayMetrics'
>;

export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Counter<'route' | 'method' | 'status'>;
  readonly #durations: Histogram<'route' | 'method'>;
  readonly #observed: Observed;
  readonly #environments: Gauge<'status'>;
  readonly #failures: Gauge<'code'>;
  readonly #ports: Gauge<'state'>;
  readonly #queue: Gauge;
  readonly #working: Gauge;
  readonly #pool: Gauge<'state'>;
  readonly #runtime: Gauge<'runtime'>;
  readonly #database: Gauge;
  readonly #connections: Gauge<'way'>;
  readonly #lockouts: Gauge;
  readonly #bans: Gauge;
  readonly #gateways: Gauge<'state'>;
  readonly #unsealed: Gauge;
  readonly #queries: Counter;
  #queriesTold = 0;

  constructor(observed: Observed) {
    this.#observed = observed;
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#requests = new Counter({
      name: 'berth_http_requests_total',
      help: 'Requests that were answered',
      labelNames: ['route', 'method', 'status'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'berth_http_request_duration_seconds',
      help: 'From the head of the request to the end of the answer',
      labelNames: ['route', 'method'],
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    });
    const gauge = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
      new Gauge<T>({ name, help, labelNames, registers });
    this.#environments = gauge('berth_environments', 'Environments by status', 'status');
    this.#failures = gauge(
      'berth_environment_failures',
      'Failed environments by the code of the failure',
      'code',
    );
    this.#ports = gauge('berth_ports', 'Ports of portRange: used, resting or free', 'state');
    this.#queue = gauge('berth_reconciler_queue', 'Environments that wait for the reconciler');
    this.#working = gauge('berth_reconciler_working', 'Environments that a reconciler is working on');
    this.#pool = gauge(
      'berth_database_connections',
      'Connections to the database: busy, idle or waited for',
      'state',
    );
    this.#runtime = gauge('berth_runtime_up', '1 while the runtime answers', 'runtime');
    this.#database = gauge('berth_database_up', '1 while the database answers');
    this.#connections = gauge(
      'berth_connections',
      'SSH connections that got in and are open, by way in',
      'way',
    );
    this.#lockouts = gauge('berth_lockouts', 'Pairs of name and address that are locked now');
    this.#bans = gauge('berth_bans', 'Addresses that are banned now');
    this.#gateways = gauge('berth_gateways', 'Workers of gateways that live: serving or draining', 'state');
    this.#unsealed = gauge('berth_audit_unsealed', 'Audit records that no link of the chain holds yet');
    this.#queries = new Counter({
      name: 'berth_database_queries_total',
      help: 'Queries that this server has run',
      registers,
    });
  }

  /** Has each answer counted. */
  observe(app: Pick<FastifyInstance, 'addHook'>): void {
    app.addHook('onResponse', (request, reply, done) => {
      const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
      const { method } = request;
      this.#requests.inc({ route, method: request.is404 ? 'any' : method, status: reply.statusCode });
      if (!request.is404) this.#durations.observe({ route, method }, reply.elapsedTime / 1000);
      done();
    });
  }

  /** Names of all metrics that there may be; a histogram's is without its suffix. */
  get names(): string[] {
    const own = this.registry.getMetricsAsArray().map(({ name }) => name);
    return [...own, ...this.#observed.gatewayMetrics.names];
  }

  /** The text format, version 0.0.4. */
  async text(): Promise<string> {
    const { platform, settings, poolUse, queriesRun } = this.#observed;
    this.#runtime.set({ runtime: settings.runtime }, platform.runtimeFault === null ? 1 : 0);
    for (const [state, count] of Object.entries(poolUse())) this.#pool.set({ state }, count);
    this.#database.set((await this.#readDatabase()) ? 1 : 0);
    const queries = queriesRun();
    this.#queries.inc(queries - this.#queriesTold);
    this.#queriesTold = queries;
    return `${await this.registry.metrics()}\n${await this.#observed.gatewayMetrics.text()}`;
  }

  /** @returns false when it does not answer; what was read last is not told then. */
  async #readDatabase(): Promise<boolean> {
    const { database, settings } = this.#observed;
    for (const each of [
      this.#environments,
      this.#failures,
      this.#ports,
      this.#queue,
      this.#working,
      this.#connections,
      this.#lockouts,
      this.#bans,
      this.#gateways,
      this.#unsealed,
    ])
      each.reset();
    try {
      await sql`select 1`.execute(database);
      const ports = await countPorts(database, settings.portRange, settings.portRestSeconds);
      for (const [state, count] of Object.entries(ports)) this.#ports.set({ state }, count);
      const work = await readWork(database);
      for (const status of statuses) this.#environments.set({ status }, work.byStatus[status] ?? 0);
      for (const [code, count] of Object.entries(work.byFailure)) this.#failures.set({ code }, count);
      this.#queue.set(work.waiting);
      this.#working.set(work.working);
      const controls = await readControls(database);
      for (const way of waysIn) this.#connections.set({ way }, controls.byWay[way] ?? 0);
      this.#lockouts.set(controls.lockouts);
      this.#bans.set(controls.bans);
      for (const [state, count] of Object.entries(controls.gateways)) this.#gateways.set({ state }, count);
      this.#unsealed.set(controls.unsealed);
      return true;
    } catch {
      return false;
    }
  }
}
