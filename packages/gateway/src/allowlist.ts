/**
 * Who may come from where: the blocks of an environment and of its customer, either of which lets somebody in. Without
 * a block in both everybody may.
 */
import type { EnvironmentRoute } from '@berth/contract';
import { parseNetwork } from '@berth/ssh';
import type { Network } from '@berth/ssh';
import type { GatewayState } from './state.ts';

/** Reading a block costs more than asking it. A list that changes is another array. */
const parsed = new WeakMap<readonly string[], readonly Network[]>();

/** @param source as `sourceOf` gives it */
export function isInBlocks(source: string, blocks: readonly string[]): boolean {
  let networks = parsed.get(blocks);
  if (networks === undefined) {
    networks = blocks.map((block) => parseNetwork(block));
    parsed.set(blocks, networks);
  }
  return networks.some(({ contains }) => contains(source));
}

export function mayReach(
  state: GatewayState,
  { allowlist, customer }: EnvironmentRoute,
  source: string,
): boolean {
  const ofCustomer = state.customer(customer)?.allowlist ?? [];
  if (allowlist.length === 0 && ofCustomer.length === 0) return true;
  return isInBlocks(source, allowlist) || isInBlocks(source, ofCustomer);
}

/** Whether there is any environment of the customer that may be reached: who may not reach one need not jump. */
export function mayReachAny(state: GatewayState, customer: number, source: string): boolean {
  const blocks = state.customer(customer)?.allowlist ?? [];
  if (blocks.length === 0 || isInBlocks(source, blocks)) return true;
  for (const environment of state.environments()) {
    if (environment.customer === customer && isInBlocks(source, environment.allowlist)) return true;
  }
  return false;
}
