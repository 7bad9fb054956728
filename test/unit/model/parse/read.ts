/** Short ways to a parsed policy, for the tables of cases. */
import { formatError } from '#kit/errors';
import { formatCidr } from '#kit/ip';
import type { PeerSelector, Policy, PolicySpec, PortMatch, Rule } from '#model';
import { formatRequirement } from '#model';
import {
  DEFAULT_PARSE_OPTIONS,
  errorFromProblem,
  type ManifestObject,
  type ParseOptions,
  parseManifest,
} from '#model/parse';

/** Objects of a text in the file `t.yaml`. */
export function read(text: string, options: Partial<ParseOptions> = {}): readonly ManifestObject[] {
  return parseManifest(text, { ...DEFAULT_PARSE_OPTIONS, ...options, file: 't.yaml' });
}

/** A CNP `p` in namespace `shop` whose spec is `spec` (flow style). */
export function cnp(spec: string): string {
  return `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: p, namespace: shop}, spec: ${spec}}`;
}

/** A CCNP `p`. */
export function ccnp(spec: string, annotations = '{}'): string {
  return `{apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy, metadata: {name: p, annotations: ${annotations}}, spec: ${spec}}`;
}

/** All problems as people see them. */
export function problemsOf(text: string, options: Partial<ParseOptions> = {}): readonly string[] {
  return read(text, options).flatMap((o) => o.problems.map((p) => formatError(errorFromProblem(p))));
}

/** The one policy of a text; throws with the problems. */
export function policyOf(text: string, options: Partial<ParseOptions> = {}): Policy {
  const [object] = read(text, options);
  if (object?.value?.kind !== 'policy') throw new Error(problemsOf(text, options).join('\n') || 'no policy');
  return object.value.policy;
}

/** Its first spec. */
export function specOf(text: string, options: Partial<ParseOptions> = {}): PolicySpec {
  return policyOf(text, options).specs[0] as PolicySpec;
}

/** A spec in words: default deny, then each rule as `verdict direction peers ports`. */
export function words(spec: PolicySpec): string {
  const deny = Object.entries(spec.defaultDeny).filter(([, on]) => on);
  return [`deny[${deny.map(([d]) => d).join(' ')}]`, ...spec.rules.map(ruleWords)].join('; ');
}

/** A rule in words. */
export function ruleWords(rule: Rule): string {
  const peers = rule.peers.kind === 'any' ? 'any' : `(${rule.peers.selectors.map(peerWords).join(' | ')})`;
  const ports = rule.ports.kind === 'any' ? 'any' : `(${rule.ports.matches.map(portWords).join(' ')})`;
  return `${rule.verdict} ${rule.direction} ${peers} ${ports}`;
}

function peerWords(peer: PeerSelector): string {
  if (peer.kind === 'entity') return peer.entity;
  if (peer.kind === 'labels') return peer.selector.requirements.map(formatRequirement).join(' & ') || '*';
  if (peer.kind !== 'cidr') return otherPeerWords(peer);
  const text = (c: { readonly ip: { readonly bytes: Uint8Array }; readonly length: number }) =>
    `${[...c.ip.bytes].join('.')}/${c.length}`;
  return [text(peer.cidr), ...peer.except.map((e) => `-${text(e)}`)].join(' ');
}

function portWords(match: PortMatch): string {
  if (match.kind === 'protocol') return `proto${match.protocol}`;
  if (match.kind === 'name') return `${match.protocol}:${match.name}`;
  if (match.kind === 'icmp') return `icmp${match.family}:${match.type}`;
  return `${match.protocol}:${match.first}${match.last === match.first ? '' : `-${match.last}`}`;
}

function otherPeerWords(peer: Exclude<PeerSelector, { kind: 'labels' | 'entity' | 'cidr' }>): string {
  switch (peer.kind) {
    case 'cidrGroup': {
      const except = peer.except.map((cidr) => ` -${formatCidr(cidr)}`).join('');
      return `groups{${peer.selector.requirements.map(formatRequirement).join(' & ')}}${except}`;
    }
    case 'fqdn':
      return `fqdn ${peer.pattern}`;
    case 'service':
      return `service ${JSON.stringify([peer.namespace ?? '*', peer.by, peer.cluster])}`;
    case 'cloudGroup':
      return `${peer.provider} ${JSON.stringify([peer.ids, peer.names, peer.region, peer.labels])}`;
  }
}
