/** GET /api/ports: who holds and held which port. */
import { ListPorts, PortPage, routes } from '@berth/contract';
import type { App, Services } from '../http/app.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import { visibleCustomer } from '../accounts/principal.ts';
import { listMappings } from './table.ts';

export function portRoutes(app: App, { database }: Services): void {
  app.get(
    routes.ports,
    {
      schema: {
        summary: 'Who holds and held which port',
        tags: ['ports'],
        querystring: ListPorts,
        response: { 200: PortPage },
      },
    },
    async (request) => {
      const {
        limit = 100,
        cursor,
        status,
        port,
        env_id,
        customer_id,
        sort = '-allocated_at',
      } = request.query;
      const by = sort.endsWith('external_port') ? 'external_port' : 'id';
      const [value, id] = (readCursor(cursor, ['number', 'number']) ?? []) as number[];
      const rows = await listMappings(database, {
        visibleTo: visibleCustomer(request.principal),
        customerId: customer_id,
        envId: env_id,
        port,
        status,
        by,
        descending: sort.startsWith('-'),
        after: value === undefined || id === undefined ? undefined : { value, id },
        limit: limit + 1,
      });
      return pageOf(
        rows,
        limit,
        (row) => [row[by], row.id],
        (row) => ({
          ...row,
          allocated_at: row.allocated_at.toISOString(),
          released_at: row.released_at?.toISOString() ?? null,
        }),
      );
    },
  );
}
