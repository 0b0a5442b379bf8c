import type { PortMap } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

export const portMapQuery = queryOptions({
  queryKey: [routes.portMap],
  queryFn: ({ signal }) => call<PortMap>('GET', routes.portMap, { signal }),
  refetchInterval: 5000,
});
