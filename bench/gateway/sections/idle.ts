// What 5,000 connections that do nothing keep in memory, on one gateway worker, and what they cost of a core.

import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../../main.ts';
import { cpuSeconds, memoryBytes, residentBytes } from '../../ssh-relay/processes.ts';
import { openIdle } from '../../ssh-relay/sections/memory.ts';
import { type Stage, medians } from '../../ssh-relay/stage.ts';

const connections = 5000;
const warmUpConnections = 50;
/** The server writes down what the gateway tells it of them. */
const settleMs = 5000;
const watchMs = 5000;

export async function idle(stage: Stage): Promise<Figure[]> {
  const upstream = await stage.startUpstream();
  try {
    const label = `${connections} idle connections`;
    const series = await stage.inTurnsAfresh(label, upstream.port, async (contender, pid) => {
      const gatewayPid = contender.running.gatewayPid ?? pid;
      // What the first connections of all bring with them is not what each costs.
      await (await openIdle(stage, contender, warmUpConnections)).stop();
      await pause(settleMs);
      const before = { all: memoryBytes(pid), gateway: residentBytes(gatewayPid) };
      const held = await openIdle(stage, contender, connections);
      try {
        await pause(settleMs);
        const gatewayBytes = residentBytes(gatewayPid) - before.gateway;
        const allBytes = memoryBytes(pid) - before.all;
        const cpu = cpuSeconds(pid);
        await pause(watchMs);
        return { gatewayBytes, allBytes, cpu: cpuSeconds(pid) - cpu };
      } finally {
        await held.stop();
      }
    });
    const figures = (
      what: string,
      unit: string,
      of: (value: (typeof series)[number]['values'][number]) => number,
    ) =>
      medians(
        `${label}, ${what}`,
        unit,
        series.map(({ name, values }) => ({ name, values: values.map(of) })),
      );
    return [
      ...figures(
        'memory of the process they go through',
        'KiB each',
        (v) => v.gatewayBytes / connections / 1024,
      ),
      ...figures('memory in all', 'KiB each', (v) => v.allBytes / connections / 1024),
      ...figures('CPU', '% of a core', (v) => (v.cpu * 100_000) / watchMs),
    ];
  } finally {
    await upstream.stop();
  }
}
