/** This Berth as a whole; for administrators. */
import type { KeptStorage, Platform, PlatformHealth } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

export const platformQuery = queryOptions({
  queryKey: [routes.platform],
  queryFn: ({ signal }) => call<Platform>('GET', routes.platform, { signal }),
});

/** Each look may take some seconds, so it is not asked for too often. */
export const healthQuery = queryOptions({
  queryKey: [routes.platformHealth],
  queryFn: ({ signal }) => call<PlatformHealth>('GET', routes.platformHealth, { signal }),
  refetchInterval: 10_000,
});

export const removeKeptStorage = (id: string) =>
  call<KeptStorage>('DELETE', routes.keptStorageOf, { path: { id } });
