/** From where a customer's environments can be reached, and which addresses are kept out for a while. */
import type { AllowlistCheck } from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

/**
 * Whether an address gets in where only the customer's own entries hold.
 *
 * @param address empty: this browser's
 * @param adding as if that network were in the list; empty: as it is
 */
export const customerCheckQuery = (customer_id: number, address: string, adding: string) =>
  queryOptions({
    queryKey: [routes.allowlist, 'check', customer_id, address, adding],
    queryFn: ({ signal }) =>
      call<AllowlistCheck>('GET', routes.allowlistCheck, { query: { customer_id, address, adding }, signal }),
  });

export const liftBan = (id: number) => call<string>('DELETE', routes.ban, { path: { id: String(id) } });
