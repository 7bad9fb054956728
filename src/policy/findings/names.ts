/** Findings about DNS names: whether they are learnt at all, and which ones a pattern means (policy.md §4.4, §6.3). */
import { fqdnMatches, PORT_PROTOCOLS, type PolicySpec, type Rule, type Warning } from '#model';
import { type Ground, type Judgement, peersOf, type SpecAt } from './ground.ts';
import type { GroundNode } from './ground-node.ts';
import { Patterns } from './patterns.ts';
import type { SubjectId } from '../selection.ts';

const DNS_PORT = 53;
/** Where the names of Services end. */
const CLUSTER_DOMAIN = 'cluster.local';
/** Fewer dots than this, and resolvers of pods try their search list first. */
const NDOTS = 5;

export const nameFindings: Judgement = (at, ground) => [
  ...unlearnt(at),
  ...at.spec.rules.flatMap((rule) => sharedAddresses(rule, ground)),
  ...depths(at.spec),
  ...search(at),
];

/** The patterns that a rule asks a DNS proxy to let pass; undefined for other rules. */
function dnsPatterns({ proxy }: Rule): readonly string[] | undefined {
  return proxy?.l7?.kind === 'dns' ? proxy.l7.rules : undefined;
}

function selectedNames(rule: Rule): readonly string[] {
  return peersOf(rule).flatMap((peer) => (peer.kind === 'fqdn' ? [peer.pattern] : []));
}

/** Subjects that select by name without a DNS rule learn nothing, those that may not ask even less. */
function unlearnt({ spec, selected }: SpecAt): readonly Warning[] {
  const rule = spec.rules.find((one) => selectedNames(one).length > 0);
  if (rule === undefined) return [];
  const deaf = selected.flatMap(({ node, samples }) =>
    samples.filter((subject) => !hasDnsRule(node, subject)).map((subject) => ({ node, subject })),
  );
  if (deaf.length === 0) return [];
  const found: Warning[] = [
    {
      code: 'fqdn-without-dns-rule',
      message: 'selects by DNS name, but no DNS rule of the same subjects lets names be learnt',
      at: rule.at,
      hint: 'allow DNS at egress with toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]',
    },
  ];
  if (deaf.some(({ node, subject }) => !mayAsk(node, subject))) {
    const message = 'selects by DNS name, but its subjects may ask no DNS server';
    found.push({ code: 'fqdn-without-dns-egress', message, at: rule.at });
  }
  return found;
}

function hasDnsRule(node: GroundNode, subject: SubjectId): boolean {
  return node.specsOf(subject).some((spec) => spec.rules.some((rule) => dnsPatterns(rule) !== undefined));
}

/** Whether port 53 is open to anybody. */
function mayAsk(node: GroundNode, subject: SubjectId): boolean {
  return [PORT_PROTOCOLS.UDP, PORT_PROTOCOLS.TCP].some((protocol) =>
    node.mayReach(subject, protocol, DNS_PORT),
  );
}

/** A name that was learnt at an address of another one is admitted with it. */
function sharedAddresses(rule: Rule, { facts }: Ground): readonly Warning[] {
  const patterns = selectedNames(rule);
  if (patterns.length === 0 || facts.names.length === 0 || (rule.proxy?.serverNames.length ?? 0) > 0)
    return [];
  const isMeant = (name: string) => patterns.some((pattern) => fqdnMatches(pattern, name));
  const meant = new Map(
    facts.names.filter(({ name }) => isMeant(name)).map((row) => [row.address, row.name]),
  );
  const other = facts.names.find(({ name, address }) => meant.has(address) && !isMeant(name));
  if (other === undefined) return [];
  const message = `${other.name} has the address ${other.address} of ${meant.get(other.address)}, and is admitted with it`;
  return [{ code: 'fqdn-shared-address', message, at: rule.at }];
}

function depths({ rules }: PolicySpec): readonly Warning[] {
  // Names are selected at egress only.
  const selected = new Patterns(rules.flatMap(selectedNames));
  const asked = new Patterns(rules.flatMap((rule) => dnsPatterns(rule) ?? []));
  return rules.flatMap((rule) => {
    const patterns = dnsPatterns(rule);
    return patterns === undefined ? depth(rule, selectedNames(rule), selected) : depth(rule, patterns, asked);
  });
}

/** `*.a.io` where neither `a.io` nor what is deeper is named beside it. */
function depth(rule: Rule, own: readonly string[], beside: Patterns): readonly Warning[] {
  return own.flatMap((pattern): Warning[] => {
    const [, stars, parent] = /^(\*+)\.([^*]+)$/.exec(pattern) ?? [];
    if (stars === undefined || parent === undefined) return [];
    const isDeep = stars.length > 1;
    const isOfCluster = parent === CLUSTER_DOMAIN || parent.endsWith(`.${CLUSTER_DOMAIN}`);
    // Names of Services are two labels deeper than this; the domain itself is nobody's name.
    if (isOfCluster) {
      const sample = `web.shop.svc.${CLUSTER_DOMAIN}`;
      if (beside.mean(sample)) return [];
      const message = `${pattern} means names of one more label, not ${sample}`;
      const hint = `write **.${parent}`;
      return [{ code: 'wildcard-depth', message, at: rule.at, hint }];
    }
    if (beside.mean(parent)) return [];
    const message = isDeep
      ? `${pattern} means names below ${parent}, not ${parent} itself`
      : `${pattern} means neither ${parent} itself, nor x.y.${parent}`;
    const hint = `add matchName: ${parent}${isDeep ? '' : ', or write **. for deeper names'}`;
    return [{ code: 'wildcard-depth', message, at: rule.at, hint }];
  });
}

/** Names whose expansions by a pod's search list are refused: some resolvers give up at that. */
function search({ policy, spec, selected }: SpecAt): readonly Warning[] {
  const isAsking = spec.rules.some((rule) => dnsPatterns(rule) !== undefined);
  if (spec.subject.kind === 'node' || !isAsking) return [];
  const namespace = policy.namespace ?? 'default';
  const neighbours = selected.flatMap(({ node, samples }) => samples.flatMap((one) => node.specsOf(one)));
  const specs = [...new Set([spec, ...neighbours])];
  const admitted = new Patterns(specs.flatMap(({ rules }) => rules.flatMap((one) => dnsPatterns(one) ?? [])));
  return spec.rules.flatMap((rule): Warning[] => {
    const refused = (dnsPatterns(rule) ?? []).map((pattern) => {
      const name = pattern.replaceAll(/\*+/g, 'x');
      const isAbsolute = name.split('.').length > NDOTS || name.endsWith(CLUSTER_DOMAIN);
      const expanded = `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
      return isAbsolute || admitted.mean(expanded) ? undefined : expanded;
    });
    const first = refused.find((name) => name !== undefined);
    if (first === undefined) return [];
    const message = `refuses ${first}, which a resolver with ndots above 1 asks for first`;
    return [{ code: 'dns-search-refused', message, at: rule.at }];
  });
}
