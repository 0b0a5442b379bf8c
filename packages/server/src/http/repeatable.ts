/**
 * Requests that may be sent again: with the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) a
 * request is carried out once, and whoever repeats it, since no answer came, gets the answer of the first.
 *
 * Its row is written before the request is carried out and gets the answer before that leaves. A row without an answer
 * says that somebody is at work on it; where the server was killed meanwhile, it is free again after a minute.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { BerthError } from '@berth/contract';
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import type { Session } from '../database/database.ts';
import type { App, Services } from './app.ts';

const keyHeader = 'idempotency-key';
const replayedHeader = 'idempotency-replayed';
const methods: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE'];

const longestWorkSeconds = 60;
export const keptHours = 24;

const keySchema = {
  type: 'string',
  pattern: '^[\\x20-\\x7e]+$',
  maxLength: 255,
  description: 'a new value, such as a UUID, for each new request; the same one for a repetition of it',
};

/**
 * Writes the answer down in the transaction of the act, so that neither exists without the other.
 *
 * @throws BerthError `request_underway` when the work took so long that a repetition has begun it anew
 */
export type Remember = (session: Session, status: number, answer: object) => Promise<void>;

/** A row that this request is to answer. */
interface Claim {
  accountId: number;
  key: string;
  claimedAt: Date;
  remembered: boolean;
}

interface Answer {
  type: string | null;
  body: string;
}

const purpose = ({ accountId, key }: Pick<Claim, 'accountId' | 'key'>) => `answer:${accountId}:${key}`;

declare module 'fastify' {
  interface FastifyRequest {
    claim: Claim | undefined;
    remember: Remember | undefined;
  }
}

/** undefined for a request without the header. */
export function rememberOf(request: FastifyRequest): Remember | undefined {
  return request.remember;
}

export function repeatableRequests(app: App, { database, keyRing, logger }: Services): void {
  app.decorateRequest('claim');
  app.decorateRequest('remember');

  app.addHook('onRoute', (route) => {
    if (!methods.includes(String(route.method)) || route.config?.public === true) return;
    const headers = { type: 'object', properties: { [keyHeader]: keySchema } };
    route.schema = { ...route.schema, headers: route.schema?.headers ?? headers };
  });

  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers[keyHeader];
    const { principal } = request;
    if (typeof key !== 'string' || principal === undefined || !methods.includes(request.method)) return;
    if (request.body instanceof Readable) return; // What is read as it comes cannot be compared.
    const owner = { accountId: principal.accountId, key };
    const found = await claim(database, owner, hashOf(request));
    if ('claimedAt' in found) {
      request.claim = { ...owner, claimedAt: found.claimedAt, remembered: false };
      request.remember = (session, status, answer) =>
        rememberIn(session, request.claim as Claim, status, {
          type: 'application/json; charset=utf-8',
          body: JSON.stringify(answer),
        });
      return;
    }
    const { type, body } = JSON.parse(keyRing.open(found.answer, purpose(owner))) as Answer;
    if (type !== null) reply.type(type);
    return reply.code(found.status).header(replayedHeader, 'true').send(body);
  });

  const rememberIn = async (session: Session, claimed: Claim, status: number, answer: Answer) => {
    const { accountId, key, claimedAt } = claimed;
    const { numUpdatedRows } = await session
      .updateTable('repeatable_requests')
      .set({ status, answer: keyRing.seal(JSON.stringify(answer), purpose(claimed)) })
      .where('account_id', '=', accountId)
      .where('key', '=', key)
      .where('created_at', '=', claimedAt)
      .executeTakeFirst();
    if (numUpdatedRows !== 1n) throw underway();
    claimed.remembered = true;
  };

  app.addHook('onSend', async (request, reply, payload) => {
    const { claim: claimed } = request;
    if (!claimed || claimed.remembered) return;
    const body = payload === undefined || payload === null ? '' : payload;
    try {
      if (reply.statusCode >= 500 || typeof body !== 'string') {
        await release(database, claimed);
      } else {
        const type = reply.getHeader('content-type');
        await rememberIn(database, claimed, reply.statusCode, {
          type: type === undefined ? null : String(type),
          body,
        });
      }
    } catch (error) {
      // The act is done: its answer goes out, remembered or not.
      logger.warn({ error: (error as Error).message }, 'an answer could not be kept for a repetition');
    }
  });
}

/** @throws BerthError `request_differs`, `request_underway` */
async function claim(
  session: Session,
  { accountId, key }: Pick<Claim, 'accountId' | 'key'>,
  requestHash: Buffer,
): Promise<{ claimedAt: Date } | { status: number; answer: string }> {
  for (;;) {
    // As exact as a Date, since it is compared with one.
    const createdAt = sql<Date>`date_trunc('milliseconds', clock_timestamp())`;
    const age = (unit: string, count: number) =>
      sql<Date>`clock_timestamp() - ${`${count} ${unit}`}::interval`;
    const mine = await session
      .insertInto('repeatable_requests')
      .values({ account_id: accountId, key, request_hash: requestHash, created_at: createdAt })
      .onConflict((conflict) =>
        conflict
          .columns(['account_id', 'key'])
          .doUpdateSet({ request_hash: requestHash, status: null, answer: null, created_at: createdAt })
          .where((e) =>
            e.or([
              e('repeatable_requests.created_at', '<', age('hours', keptHours)),
              e.and([
                e('repeatable_requests.status', 'is', null),
                e('repeatable_requests.created_at', '<', age('seconds', longestWorkSeconds)),
              ]),
            ]),
          ),
      )
      .returning('created_at')
      .executeTakeFirst();
    if (mine) return { claimedAt: mine.created_at };
    const theirs = await session
      .selectFrom('repeatable_requests')
      .select(['request_hash', 'status', 'answer'])
      .where('account_id', '=', accountId)
      .where('key', '=', key)
      .executeTakeFirst();
    // Gone between the two statements: it failed, so that this one is the first.
    if (!theirs) continue;
    if (!requestHash.equals(theirs.request_hash)) {
      throw new BerthError(
        'request_differs',
        `Idempotency-Key: ${JSON.stringify(key)} came with another method, path or body before.`,
        { field: 'Idempotency-Key' },
      );
    }
    if (theirs.status === null || theirs.answer === null) throw underway();
    return { status: theirs.status, answer: theirs.answer };
  }
}

function underway(): BerthError {
  return new BerthError(
    'request_underway',
    'A request with this Idempotency-Key is being answered just now.',
    {
      field: 'Idempotency-Key',
    },
  );
}

async function release(session: Session, { accountId, key, claimedAt }: Claim): Promise<void> {
  await session
    .deleteFrom('repeatable_requests')
    .where('account_id', '=', accountId)
    .where('key', '=', key)
    .where('created_at', '=', claimedAt)
    .execute();
}

function hashOf({ method, url, body }: FastifyRequest): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([method, url, body ?? null]))
    .digest();
}
