/** The rules of connections: who sees which, and who may end one. */
import { BerthError } from '@berth/contract';
import type { Connection, ListConnections } from '@berth/contract';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Asker } from '../audit/audit.ts';
import type { Database } from '../database/database.ts';
import type { ConnectionRow } from '../database/schema.ts';
import { readMoment } from '../http/moments.ts';
import { pageOf, readCursor, strangeCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { endConnections } from './end.ts';
import { findConnection, listConnections } from './table.ts';

export async function connectionsPage(
  database: Database,
  principal: Principal,
  query: ListConnections,
): Promise<Page<Connection>> {
  const { limit = 100, cursor, live, env_id, customer_id, account, source, fingerprint, method, way } = query;
  const rows = await listConnections(
    database,
    {
      visibleTo: visibleCustomer(principal),
      customerId: customer_id,
      envId: env_id,
      account,
      source,
      fingerprint,
      method,
      way,
      live,
      since: readMoment('since', query.since),
      until: readMoment('until', query.until),
    },
    readPosition(cursor),
    limit + 1,
  );
  return pageOf(rows, limit, ({ position, id }) => [position, id], present);
}

/** @throws BerthError `not_found` */
export async function getConnection(
  database: Database,
  principal: Principal,
  id: string,
): Promise<Connection> {
  const row = await findConnection(database, id, visibleCustomer(principal));
  if (!row) throw noSuchConnection(id);
  return present(row);
}

/**
 * Gone from its gateway within two seconds; one that is over stays as it is.
 *
 * @throws BerthError `not_found`; `wrong_state` when no gateway holds it
 */
export async function killConnection(database: Database, asker: Asker, id: string): Promise<Connection> {
  const { principal } = asker;
  return database.transaction().execute(async (transaction) => {
    const row = await findConnection(transaction, id, visibleCustomer(principal));
    if (!row) throw noSuchConnection(id);
    if (row.ended_at !== null) return present(row);
    if (row.gateway === null)
      throw new BerthError(
        'wrong_state',
        `The connection ${id} goes straight to the container's sshd, where Berth cannot end it.`,
        { cure: `Stop or restart the environment ${row.env_id}.` },
      );
    await endConnections(transaction, { connection: id }, `${principal.account} ended this connection.`);
    await audit(transaction, asker, {
      action: 'connection.kill',
      target: id,
      customerId: row.customer_id,
      detail: { environment: row.env_id, source: row.source, account: row.account },
    });
    return present(row);
  });
}

/** @throws BerthError `bad_request` when it is none of this list */
function readPosition(cursor: string | undefined): { startedAt: string; id: string } | undefined {
  const [startedAt, id] = (readCursor(cursor, ['string', 'string']) ?? []) as string[];
  if (startedAt === undefined || id === undefined) return undefined;
  if (!/^-?\d{1,18}$/.test(startedAt)) throw strangeCursor();
  return { startedAt, id };
}

function noSuchConnection(id: string): BerthError {
  return new BerthError('not_found', `There is no connection ${JSON.stringify(id)}.`);
}

function present(row: ConnectionRow): Connection {
  return {
    id: row.id,
    env_id: row.env_id,
    customer_id: row.customer_id,
    account: row.account,
    method: row.method,
    fingerprint: row.fingerprint,
    key_name: row.key_name,
    way: row.way,
    source: row.source,
    source_port: row.source_port,
    client: row.client,
    started_at: row.started_at.toISOString(),
    ended_at: row.ended_at?.toISOString() ?? null,
    end_reason: row.end_reason,
    bytes_in: row.bytes_in,
    bytes_out: row.bytes_out,
    channels: row.channels,
    open_channels: row.open_channels,
    gateway: row.gateway,
  };
}
