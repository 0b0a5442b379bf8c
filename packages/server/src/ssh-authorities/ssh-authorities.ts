/** Authorities whose user certificates open a customer's environments, and what they have revoked. In force at once. */
import { BerthError } from '@berth/contract';
import type { AddSshAuthority, SetSshRevocations, SshAuthority, SshRevocations } from '@berth/contract';
import { KeyError, parsePublicKey } from '@berth/ssh';
import { visibleCustomer } from '../accounts/principal.ts';
import type { Principal } from '../accounts/principal.ts';
import { audit } from '../audit/audit.ts';
import type { Asker } from '../audit/audit.ts';
import { lockCustomer } from '../customers/table.ts';
import type { Database, Session } from '../database/database.ts';
import { announce } from '../events/notices.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import type { Page } from '../http/pages.ts';
import { readRevocations } from './revocations.ts';
import {
  deleteAuthority,
  deleteRevocations,
  findRevocations,
  insertAuthority,
  listAuthorities,
  upsertRevocations,
} from './table.ts';
import type { SshAuthorityRow, SshRevocationsRow } from './table.ts';

/** Of the asking account's customer; an administrator may name another. */
export async function authoritiesPage(
  database: Database,
  principal: Principal,
  { limit = 100, cursor, customer_id }: { limit?: number; cursor?: string; customer_id?: number },
): Promise<Page<SshAuthority>> {
  const after = (readCursor(cursor, ['number'])?.[0] as number | undefined) ?? 0;
  const customerId = customer_id ?? principal.customerId;
  const visible = visibleCustomer(principal);
  const rows =
    visible === null || visible === customerId
      ? await listAuthorities(database, customerId, { after, limit: limit + 1 })
      : [];
  return pageOf(rows, limit, ({ id }) => [id], presentAuthority);
}

/** @throws BerthError `bad_ssh_key`, `duplicate_key`, `forbidden`, `unknown_reference` */
export async function addAuthority(
  database: Database,
  asker: Asker,
  { name, public_key, customer_id: asked }: AddSshAuthority,
): Promise<SshAuthority> {
  const key = readKey(public_key);
  return database.transaction().execute(async (transaction) => {
    const customerId = await mustHoldCustomer(transaction, asker.principal, asked);
    const row = await insertAuthority(transaction, {
      customer_id: customerId,
      name,
      type: key.type,
      fingerprint: key.fingerprint,
      public_key: key.line,
    });
    if (!row)
      throw new BerthError('duplicate_key', `The authority ${key.fingerprint} is there already.`, {
        field: 'public_key',
        cure: 'Nothing to do: its certificates already open the environments.',
      });
    await announce(transaction, { topic: 'customer', id: customerId });
    await audit(transaction, asker, {
      action: 'ssh_authority.add',
      target: key.fingerprint,
      customerId,
      detail: { id: row.id, name },
    });
    return presentAuthority(row);
  });
}

/** @throws BerthError `not_found` */
export async function removeAuthority(database: Database, asker: Asker, id: number): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const row = await deleteAuthority(transaction, visibleCustomer(asker.principal), id);
    if (!row) throw new BerthError('not_found', `There is no authority ${id}.`);
    await announce(transaction, { topic: 'customer', id: row.customer_id });
    await audit(transaction, asker, {
      action: 'ssh_authority.delete',
      target: row.fingerprint,
      customerId: row.customer_id,
      detail: { id, name: row.name },
    });
  });
}

/** @throws BerthError `not_found` when nothing is revoked, `forbidden` */
export async function getRevocations(
  session: Session,
  principal: Principal,
  asked?: number,
): Promise<SshRevocations> {
  const customerId = customerOf(principal, asked);
  const row = await findRevocations(session, customerId);
  if (!row) throw nothingRevoked(customerId);
  return presentRevocations(row);
}

/** @throws BerthError `bad_revocation_list`, `forbidden`, `unknown_reference` */
export async function setRevocations(
  database: Database,
  asker: Asker,
  { list, customer_id: asked }: SetSshRevocations,
): Promise<SshRevocations> {
  const { bytes } = readRevocations(Buffer.from(list, 'base64'));
  return database.transaction().execute(async (transaction) => {
    const customerId = await mustHoldCustomer(transaction, asker.principal, asked);
    const row = await upsertRevocations(transaction, customerId, bytes);
    const shown = presentRevocations(row);
    await announce(transaction, { topic: 'customer', id: customerId });
    await audit(transaction, asker, {
      action: 'ssh_revocations.set',
      customerId,
      detail: { bytes: shown.bytes, version: shown.version },
    });
    return shown;
  });
}

/** @throws BerthError `not_found` when nothing is revoked, `forbidden` */
export async function clearRevocations(database: Database, asker: Asker, asked?: number): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const customerId = customerOf(asker.principal, asked);
    if (!(await deleteRevocations(transaction, customerId))) throw nothingRevoked(customerId);
    await announce(transaction, { topic: 'customer', id: customerId });
    await audit(transaction, asker, { action: 'ssh_revocations.clear', customerId });
  });
}

/** @throws BerthError `forbidden` */
function customerOf(principal: Principal, asked: number | undefined): number {
  if (asked === undefined || asked === principal.customerId) return principal.customerId;
  if (principal.role === 'admin') return asked;
  throw new BerthError('forbidden', 'customer_id: only an administrator may name another customer.', {
    field: 'customer_id',
    cure: 'Leave it out: what is asked is then of your own customer.',
  });
}

/** Until the transaction ends the customer is not deleted. @throws BerthError `forbidden`, `unknown_reference` */
async function mustHoldCustomer(
  session: Session,
  principal: Principal,
  asked: number | undefined,
): Promise<number> {
  const id = customerOf(principal, asked);
  if ((await lockCustomer(session, id)) !== undefined) return id;
  throw new BerthError('unknown_reference', `customer_id: there is no customer ${id}.`, {
    field: 'customer_id',
    cure: 'GET /api/customers lists those that there are.',
  });
}

function readKey(line: string) {
  try {
    return parsePublicKey(line);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new BerthError('bad_ssh_key', `public_key: ${error.message}`, {
      field: 'public_key',
      cure: "Paste the one line of the authority's .pub file, such as user_ca.pub.",
      cause: error,
    });
  }
}

function nothingRevoked(customerId: number): BerthError {
  return new BerthError('not_found', `The customer ${customerId} has revoked nothing.`);
}

function presentAuthority({ created_at, ...row }: SshAuthorityRow): SshAuthority {
  return { ...row, created_at: created_at.toISOString() };
}

function presentRevocations({ customer_id, list, updated_at }: SshRevocationsRow): SshRevocations {
  const bytes = Buffer.from(list);
  const { version, comment } = readRevocations(bytes).list;
  return {
    customer_id,
    list: bytes.toString('base64'),
    bytes: bytes.length,
    version: String(version),
    comment: comment.replace(/[\p{Cc}\p{Cf}]/gu, '\u{FFFD}'),
    updated_at: updated_at.toISOString(),
  };
}
