// What connections that do nothing keep in memory, and what bulk transfers at the same time take of it.

import { setTimeout as pause } from 'node:timers/promises';
import type { Figure } from '../../main.ts';
import { type Direction, OpenSsh } from '../openssh.ts';
import { type Program, memoryBytes, start } from '../processes.ts';
import { startBenchSshd } from '../relays/jump.ts';
import { type Contender, type Stage, medians } from '../stage.ts';

const settings = ['Ciphers aes128-gcm@openssh.com'];
const connections = 500;
const warmUpConnections = 20;
const settleMs = 500;
const transfers: Direction[] = ['down', 'up', 'down', 'up', 'down', 'up', 'down', 'up'];
const mebibyte = 1024 ** 2;
const transferMebibytes = 64;
const sampleMs = 50;

export async function memory(stage: Stage): Promise<Figure[]> {
  return [...(await idleMemory(stage)), ...(await peakMemory(stage))];
}

async function idleMemory(stage: Stage): Promise<Figure[]> {
  const upstream = await stage.startUpstream();
  try {
    const label = `memory, ${connections} idle connections`;
    const series = await stage.inTurnsAfresh(label, upstream.port, async (contender, pid) => {
      // What the first connections of all bring with them is not what each costs.
      await (await openIdle(stage, contender, warmUpConnections)).stop();
      await pause(settleMs);
      const before = memoryBytes(pid);
      const idle = await openIdle(stage, contender, connections);
      try {
        await pause(settleMs);
        return (memoryBytes(pid) - before) / connections / 1024;
      } finally {
        await idle.stop();
      }
    });
    return medians(label, 'KiB each', series);
  } finally {
    await upstream.stop();
  }
}

/** Opens that many connections with a session that waits; they end with the program. */
export async function openIdle(stage: Stage, contender: Contender, count: number): Promise<Program> {
  return await start(...(await stage.goClient('idle', contender, `-count=${count}`)));
}

async function peakMemory(stage: Stage): Promise<Figure[]> {
  const sshd = await startBenchSshd(stage.keys, stage.keys.upstreamHost, settings);
  const file = stage.zeros(transferMebibytes * mebibyte);
  try {
    const label = `memory, peak in ${transfers.length} bulk transfers`;
    const series = await stage.inTurnsAfresh(label, sshd.port, async ({ running }, pid) => {
      const client = new OpenSsh(stage.keys, running, settings);
      let peak = 0;
      const sampler = setInterval(() => (peak = Math.max(peak, memoryBytes(pid))), sampleMs);
      try {
        await Promise.all(transfers.map((direction) => client.transfer(direction, file)));
      } finally {
        clearInterval(sampler);
      }
      return peak / mebibyte;
    });
    return medians(label, 'MiB', series);
  } finally {
    await sshd.stop();
  }
}
