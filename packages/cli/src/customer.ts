/** Customers as options name them. */
import { routes } from '@berth/contract/paths';
import type { Customer } from '@berth/contract';
import type { Client } from './client.ts';
import { findOne } from './listing.ts';
import { printable } from './text.ts';

/** @throws CommandFailure that names the customers there are */
export async function customerId(client: Client, nameOrId: string): Promise<number> {
  return (await findCustomer(client, nameOrId)).id;
}

export function findCustomer(client: Client, nameOrId: string): Promise<Customer> {
  return findOne<Customer>(client, nameOrId, { route: routes.customers, what: 'customer' });
}

/** Who may use a thing of the catalogue, as `--customer` and `--all-customers` say. */
export interface AudienceOptions {
  customer?: string[];
  allCustomers?: true;
}

/** @returns undefined: nothing was said; null: all customers */
export async function audienceOf(
  client: Client,
  { customer, allCustomers }: AudienceOptions,
): Promise<number[] | null | undefined> {
  if (allCustomers) return null;
  if (customer === undefined) return undefined;
  return Promise.all(customer.map((each) => customerId(client, each)));
}

/** The names of customers by their ids; one that is not known any more, or may not be seen, stays a number. */
export async function customerNames(client: Client, ids: number[] | null): Promise<string> {
  if (ids === null) return 'all';
  if (ids.length === 0) return 'none';
  const customers = await client.all<Customer>(routes.customers).catch(() => []);
  return ids.map((id) => printable(customers.find((each) => each.id === id)?.name ?? String(id))).join(', ');
}
