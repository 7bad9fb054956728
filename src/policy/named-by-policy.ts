/** What policies name of the outside: prefixes, which stand for themselves, and patterns of DNS names. */
import { assertNever } from '#kit/errors';
import type { Cidr } from '#kit/ip';
import type { PeerSelector, Policy } from '#model';
import { prefixOfKey } from './match.ts';

/** What one policy names, whose peers are expanded. */
export interface NamedByPolicy {
  /** Every prefix that a rule, an except or a selector's `cidr:` key names. */
  readonly prefixes: readonly Cidr[];
  readonly patterns: readonly string[];
}

export function namedByPolicy({ specs }: Policy): NamedByPolicy {
  const selectors = specs.flatMap(({ rules }) =>
    rules.flatMap(({ peers }) => (peers.kind === 'any' ? [] : peers.selectors)),
  );
  return {
    prefixes: selectors.flatMap(selectorPrefixes),
    patterns: selectors.flatMap((selector) => (selector.kind === 'fqdn' ? selector.pattern : [])),
  };
}

function selectorPrefixes(selector: PeerSelector): readonly Cidr[] {
  switch (selector.kind) {
    case 'cidr':
      return [selector.cidr, ...selector.except];
    case 'labels':
      return selector.selector.requirements
        .filter((requirement) => requirement.source === 'cidr')
        .map((requirement) => prefixOfKey(requirement.key))
        .filter((cidr) => cidr !== undefined);
    case 'cidrGroup':
      return selector.except;
    case 'entity':
    case 'fqdn':
    case 'service':
    case 'cloudGroup':
      return [];
    default:
      return assertNever(selector);
  }
}
