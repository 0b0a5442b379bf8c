/**
 * The process under attack in ssh-hostile.ts: a gateway in front of the server that its first message names. Each
 * further message asks how the event loop fared since the one before, and how much memory there is.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { generateSigningKey, serverHostKey } from '@berth/ssh';
import { gatewayPassword, startGateway } from '../packages/ssh/src/testing/gateway.ts';

export interface Health {
  readonly delayP99Ms: number;
  readonly delayMaximumMs: number;
  readonly rssMebibytes: number;
  readonly connections: number;
}

process.once('message', async ({ host, port }: { host: string; port: number }) => {
  const gateway = await startGateway({
    hostKeys: [serverHostKey(await generateSigningKey('ssh-ed25519'))],
    upstream: {
      ...{ host, port, user: 'somebody', hostKey: () => undefined },
      credentials: [{ method: 'password', password: gatewayPassword }],
    },
  });
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  process.on('message', () => {
    const health: Health = {
      // What is measured is the whole time between two looks.
      delayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - 10),
      delayMaximumMs: Math.max(0, delay.max / 1e6 - 10),
      rssMebibytes: process.memoryUsage.rss() / 1024 ** 2,
      connections: gateway.connections(),
    };
    delay.reset();
    process.send?.(health);
  });
  process.on('disconnect', () => process.exit());
  process.send?.(gateway.port);
});
