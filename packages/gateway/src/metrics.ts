/**
 * What a worker counts of itself, by names and labels as Prometheus writes them; the server serves them with its own
 * (contract, GatewayRecord). Attempts are not among them: the server counts their records.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { WayIn } from '@berth/contract';
import type { Drop } from './limits/admission.ts';

/** Upper bounds of the buckets, in seconds. */
const handshakeBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export type DropReason = Drop | 'not_allowed' | 'proxy_header' | 'no_environment';

export class Metrics {
  readonly #counters = new Map<string, number>();
  readonly #handshakes = handshakeBuckets.map(() => 0);
  #handshakeCount = 0;
  #handshakeSeconds = 0;
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });

  constructor() {
    this.#delay.enable();
  }

  accepted(way: WayIn | 'shared'): void {
    this.#add(`berth_gateway_accepted_total{way="${way}"}`, 1);
  }

  dropped(reason: DropReason): void {
    this.#add(`berth_gateway_dropped_total{reason="${reason}"}`, 1);
  }

  /** From the connection's acceptance to the end of the first key exchange. */
  handshake(seconds: number): void {
    for (const [index, bound] of handshakeBuckets.entries()) {
      if (seconds <= bound) this.#handshakes[index] = (this.#handshakes[index] ?? 0) + 1;
    }
    this.#handshakeCount += 1;
    this.#handshakeSeconds += seconds;
  }

  /** Of a connection that has ended: bytes of its TCP connection. */
  relayed(bytesIn: number, bytesOut: number): void {
    this.#add(relayedName('in'), bytesIn);
    this.#add(relayedName('out'), bytesOut);
  }

  /** @param live bytes of the connections that have not ended, and their number */
  values(live: {
    bytesIn: number;
    bytesOut: number;
    connections: number;
    waiting: number;
  }): Record<string, number> {
    const values = Object.fromEntries(this.#counters);
    for (const [name, bytes] of [
      [relayedName('in'), live.bytesIn],
      [relayedName('out'), live.bytesOut],
    ] as const) {
      values[name] = (values[name] ?? 0) + bytes;
    }
    for (const [index, bound] of handshakeBuckets.entries()) {
      values[`berth_gateway_handshake_seconds_bucket{le="${bound}"}`] = this.#handshakes[index] ?? 0;
    }
    values['berth_gateway_handshake_seconds_bucket{le="+Inf"}'] = this.#handshakeCount;
    values['berth_gateway_handshake_seconds_count'] = this.#handshakeCount;
    values['berth_gateway_handshake_seconds_sum'] = this.#handshakeSeconds;
    values['berth_gateway_connections'] = live.connections;
    values['berth_gateway_unauthenticated_connections'] = live.waiting;
    for (const quantile of [0.5, 0.99]) {
      // Of the interval since the last time; NaN before the first sample.
      const nanoseconds = this.#delay.percentile(quantile * 100) || 0;
      values[`berth_gateway_event_loop_delay_seconds{quantile="${quantile}"}`] = nanoseconds / 1e9;
    }
    this.#delay.reset();
    return values;
  }

  close(): void {
    this.#delay.disable();
  }

  #add(name: string, amount: number): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + amount);
  }
}

function relayedName(direction: 'in' | 'out'): string {
  return `berth_gateway_relayed_bytes_total{direction="${direction}"}`;
}
