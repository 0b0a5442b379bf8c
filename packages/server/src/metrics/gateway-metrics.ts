/**
 * What GET /metrics says of the gateways: attempts as their records come, and the sums of what the workers count of
 * themselves and report (contract, GatewayRecord). What
 * takes attempts and records feeds it; metrics.ts shows it.
 *
 * A worker's counters begin at 0 with it. The sums must not fall when one ends, or Prometheus would take that for a
 * restart of all of them: what an ended worker counted stays in the sums of counters, and leaves those of gauges.
 */
import type { AttemptRecord, GatewayRecord } from '@berth/contract';
import { Counter, Registry } from 'prom-client';

interface Family {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  /** How the values of several workers become one. */
  together: 'sum' | 'greatest';
}

/** What workers report under other names is not told. */
const families: Record<string, Family> = {
  berth_gateway_accepted_total: {
    type: 'counter',
    help: 'TCP connections that gateways accepted, by way in',
    together: 'sum',
  },
  berth_gateway_dropped_total: {
    type: 'counter',
    help: 'TCP connections that gateways closed before a login was tried, by reason',
    together: 'sum',
  },
  berth_gateway_relayed_bytes_total: {
    type: 'counter',
    help: 'Bytes of SSH connections: in (from clients) and out (to them)',
    together: 'sum',
  },
  berth_gateway_handshake_seconds: {
    type: 'histogram',
    help: 'From the acceptance of a connection to the end of its first key exchange',
    together: 'sum',
  },
  berth_gateway_connections: {
    type: 'gauge',
    help: 'SSH connections that gateways serve',
    together: 'sum',
  },
  berth_gateway_unauthenticated_connections: {
    type: 'gauge',
    help: 'SSH connections at gateways that have not logged in',
    together: 'sum',
  },
  berth_gateway_unsent_bytes: {
    type: 'gauge',
    help: 'Bytes of records that gateways owe the server',
    together: 'sum',
  },
  berth_gateway_event_loop_delay_seconds: {
    type: 'gauge',
    help: 'How late the slowest worker gets to its work, by quantile of the last seconds',
    together: 'greatest',
  },
};

/** Workers report every five seconds; one that has not for so long counts for nothing that holds now. */
const silenceMs = 30_000;
/** One that was silent for so long has ended without a word. */
const forgottenMs = 24 * 60 * 60 * 1000;
/** Of ended workers: their last report may come twice. */
const mostEnded = 1000;
const mostSeries = 1000;

interface Worker {
  values: Map<string, number>;
  seenAt: number;
}

export class GatewayMetrics {
  readonly #registry = new Registry();
  readonly #attempts: Counter<'way' | 'outcome' | 'reason'>;
  readonly #lockouts: Counter;
  readonly #bans: Counter;
  readonly #stateLines: Counter;
  readonly #workers = new Map<string, Worker>();
  readonly #ended = new Set<string>();
  /** Counters of workers that have ended. */
  readonly #past = new Map<string, number>();

  constructor() {
    const registers = [this.#registry];
    this.#attempts = new Counter({
      name: 'berth_attempts_total',
      help: 'Attempts to log in by SSH, by way in, outcome (accepted, refused) and reason of the refusal (none)',
      labelNames: ['way', 'outcome', 'reason'],
      registers,
    });
    this.#lockouts = new Counter({
      name: 'berth_lockouts_set_total',
      help: 'Lockouts of a name and an address that were set',
      registers,
    });
    this.#bans = new Counter({
      name: 'berth_bans_set_total',
      help: 'Bans of an address that were set',
      registers,
    });
    this.#stateLines = new Counter({
      name: 'berth_control_state_lines_total',
      help: 'Lines of state that were sent to gateways',
      registers,
    });
  }

  /** @param records such as were not known before */
  countAttempts(records: AttemptRecord[]): void {
    for (const { way, accepted, reason, count } of records)
      this.#attempts.inc(
        { way, outcome: accepted ? 'accepted' : 'refused', reason: reason ?? 'none' },
        count,
      );
  }

  countLockout(): void {
    this.#lockouts.inc();
  }

  countBan(): void {
    this.#bans.inc();
  }

  countStateLines(lines: number): void {
    this.#stateLines.inc(lines);
  }

  /** Takes a worker's report; an older one, or the same again, changes nothing. */
  take({ id, ended, metrics }: GatewayRecord): void {
    if (this.#ended.has(id)) return;
    const worker = this.#workers.get(id) ?? { values: new Map<string, number>(), seenAt: 0 };
    this.#workers.set(id, worker);
    worker.seenAt = Date.now();
    for (const [series, value] of Object.entries(metrics)) {
      const name = familyOf(series);
      if (name === undefined || !Number.isFinite(value)) continue;
      const before = worker.values.get(series);
      if (before === undefined && worker.values.size >= mostSeries) continue;
      // Reports may come out of their order; a counter never falls.
      if (families[name]?.type !== 'gauge' && before !== undefined && value < before) continue;
      worker.values.set(series, value);
    }
    if (ended) this.#end(id, worker);
  }

  #end(id: string, worker: Worker): void {
    this.#workers.delete(id);
    this.#ended.add(id);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= mostEnded) break;
      this.#ended.delete(oldest);
    }
    for (const [series, value] of countersOf(worker))
      this.#past.set(series, (this.#past.get(series) ?? 0) + value);
  }

  /** Names of all metrics that there may be, a histogram's without its suffix. */
  get names(): string[] {
    return [...this.#registry.getMetricsAsArray().map(({ name }) => name), ...Object.keys(families)];
  }

  /** The text format, version 0.0.4. */
  async text(): Promise<string> {
    const now = Date.now();
    for (const [id, worker] of this.#workers) {
      if (now - worker.seenAt > forgottenMs) this.#end(id, worker);
    }
    const sums = new Map(this.#past);
    for (const worker of this.#workers.values()) {
      const isSilent = now - worker.seenAt > silenceMs;
      for (const [series, value] of isSilent ? countersOf(worker) : worker.values) {
        const before = sums.get(series);
        const { together } = families[familyOf(series) ?? ''] ?? {};
        if (before === undefined) sums.set(series, value);
        else sums.set(series, together === 'greatest' ? Math.max(before, value) : before + value);
      }
    }
    const lines: string[] = [];
    for (const [name, { type, help }] of Object.entries(families)) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [series, value] of sums) if (familyOf(series) === name) lines.push(`${series} ${value}`);
    }
    return `${await this.#registry.metrics()}\n${lines.join('\n')}\n`;
  }
}

function countersOf({ values }: Worker): [string, number][] {
  return [...values].filter(([series]) => families[familyOf(series) ?? '']?.type !== 'gauge');
}

/** `name{label="value",...}`; undefined: it is of no family, or not written as Prometheus wants it. */
function familyOf(series: string): string | undefined {
  const match = /^([a-z_]+)(?:\{(?:[a-z_]+="[A-Za-z0-9_.+-]*",?)*\})?$/.exec(series);
  const name = match?.[1];
  if (name === undefined) return undefined;
  if (Object.hasOwn(families, name) && families[name]?.type !== 'histogram') return name;
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return base !== name && families[base]?.type === 'histogram' ? base : undefined;
}
