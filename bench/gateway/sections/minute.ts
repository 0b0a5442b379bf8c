// 60 seconds of logins, as many as get in, and what each costs the gateway and the server. Clients and upstream are
// written in Go, and cheap. One that fails fails the bench.

import type { Figure } from '../../main.ts';
import { cpuSeconds } from '../../ssh-relay/processes.ts';
import type { Stage } from '../../ssh-relay/stage.ts';
import { progress } from '../../statistics.ts';
import { whole } from '../whole.ts';

const seconds = 60;
const parallel = 8;
const targetMs = 2;

export async function minute(stage: Stage): Promise<Figure[]> {
  const label = `${seconds} s of logins`;
  progress(label);
  const upstream = await stage.startUpstream();
  const running = await whole.start({ keys: stage.keys, upstreamPort: upstream.port });
  const cpuMs = () => {
    const gateway = cpuSeconds(running.gatewayPid ?? 0) * 1000;
    return { gateway, server: cpuSeconds(running.pid ?? 0) * 1000 - gateway };
  };
  try {
    const before = cpuMs();
    const result = await stage.runGoClient<{ logins: number; failed: number; seconds: number }>(
      'logins',
      { name: whole.name, running },
      `-parallel=${parallel}`,
      `-seconds=${seconds}`,
    );
    const after = cpuMs();
    if (result.failed > 0) throw new Error(`${result.failed} of ${result.logins} logins failed`);
    const gateway = (after.gateway - before.gateway) / result.logins;
    const server = (after.server - before.server) / result.logins;
    return [
      { name: `${label}: got in`, value: result.logins / result.seconds, unit: 'a second' },
      { name: `${label}: CPU of the gateway`, value: gateway, unit: 'ms each' },
      { name: `${label}: CPU of the server`, value: server, unit: 'ms each' },
      { name: `${label}: CPU of both`, value: gateway + server, unit: 'ms each', target: `<= ${targetMs}` },
    ];
  } finally {
    await running.stop();
    await upstream.stop();
  }
}
