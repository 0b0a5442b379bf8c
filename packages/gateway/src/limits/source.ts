/**
 * Where a connection comes from, in the one form in which it is compared and shown: that of the contract's networks, in
 * which allowlists are too. What limits count by is its `countedSource`.
 */
import { canonicalAddress } from '@berth/contract/network';

/**
 * @param address as a socket has it, perhaps with a zone
 * @returns undefined when the text is no address
 */
export function sourceOf(address: string): string | undefined {
  const [plain = ''] = address.split('%');
  return canonicalAddress(plain);
}
