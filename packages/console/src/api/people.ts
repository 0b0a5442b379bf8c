/** Customers, their accounts, and how much each may use; for administrators. */
import type {
  Account,
  CreateAccount,
  CreateCustomer,
  CreatedAccount,
  Customer,
  Quota,
  SetLimits,
  UpdateAccount,
  UpdateCustomer,
} from '@berth/contract';
import { routes } from '@berth/contract/paths';
import { queryOptions } from '@tanstack/react-query';
import { call } from './client.ts';

const one = (id: number) => ({ path: { id: String(id) } });

export const customerQuery = (id: number) =>
  queryOptions({
    queryKey: [routes.customers, 'one', id],
    queryFn: ({ signal }) => call<Customer>('GET', routes.customer, { ...one(id), signal }),
  });

export const createCustomer = (body: CreateCustomer) => call<Customer>('POST', routes.customers, { body });
export const updateCustomer = (id: number, body: UpdateCustomer) =>
  call<Customer>('PATCH', routes.customer, { ...one(id), body });
export const deleteCustomer = (id: number) => call<string>('DELETE', routes.customer, one(id));

export const createAccount = (body: CreateAccount) => call<CreatedAccount>('POST', routes.accounts, { body });
export const updateAccount = (id: number, body: UpdateAccount) =>
  call<Account>('PATCH', routes.account, { ...one(id), body });
export const deleteAccount = (id: number) => call<string>('DELETE', routes.account, one(id));

export const setLimits = (id: number, body: SetLimits) =>
  call<Quota>('PUT', routes.quota, { ...one(id), body });
