/** Who holds and held which port, and the whole range as it is now. */
import { ListPorts, PortMap, PortPage, routes } from '@berth/contract';
import type { App, Services } from '../http/app.ts';
import { pageOf, readCursor } from '../http/pages.ts';
import { visibleCustomer } from '../accounts/principal.ts';
import { listMappings, restingPorts, usedPorts } from './table.ts';

export function portRoutes(app: App, { database, settings }: Services): void {
  const tags = ['ports'];

  app.get(
    routes.ports,
    {
      schema: {
        summary: 'Who holds and held which port',
        tags,
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

  app.get(
    routes.portMap,
    {
      schema: {
        summary:
          "The whole range of ports as it is now: what is used and by whom, and what rests; of others' only that they are taken",
        tags,
        response: { 200: PortMap },
      },
    },
    async ({ principal }) => {
      const { portRange, portRestSeconds } = settings;
      const [used, resting] = [await usedPorts(database), await restingPorts(database, portRestSeconds)];
      const visible = visibleCustomer(principal);
      const isSeen = (each: { customer_id: number }) => visible === null || each.customer_id === visible;
      const isInRange = (port: number) => port >= portRange.first && port <= portRange.last;
      return {
        ...portRange,
        rest_seconds: portRestSeconds,
        used: used.filter(isSeen).map(({ port, env_id, name, customer, since }) => ({
          port,
          env_id,
          name,
          customer,
          since: since.toISOString(),
        })),
        resting: resting
          .filter(isSeen)
          .map(({ port, env_id, until }) => ({ port, env_id, until: until.toISOString() })),
        taken: [...used, ...resting]
          .filter((each) => !isSeen(each) && isInRange(each.port))
          .map(({ port }) => port)
          .sort((one, other) => one - other),
      };
    },
  );
}
