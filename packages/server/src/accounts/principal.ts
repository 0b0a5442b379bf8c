/** Who is asking, and what of others' it may see. */
import type { Role, Scope } from '@berth/contract';

export interface Principal {
  /** The token or session that asks; null: the socket in the data folder. */
  tokenId: number | null;
  /** What that token may do, within what its account's role may. */
  scopes: readonly Scope[];
  accountId: number;
  account: string;
  role: Role;
  customerId: number;
  customer: string;
}

/** The customer whose things the account sees; null: everybody's. */
export function visibleCustomer(principal: Principal): number | null {
  return principal.role === 'admin' ? null : principal.customerId;
}

/** A member's token administers nothing, even one that was made while its account was an administrator's. */
export function scopesWithin(role: Role, scopes: readonly Scope[]): Scope[] {
  return scopes.filter((scope) => scope !== 'admin' || role === 'admin');
}
