/**
 * Labels that prefixes get beyond their own: from CIDR groups (policy.md §4.1) and from names learnt (§4.4).
 * Shorter prefixes hand them down; of equal keys the longest prefix counts, of one prefix the group whose name
 * comes last.
 */
import { type Cidr, cidrOf, ipFromBytes, parseCidrOrIp } from '#kit/ip';
import type { Label, LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import { compareText } from '#kit/order';
import { canonicalName, fqdnRegExp, LABEL_CIDR_GROUP_NAME, type Policy, type PolicyFacts } from '#model';

/** A prefix that somebody gives labels to. */
export interface PrefixLabels {
  readonly prefix: string;
  readonly labels: LabelSet;
}

interface Given {
  readonly length: number;
  /** Orders what is given to prefixes of one length. */
  readonly by: string;
  readonly labels: readonly Label[];
}

/** What prefixes are given. */
export class ExtraLabels {
  readonly #given = new Lpm<Given[]>();

  constructor(policies: readonly Policy[], facts: PolicyFacts, more: readonly PrefixLabels[]) {
    for (const group of facts.cidrGroups) {
      const labels = Object.entries(group.labels).map(([key, value]) => groupLabel(key, value));
      const all = [...labels, groupLabel(LABEL_CIDR_GROUP_NAME + group.name, '')];
      for (const text of group.cidrs) this.#add(text, group.name, all);
    }
    for (const [address, labels] of learntLabels(policies, facts)) this.#add(address, '', labels);
    for (const { prefix, labels } of more) this.#add(prefix, '', labels.labels);
  }

  #add(text: string, by: string, labels: readonly Label[]): void {
    const cidr = parseCidrOrIp(text);
    for (const part of cidr === undefined ? [] : halves(cidr)) {
      const given = this.#given.get(part) ?? [];
      given.push({ length: part.length, by, labels });
      this.#given.set(part, given);
    }
  }

  /** All prefixes that are given anything. */
  prefixes(): readonly Cidr[] {
    return [...this.#given].map(({ cidr }) => cidr);
  }

  /** What these prefixes have together, what counts most last. */
  of(cidrs: readonly Cidr[]): readonly Label[] {
    const given = cidrs.flatMap((cidr) => this.#given.covering(cidr).flatMap(({ value }) => value));
    return given
      .sort((a, b) => a.length - b.length || compareText(a.by, b.by))
      .flatMap(({ labels }) => labels);
  }
}

const groupLabel = (key: string, value: string): Label => ({ source: 'cidrgroup', key, value });

/** A whole family is its world, whose identity is fixed: its halves are prefixes like any other. */
function halves(cidr: Cidr): readonly Cidr[] {
  if (cidr.length > 0) return [cidr];
  const bytes = Uint8Array.from(cidr.ip.bytes);
  bytes[0] = 0x80;
  const upper = ipFromBytes(bytes);
  return upper === undefined ? [] : [cidrOf(cidr.ip, 1), cidrOf(upper, 1)];
}

/** Address → a label for each pattern of the policies that means one of its names. */
function learntLabels(policies: readonly Policy[], { names }: PolicyFacts): Map<string, Label[]> {
  const out = new Map<string, Label[]>();
  if (names.length === 0) return out;
  const patterns = [...fqdnPatterns(policies)].map((pattern) => ({ pattern, regExp: fqdnRegExp(pattern) }));
  const patternsOf = new Map<string, readonly string[]>();
  for (const { name, address } of names) {
    let found = patternsOf.get(name);
    if (found === undefined) {
      const canonical = canonicalName(name);
      found = patterns.filter(({ regExp }) => regExp.test(canonical)).map(({ pattern }) => pattern);
      patternsOf.set(name, found);
    }
    if (found.length === 0) continue;
    const labels = out.get(address) ?? [];
    labels.push(...found.map((key) => ({ source: 'fqdn', key, value: '' })));
    out.set(address, labels);
  }
  return out;
}

function fqdnPatterns(policies: readonly Policy[]): ReadonlySet<string> {
  const patterns = new Set<string>();
  for (const policy of policies) {
    for (const { peers } of policy.specs.flatMap((spec) => spec.rules)) {
      if (peers.kind === 'any') continue;
      for (const selector of peers.selectors) if (selector.kind === 'fqdn') patterns.add(selector.pattern);
    }
  }
  return patterns;
}
