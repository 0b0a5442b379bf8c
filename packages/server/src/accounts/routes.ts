/** /api/accounts */
import {
  Account,
  AccountPage,
  CreateAccount,
  CreatedAccount,
  ListAccounts,
  NumericId,
  UpdateAccount,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { accountsPage, createAccount, getAccount, removeAccount, updateAccount } from './accounts.ts';

export function accountRoutes(app: App, services: Services): void {
  const { database } = services;
  const tags = ['accounts'];
  const params = Type.Object({ id: NumericId });
  const admin = { admin: true };

  app.get(
    routes.accounts,
    {
      schema: {
        summary: 'The accounts of your customer; for administrators of all',
        tags,
        querystring: ListAccounts,
        response: { 200: AccountPage },
      },
    },
    (request) => accountsPage(database, request.principal, request.query),
  );

  app.post(
    routes.accounts,
    {
      config: admin,
      schema: {
        summary: 'Make an account; a password that Berth makes is shown once',
        tags,
        body: CreateAccount,
        response: { 201: CreatedAccount },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await createAccount(services, request.principal, actorOf(request), request.body)),
  );

  app.get(
    routes.account,
    { schema: { summary: 'One account', tags, params, response: { 200: Account } } },
    (request) => getAccount(database, request.principal, request.params.id),
  );

  app.patch(
    routes.account,
    {
      config: admin,
      schema: {
        summary: 'Change its role or its password',
        tags,
        params,
        body: UpdateAccount,
        response: { 200: Account },
      },
    },
    (request) =>
      updateAccount(services, request.principal, actorOf(request), request.params.id, request.body),
  );

  app.delete(
    routes.account,
    {
      config: admin,
      schema: {
        summary: 'Delete it with its tokens and public keys; environments belong to the customer and stay',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeAccount(services, request.principal, actorOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}
