/** GET /api/audit: who did what, as pages or as JSON Lines. */
import { Readable } from 'node:stream';
import { AuditPage, ListAudit, routes } from '@berth/contract';
import type { AuditRecord } from '@berth/contract';
import type { Session } from '../database/database.ts';
import type { AuditRow } from '../database/schema.ts';
import type { App, Services } from '../http/app.ts';
import { readMoment } from '../http/moments.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import { listAudit } from './table.ts';
import type { AuditFilters } from './table.ts';

const jsonLines = 'application/jsonl';
const batch = 1000;

export function auditRoutes(app: App, { database }: Services): void {
  app.get(
    routes.audit,
    {
      config: { admin: true },
      schema: {
        summary: `The audit log, newest first; with "Accept: ${jsonLines}" all that matches, one record a line`,
        tags: ['audit'],
        querystring: ListAudit,
        produces: ['application/json', jsonLines],
        response: { 200: AuditPage },
      },
    },
    async (request, reply) => {
      const { limit = 100, cursor, action, account, customer_id, target, outcome } = request.query;
      const filters: AuditFilters = {
        action,
        account,
        customerId: customer_id,
        target,
        outcome,
        since: readMoment('since', request.query.since),
        until: readMoment('until', request.query.until),
      };
      const before = readCursor(cursor, ['number'])?.[0] as number | undefined;
      if (request.headers.accept?.includes(jsonLines)) {
        const first = await listAudit(database, filters, before, batch);
        return reply
          .type(jsonLines)
          .send(Readable.from(lines(database, filters, first)) as unknown as AuditPage);
      }
      const rows = await listAudit(database, filters, before, limit + 1);
      return pageOf(rows, limit, ({ id }) => [id], present);
    },
  );
}

/** @param rows the first batch, which was read before the answer began */
async function* lines(session: Session, filters: AuditFilters, rows: AuditRow[]): AsyncGenerator<string> {
  for (let read = rows; ;) {
    if (read.length > 0) yield `${read.map((row) => JSON.stringify(present(row))).join('\n')}\n`;
    const last = read.at(-1);
    if (last === undefined || read.length < batch) return;
    read = await listAudit(session, filters, last.id, batch);
  }
}

function present({ at, ...row }: AuditRow): AuditRecord {
  return { ...row, at: at.toISOString() };
}
