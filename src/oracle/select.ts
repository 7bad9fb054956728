/** A peer as rules see it, and whether selectors mean it. */
import { assertNever } from '#kit/errors';
import { type Cidr, cidrCovers, parseCidrOrIp } from '#kit/ip';
import type { Label } from '#kit/labels';
import type { Requirement, Selector } from '#model';

/** Who has an address, and what a rule can know of it. */
export interface Peer {
  readonly kind: 'host' | 'node' | 'endpoint' | 'outside' | 'unknown';
  readonly labels: readonly Label[];
  /** The addresses (or prefixes, where only those are known) by which CIDR rules find it; none: they cannot. */
  readonly addresses: readonly Cidr[];
}

/** Whether every requirement holds for these labels (policy.md §3.2). */
export function selects(
  selector: Selector,
  labels: readonly Label[],
  addresses: readonly Cidr[] = [],
): boolean {
  return selector.requirements.every((requirement) => holdsFor(requirement, labels, addresses));
}

function holdsFor(requirement: Requirement, labels: readonly Label[], addresses: readonly Cidr[]): boolean {
  const { source, key, operator, values } = requirement;
  const found = labels
    .filter((label) => label.key === key && (source === 'any' || source === label.source))
    .map((label) => label.value);
  const prefix = source === 'cidr' ? parseCidrOrIp(key.replace(/-/g, ':')) : undefined;
  if (prefix !== undefined && addresses.some((at) => cidrCovers(prefix, at))) found.push('');
  const listed = found.some((value) => values.includes(value));
  switch (operator) {
    case 'In':
      return listed;
    case 'NotIn':
      return !listed;
    case 'Exists':
      return found.length > 0;
    case 'DoesNotExist':
      return found.length === 0;
    default:
      return assertNever(operator);
  }
}
