/** /api/datasets */
import {
  AddDataset,
  Dataset,
  DatasetName,
  DatasetPage,
  ListDatasets,
  UpdateDataset,
  routes,
} from '@berth/contract';
import Type from 'typebox';
import { actorOf } from '../audit/audit.ts';
import type { App, Services } from '../http/app.ts';
import { addDataset, changeDataset, datasetOf, datasetsOf, removeDataset } from './datasets.ts';

const params = Type.Object({ name: DatasetName });
const tags = ['datasets'];

export function datasetRoutes(app: App, services: Services): void {
  const { database } = services;

  app.get(
    routes.datasets,
    {
      schema: {
        summary: 'Data sets, by name; a member sees those that it may mount',
        tags,
        querystring: ListDatasets,
        response: { 200: DatasetPage },
      },
    },
    (request) => datasetsOf(database, request.principal, request.query),
  );

  app.post(
    routes.datasets,
    {
      config: { admin: true },
      schema: {
        summary: 'Offer a folder of the host or a volume as a data set',
        tags,
        body: AddDataset,
        response: { 201: Dataset },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await addDataset(services, actorOf(request), request.body)),
  );

  app.get(
    routes.dataset,
    { schema: { summary: 'One data set', tags, params, response: { 200: Dataset } } },
    (request) => datasetOf(database, request.principal, request.params.name),
  );

  app.patch(
    routes.dataset,
    {
      config: { admin: true },
      schema: {
        summary: 'Change a data set; environments take it over at their next start',
        tags,
        params,
        body: UpdateDataset,
        response: { 200: Dataset },
      },
    },
    (request) => changeDataset(database, actorOf(request), request.params.name, request.body),
  );

  app.delete(
    routes.dataset,
    {
      config: { admin: true },
      schema: {
        summary: 'Offer it no longer; its files stay where they are',
        tags,
        params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await removeDataset(database, actorOf(request), request.params.name);
      return reply.code(204).send(null);
    },
  );
}
