/** What environments are made of: images, data sets, kept files; and how much a customer may use. */
import type {
  CreateEnvironment,
  CreatedEnvironment,
  CustomerPage,
  DatasetPage,
  ImagePage,
  KeptStoragePage,
  Quota,
} from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

/** More than that are searched on their own pages. */
const limit = 1000;

export const imagesQuery = queryOptions({
  queryKey: [routes.images, 'all'],
  queryFn: ({ signal }) => call<ImagePage>('GET', routes.images, { query: { limit }, signal }),
});

export const datasetsQuery = queryOptions({
  queryKey: [routes.datasets, 'all'],
  queryFn: ({ signal }) => call<DatasetPage>('GET', routes.datasets, { query: { limit }, signal }),
});

export const customersQuery = queryOptions({
  queryKey: [routes.customers, 'all'],
  queryFn: ({ signal }) => call<CustomerPage>('GET', routes.customers, { query: { limit }, signal }),
});

export const keptStorageQuery = (customer_id: number) =>
  queryOptions({
    queryKey: [routes.keptStorage, 'all', customer_id],
    queryFn: ({ signal }) =>
      call<KeptStoragePage>('GET', routes.keptStorage, { query: { limit, customer_id }, signal }),
  });

export const quotaQuery = (customer: number) =>
  queryOptions({
    queryKey: [routes.quotas, 'one', customer],
    queryFn: ({ signal }) => call<Quota>('GET', routes.quota, { path: { id: String(customer) }, signal }),
  });

export const createEnvironment = (body: CreateEnvironment) =>
  call<CreatedEnvironment>('POST', routes.environments, { body });
