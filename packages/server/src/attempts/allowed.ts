/**
 * Who may come from where: the blocks of an environment and of its customer, either of which lets somebody in. Attempts
 * are decided by it, and what lives on within the server is looked at again when a list changes.
 */
import { parseNetwork } from '@berth/ssh';
import type { Network } from '@berth/ssh';
import type { Directory, KnownEnvironment } from '../control/directory.ts';

const networks = new WeakMap<readonly string[], Network[]>();

/** No entry in any: everybody is. The directory hands out the same list until it changes. */
export function isAllowed(source: string, ...lists: readonly string[][]): boolean {
  if (lists.every((list) => list.length === 0)) return true;
  return lists.some((list) => {
    const read = networks.get(list) ?? list.map((each) => parseNetwork(each));
    networks.set(list, read);
    return read.some((network) => network.contains(source));
  });
}

/** By both lists, as the directory has them now. */
export function mayComeFrom(
  directory: Directory,
  { allowlist, customerId }: KnownEnvironment,
  source: string,
): boolean {
  return isAllowed(source, allowlist, directory.customer(customerId)?.allowlist ?? []);
}
