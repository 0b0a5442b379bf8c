/** Composes a worker: the gateway within one process, without its wires to supervisor and server (worker-process.ts). */
import { setTimeout as pause } from 'node:timers/promises';
import { Connections } from './connection.ts';
import type { GatewayWorker, WorkerParts } from './gateway-worker.ts';
import { Admission } from './limits/admission.ts';
import { Drops } from './limits/drops.ts';
import { Listeners } from './listeners/listeners.ts';
import { LiveConnections } from './live.ts';
import { Metrics } from './metrics.ts';
import { SocketPairs } from './socket-pairs.ts';
import { GatewayState } from './state.ts';
import { UpstreamKeys } from './upstream.ts';

const endSentence = 'The gateway is restarted; connect again.';

export function startWorker({ gateway, sockets, server, recorder, log }: WorkerParts): GatewayWorker {
  const state = new GatewayState();
  const metrics = new Metrics();
  const admission = new Admission(state);
  const drops = new Drops(recorder);
  const live = new LiveConnections({ gateway, state, recorder, metrics });
  const upstreamKeys = new UpstreamKeys();
  const socketPairs = new SocketPairs();
  const connections = new Connections({
    ...{ gateway, state, server, recorder, admission, drops, metrics, live, upstreamKeys, socketPairs, log },
  });
  const listeners = new Listeners({
    ...{ state, sockets, recorder, log },
    onOwnPort: (socket, port) => connections.onOwnPort(socket, port),
    onSharedPort: (socket) => connections.onSharedPort(socket),
  });

  const end = async (): Promise<void> => {
    live.endAll(endSentence);
    await live.emptied();
    live.close();
    drops.flush();
    metrics.close();
    upstreamKeys.close();
    socketPairs.close();
  };

  return {
    apply: (line) => state.apply(line),
    toLines: () => state.toLines(),
    connections: () => live.list(),
    metrics: () => metrics.values({ ...live.numbers(), waiting: admission.waiting }),
    drain: async (sentence) => {
      listeners.close();
      if (sentence !== null) live.say(sentence);
      const limitMs = state.isComplete ? state.settings.drainSeconds * 1000 : 0;
      const stop = new AbortController();
      const limit = pause(limitMs, undefined, { signal: stop.signal }).catch(() => {});
      await Promise.race([live.emptied(), limit]);
      stop.abort();
      await end();
    },
    close: async () => {
      listeners.close();
      await end();
    },
  };
}
