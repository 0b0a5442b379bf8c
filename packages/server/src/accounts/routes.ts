/** POST /api/login, GET /api/whoami. */
import { Login, LoginToken, Whoami, routes } from '@berth/contract';
import type { App, Services } from '../http/app.ts';
import { login } from './accounts.ts';

export function accountRoutes(app: App, { database }: Services): void {
  app.post(
    routes.login,
    {
      config: { public: true, rateLimit: { max: 10, timeWindow: '1 minute' } },
      schema: {
        summary: 'A token for an account and its password',
        tags: ['accounts'],
        body: Login,
        response: { 200: LoginToken },
      },
    },
    (request) => login(database, request.body.account, request.body.password),
  );

  app.get(
    routes.whoami,
    { schema: { summary: 'Who is asking', tags: ['accounts'], response: { 200: Whoami } } },
    (request) => {
      const { account, accountId, role, customerId, customer, scopes } = request.principal;
      return {
        account,
        account_id: accountId,
        role,
        customer_id: customerId,
        customer,
        scopes: [...scopes],
      };
    },
  );
}
