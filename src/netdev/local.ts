/** The node's own addresses (HF-1.4). Pure. */
import type { AddressRow, LocalAddressRow, RouteRow } from '#model';

const TYPE_LOCAL = 2;

/**
 * Every address that the kernel delivers here: those of all devices, and single addresses of local routes
 * (`ip route add local`), which no device has. One row an address; on several devices, ifindex 0.
 */
export function localAddresses(
  addresses: Iterable<AddressRow>,
  routes: Iterable<RouteRow>,
): readonly LocalAddressRow[] {
  const found = new Map<string, number>();
  const add = (address: string, ifindex: number) => {
    const known = found.get(address);
    found.set(address, known === undefined || known === ifindex ? ifindex : 0);
  };
  for (const { address, ifindex } of addresses) add(address, ifindex);
  for (const { type, prefix, ifindex, family } of routes) {
    const [address = '', length] = prefix.split('/');
    if (type === TYPE_LOCAL && length === (family === 4 ? '32' : '128') && !found.has(address))
      add(address, ifindex);
  }
  return [...found].map(([address, ifindex]) => ({ address, ifindex }));
}
