/**
 * What the workers of a gateway count, and the server tells Prometheus: the names that `GatewayRecord.metrics` may have.
 * A counter and a histogram begin at 0 with the worker; a gauge is what holds now.
 */
export interface MetricFamily {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  /** Names of its labels; `le` of a histogram is not among them. */
  labels: readonly string[];
}

export const gatewayMetricFamilies = {
  berth_gateway_accepted_total: {
    type: 'counter',
    help: 'TCP connections that gateways accepted',
    labels: ['way'],
  },
  berth_gateway_dropped_total: {
    type: 'counter',
    help: 'TCP connections that gateways closed before a word was said, by why (banned, flood, not_allowed)',
    labels: ['reason'],
  },
  berth_gateway_bytes_total: {
    type: 'counter',
    help: 'Bytes between gateways and clients: in (from them) and out (to them)',
    labels: ['way', 'direction'],
  },
  berth_gateway_relayed_bytes_total: {
    type: 'counter',
    help: 'Bytes of channels that were relayed: in (to environments) and out (from them)',
    labels: ['direction'],
  },
  berth_gateway_handshake_seconds: {
    type: 'histogram',
    help: 'From the connection to the end of the first key exchange',
    labels: [],
  },
  berth_gateway_open_connections: {
    type: 'gauge',
    help: 'TCP connections that gateways hold now, those that have not logged in among them',
    labels: [],
  },
  berth_gateway_records_waiting: {
    type: 'gauge',
    help: 'Records that gateways still owe the server',
    labels: [],
  },
} as const satisfies Record<string, MetricFamily>;

export type GatewayMetricName = keyof typeof gatewayMetricFamilies;

/** Upper bounds of the buckets of `berth_gateway_handshake_seconds`, beside `+Inf`. */
export const handshakeSecondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;
