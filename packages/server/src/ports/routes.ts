/** GET /api/ports: who holds and held which port. */
import { ListPorts, PortPage, routes } from '@berth/contract';
import type { App, Services } from '../http/app.ts';
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
      const { limit = 200, cursor, status } = request.query;
      const rows = await listMappings(database, {
        customerId: visibleCustomer(request.principal),
        status,
        before: cursor === undefined ? undefined : Number(cursor),
        limit: limit + 1,
      });
      const items = rows.slice(0, limit);
      return {
        items: items.map((row) => ({
          ...row,
          allocated_at: row.allocated_at.toISOString(),
          released_at: row.released_at?.toISOString() ?? null,
        })),
        next_cursor: rows.length > limit ? String(items.at(-1)?.id) : null,
      };
    },
  );
}
