/** GET /api/events */
import { routes } from '@berth/contract';
import Type from 'typebox';
import { visibleCustomer } from '../accounts/principal.ts';
import type { App, Services } from '../http/app.ts';
import { openEventStream } from '../http/server-sent-events.ts';
import { EnvironmentFeed } from './feed.ts';

const description = `"environment": one that is new or changed, as GET shows it now. "gone": {"env_id"} of one that was
deleted. "reload": load the list now; what changes from then on follows. It comes first, unless the client says with
Last-Event-ID what it saw last and that was not long ago: then what changed meanwhile comes. The stream ends when whoever
asked for it is signed out.`;

export function eventRoutes(app: App, services: Services): void {
  const feed = new EnvironmentFeed(services);

  app.get(
    routes.events,
    {
      schema: {
        summary: 'Changes of the environments that you see, as server-sent events',
        description,
        tags: ['environments'],
        produces: ['text/event-stream'],
        response: { 200: Type.String() },
      },
    },
    (request, reply) => {
      const lastSeen = request.headers['last-event-id']?.toString();
      const stream = openEventStream(request, reply, services, () => feed.heartbeat(stream));
      feed.add(stream, visibleCustomer(request.principal), lastSeen);
    },
  );
}
