// node berth-process.ts UPSTREAM-PORT USER HOST-KEY CLIENT-KEY.pub: a whole Berth with one environment, whose sshd is the
// upstream: the control plane with the embedded database in this process, and one gateway worker as its child. whole.ts
// starts it. Prints a line of JSON (Printed) when the environment's own port is open, and ends by SIGTERM.

import { readFileSync } from 'node:fs';
import { parsePrivateKey, SigningKey } from '@berth/ssh';
import { Supervisor } from '../../packages/gateway/src/supervisor/supervisor.ts';
import { decideAttempt } from '../../packages/server/src/attempts/attempts.ts';
import { startSealing } from '../../packages/server/src/audit/sealing.ts';
import { watchLostConnections } from '../../packages/server/src/connections/lost.ts';
import { listenForGateways } from '../../packages/server/src/control/listener.ts';
import { UpstreamAddresses } from '../../packages/server/src/control/upstream.ts';
import type { Services } from '../../packages/server/src/http/app.ts';
import { hostKeyPurpose } from '../../packages/server/src/secrets/sealed-columns.ts';
import { addKey } from '../../packages/server/src/ssh-keys/ssh-keys.ts';
import { ControlPlane } from '../../packages/server/src/testing/control-plane.ts';
import { freePortRange } from '../../test/harness/berth.ts';
import { databases } from '../../test/harness/databases.ts';

export interface Printed {
  /** The environment's own. */
  port: number;
  /** Its id, the one principal of the certificates that open it. */
  environment: string;
  /** Whose certificates the upstream has to take; as in a .pub file. */
  authority: string;
  gatewayPid: number;
}

const [upstreamPort, user = '', ...files] = process.argv.slice(2);
const [hostKey = '', clientKey = ''] = files.map((file) => readFileSync(file, 'utf8'));
const runId = 'run-1';

const [embedded] = databases;
if (embedded === undefined) throw new TypeError('the embedded database is always there');
const plane = await ControlPlane.open(embedded, {
  exposure: 'gateway',
  portAddress: '127.0.0.1',
  portRange: await freePortRange(1),
  sharedPort: 0,
  // All clients of the bench come from one address, as fast as they can.
  'limits.connectionsPerSecond': 10_000,
  'limits.unauthenticatedPerSource': 10_000,
  'limits.startups': { begin: 10_000, ratePercent: 30, full: 20_000 },
});
const { database, directory, keyRing, logger } = plane.services;
const environment = await makeEnvironment();

const runtime = {
  observe: () =>
    Promise.resolve({
      state: 'running' as const,
      address: { host: '127.0.0.1', port: Number(upstreamPort) },
      exitCode: null,
      outOfMemory: false,
      runId,
      resources: environment.resources,
      exposure: 'gateway' as const,
      restarts: 0,
    }),
};
const services: Services = {
  ...plane.services,
  upstreamAddresses: new UpstreamAddresses({ runtime, directory }),
};
const control = await listenForGateways(services, decideAttempt);
const stopSealing = startSealing(database, logger);
const stopWatching = watchLostConnections(services);
const supervisor = new Supervisor({
  workers: 1,
  folder: services.folder.file('gateway'),
  user: 'nobody',
  server: { kind: 'unix', path: 'control.sock' },
  certificates: null,
  log: (line) => process.stderr.write(`${line}\n`),
});

// A terminal tells every process of the bench that it is cut off, and the bench tells this one once more.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void end());
// Also when whoever started it is gone.
process.stdin.resume().once('end', () => void end());

const opened = await supervisor.opened(environment.port);
if (opened !== true) throw new Error(opened);
const [gatewayPid = 0] = supervisor.pids;
const printed: Printed = {
  port: environment.port,
  environment: environment.id,
  authority: plane.installation.authorityPublic,
  gatewayPid,
};
process.stdout.write(`${JSON.stringify(printed)}\n`);

/** One that runs, as the reconciler leaves it, with the upstream's host key and user. */
async function makeEnvironment() {
  const asker = { principal: plane.admin, source: null };
  await addKey(database, plane.admin, asker, { name: 'client', public_key: clientKey.trim() });
  const created = await plane.create({ name: 'bench' });
  const { env_id: id, ssh_port: port } = created;
  if (port === null) throw new TypeError('it has a port of its own unless told otherwise');
  await database
    .updateTable('environments')
    .set({ status: 'running', run_id: runId, running_exposure: 'gateway', username: user })
    .where('id', '=', id)
    .execute();
  const { publicKey } = new SigningKey(parsePrivateKey(hostKey));
  await database
    .updateTable('ssh_credentials')
    .set({
      host_key: keyRing.seal(hostKey, hostKeyPurpose(id)),
      host_key_public: `${publicKey.type} ${publicKey.blob.toString('base64')}`,
    })
    .where('env_id', '=', id)
    .execute();
  await directory.reload();
  return { id, port, resources: { cpu: 1, memory: 1, gpu: 0 } };
}

let isEnding = false;
async function end(): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  await supervisor.kill();
  stopWatching();
  await control.close();
  await stopSealing();
  await plane.close();
  process.exit(0);
}
