/** GET /api/audit: who did what, as pages or as JSON Lines; its export, and the verification of its chain. */
import { Readable } from 'node:stream';
import {
  AuditExportLine,
  AuditPage,
  AuditVerifyLine,
  ExportAudit,
  ListAudit,
  VerifyAudit,
  routes,
} from '@berth/contract';
import type { AuditRecord } from '@berth/contract';
import type { Static } from 'typebox';
import type { Session } from '../database/database.ts';
import type { App, Services } from '../http/app.ts';
import { readMoment } from '../http/moments.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import { canonicalJson } from './canonical.ts';
import { exportAudit, listAudit } from './table.ts';
import type { AuditFilters, ListedAudit } from './table.ts';
import { verifyAudit } from './verify.ts';

const jsonLines = 'application/jsonl';
const batch = 1000;

export function auditRoutes(app: App, { database, stopping }: Services): void {
  const tags = ['audit'];

  app.get(
    routes.audit,
    {
      config: { admin: true },
      schema: {
        summary: `The audit log, newest first; with "Accept: ${jsonLines}" all that matches, one record a line`,
        tags,
        querystring: ListAudit,
        produces: ['application/json', jsonLines],
        response: { 200: AuditPage },
      },
    },
    async (request, reply) => {
      const { limit = 100, cursor } = request.query;
      const filters = filtersOf(request.query);
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

  app.get(
    routes.auditExport,
    {
      config: { admin: true },
      schema: {
        summary: 'The audit log as JSON Lines, oldest first, each record as its seal covers it',
        tags,
        querystring: ExportAudit,
        produces: [jsonLines],
        response: { 200: AuditExportLine },
      },
    },
    async (request, reply) => {
      const filters = filtersOf(request.query);
      const first = await exportAudit(database, filters, 0, batch);
      return reply
        .type(jsonLines)
        .send(Readable.from(exportLines(database, filters, first)) as unknown as AuditExportLine);
    },
  );

  app.get(
    routes.auditVerify,
    {
      config: { admin: true },
      schema: {
        summary: "Verify the audit log's chain: lines of progress, and at last the verdict",
        tags,
        querystring: VerifyAudit,
        produces: [jsonLines],
        response: { 200: AuditVerifyLine },
      },
    },
    async (request, reply) =>
      reply
        .type(jsonLines)
        .send(Readable.from(verdictLines(request.query.from)) as unknown as AuditVerifyLine),
  );

  async function* verdictLines(from: string | undefined): AsyncGenerator<string> {
    for await (const line of verifyAudit(database, from)) {
      stopping.throwIfAborted();
      yield `${JSON.stringify(line)}\n`;
    }
  }
}

function filtersOf(query: Static<typeof ExportAudit>): AuditFilters {
  const { action, account, customer_id, target, source, outcome } = query;
  return {
    action,
    account,
    customerId: customer_id,
    target,
    source,
    outcome,
    since: readMoment('since', query.since),
    until: readMoment('until', query.until),
  };
}

/** @param rows the first batch, which was read before the answer began */
async function* lines(session: Session, filters: AuditFilters, rows: ListedAudit[]): AsyncGenerator<string> {
  for (let read = rows; ;) {
    if (read.length > 0) yield `${read.map((row) => JSON.stringify(present(row))).join('\n')}\n`;
    const last = read.at(-1);
    if (last === undefined || read.length < batch) return;
    read = await listAudit(session, filters, last.id, batch);
  }
}

/** Members sorted, so that a line without its `seal_id` is what the seal covers. */
async function* exportLines(
  session: Session,
  filters: AuditFilters,
  rows: Awaited<ReturnType<typeof exportAudit>>,
): AsyncGenerator<string> {
  for (let read = rows; ;) {
    if (read.length > 0) yield `${read.map(canonicalJson).join('\n')}\n`;
    const last = read.at(-1);
    if (last === undefined || read.length < batch) return;
    read = await exportAudit(session, filters, last.id, batch);
  }
}

function present({ at, ...row }: ListedAudit): AuditRecord {
  return { ...row, at: at.toISOString() };
}
