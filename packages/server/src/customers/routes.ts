/** /api/customers */
import {
  CreateCustomer,
  Customer,
  CustomerPage,
  ListCustomers,
  NumericId,
  UpdateCustomer,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { createCustomer, customersPage, getCustomer, removeCustomer, updateCustomer } from './customers.ts';

export function customerRoutes(app: App, services: Services): void {
  const { database } = services;
  const tags = ['customers'];
  const params = Type.Object({ id: NumericId });
  const config = { admin: true };

  app.get(
    routes.customers,
    {
      config,
      schema: {
        summary: 'All customers',
        tags,
        querystring: ListCustomers,
        response: { 200: CustomerPage },
      },
    },
    (request) => customersPage(database, request.query),
  );

  app.post(
    routes.customers,
    {
      config,
      schema: { summary: 'Make a customer', tags, body: CreateCustomer, response: { 201: Customer } },
    },
    async (request, reply) =>
      reply.code(201).send(await createCustomer(database, actorOf(request), request.body.name)),
  );

  app.get(
    routes.customer,
    { config, schema: { summary: 'One customer', tags, params, response: { 200: Customer } } },
    (request) => getCustomer(database, request.params.id),
  );

  app.patch(
    routes.customer,
    {
      config,
      schema: {
        summary: 'Rename it, or switch passwords off or on for all of its environments',
        tags,
        params,
        body: UpdateCustomer,
        response: { 200: Customer },
      },
    },
    (request) => updateCustomer(services, actorOf(request), request.params.id, request.body),
  );

  app.delete(
    routes.customer,
    {
      config,
      schema: {
        summary: 'Delete it with its accounts; it must have no environments and no kept files',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeCustomer(database, request.principal, actorOf(request), request.params.id);
      return reply.code(204).send(null);
    },
  );
}
