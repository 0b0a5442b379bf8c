/**
 * The audit log: one row for each administrative act and each login, written in the transaction of the act itself, so
 * that neither exists without the other. Never a secret in it.
 */
import type { AuditOutcome } from '@berth/contract';
import type { FastifyRequest } from 'fastify';
import type { Principal } from '../accounts/principal.ts';
import type { Session } from '../database/database.ts';

/** Who acts, and from where. */
export interface Actor {
  principal: Principal | null;
  /** The client's address; null: the socket in the data folder, or Berth itself. */
  source: string | null;
}

/** An actor who is signed in. */
export interface Asker extends Actor {
  principal: Principal;
}

export interface Act {
  /** `noun.verb`, such as `customer.create`; also `login`. */
  action: string;
  target?: string;
  outcome?: AuditOutcome;
  /** Whose thing it was done to, where that is not the actor's customer. */
  customerId?: number;
  /** For a login that was refused: the name that was tried. */
  account?: string;
  detail?: Record<string, unknown>;
}

export function actorOf(request: FastifyRequest): Actor {
  // A Unix socket has no address.
  return { principal: request.principal ?? null, source: request.socket.remoteAddress ? request.ip : null };
}

export function askerOf(request: FastifyRequest): Asker {
  return { ...actorOf(request), principal: request.principal };
}

export async function audit(session: Session, { principal, source }: Actor, act: Act): Promise<void> {
  await session
    .insertInto('audit')
    .values({
      action: act.action,
      outcome: act.outcome ?? 'done',
      account: principal?.account ?? act.account ?? null,
      customer_id: act.customerId ?? principal?.customerId ?? null,
      source,
      target: act.target ?? null,
      detail: JSON.stringify(act.detail ?? {}, wellFormed),
    })
    .execute();
}

/**
 * For `JSON.stringify`: JSON has words for half a character and for the zero one; the database's JSON and text do not.
 */
export function wellFormed(_name: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\ufffd') : value;
}
