/**
 * What gateways report (POST /control/records): attempts, connections, ports that are taken, that they live.
 *
 * Each record comes at least once, so that taking one twice changes nothing; a batch is taken whole or not at all.
 */
import type {
  AttemptRecord,
  ConnectionRecord,
  GatewayRecord,
  GatewayRecordLine,
  PortRecord,
} from '@berth/contract';
import { recordAttempts } from '../audit/attempts.ts';
import { reopenConnections, upsertConnections, upsertGateways } from '../connections/table.ts';
import type { Session } from '../database/database.ts';
import { releasePort } from '../environments/environments.ts';
import { lockEnvironment } from '../environments/table.ts';
import { addEvents } from '../events/events.ts';
import type { Services } from '../http/app.ts';
import { givePort, skippedNote } from '../ports/ports.ts';
import { activePort } from '../ports/table.ts';
import { markKeysUsed } from '../ssh-keys/table.ts';
import { portOfGateway } from './state.ts';

/** A key's use is written down once in this time. */
const keyRestMs = 60_000;

export async function takeRecords(services: Services, records: GatewayRecordLine[]): Promise<void> {
  const attempts: AttemptRecord[] = [];
  const connections: ConnectionRecord[] = [];
  const gateways: GatewayRecord[] = [];
  const ports: PortRecord[] = [];
  for (const record of records) {
    if (record.type === 'attempt') attempts.push(record);
    else if (record.type === 'connection') connections.push(record);
    else if (record.type === 'gateway') gateways.push(record);
    else ports.push(record);
  }
  if (records.length === 0) return;
  const fresh = await services.database.transaction().execute(async (transaction) => {
    const unknown = await recordAttempts(transaction, attempts);
    await markKeysUsed(transaction, usesOf(attempts), keyRestMs);
    await upsertConnections(transaction, connections);
    const back = await upsertGateways(transaction, gateways);
    if (back.length > 0) await reopenConnections(transaction, back);
    for (const record of ports) await giveAnotherPort(services, transaction, record);
    return unknown;
  });
  const { authLog, gatewayMetrics } = services;
  authLog.attempts(fresh);
  authLog.connections(connections);
  gatewayMetrics.countAttempts(fresh);
  for (const record of gateways) gatewayMetrics.take(record);
}

function usesOf(attempts: AttemptRecord[]): Parameters<typeof markKeysUsed>[1] {
  return attempts.flatMap(({ accepted, customer, fingerprint, at }) =>
    accepted && customer !== null && fingerprint !== null ? [{ customer_id: customer, fingerprint, at }] : [],
  );
}

/** Where the environment still has that port, and a gateway is to serve it. */
async function giveAnotherPort(
  { runtime, settings }: Services,
  session: Session,
  { environment, port }: PortRecord,
): Promise<void> {
  const row = await lockEnvironment(session, environment, null);
  if (!row || row.wanted === 'deleted' || row.status === 'deleted') return;
  const { status, exposure, running_exposure: runningExposure } = row;
  const active = await activePort(session, environment);
  if (active !== port || portOfGateway({ status, exposure, runningExposure, port }) !== port) return;
  const released = await releasePort(session, environment);
  const { events } = await givePort(session, runtime, settings, { ...row, own_port: ownPortOf(row) }, [port]);
  await addEvents(session, environment, [
    { kind: 'port', message: skippedNote([port]) },
    ...released,
    ...events,
  ]);
}

/** One that insists runs already: it goes without a port rather than keep one that nobody can open. */
function ownPortOf({ own_port }: { own_port: 'auto' | 'yes' | 'no' }): 'auto' | 'no' {
  return own_port === 'no' ? 'no' : 'auto';
}
