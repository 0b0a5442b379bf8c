/** Who is asking, and what of others' it may see. */
import type { Role } from '@berth/contract';

export interface Principal {
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
