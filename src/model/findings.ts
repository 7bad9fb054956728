/**
 * The one catalogue of findings: what is told of policies that are accepted but may not mean what their author
 * meant (policy.md §7, §17; HF-6). Parsers, the status of policies and `merlon policy lint` take code, severity
 * and condition from here, the documentation its table.
 */
import { formatAt, type SourceAt } from '#kit/errors';

/** `note`: how it is, perhaps as meant; it never makes a run fail. */
export type Severity = 'warning' | 'note';

export interface FindingKind {
  readonly severity: Severity;
  /** What it is about, one sentence. */
  readonly what: string;
  /** How to mend it, one sentence. */
  readonly mend: string;
  /** Type of the object's condition that says it, too (HF-10.8). */
  readonly condition?: string;
  /** Somebody is missing who may still come: an agent gives them time before it counts. */
  readonly mayPass?: true;
}

const warning = (what: string, mend: string, condition?: string) =>
  ({ severity: 'warning', what, mend, ...(condition === undefined ? {} : { condition }) }) as const;
const missing = (what: string, mend: string, condition?: string) =>
  ({ ...warning(what, mend, condition), mayPass: true }) as const;
const note = (what: string, mend: string) => ({ severity: 'note', what, mend }) as const;

const catalogue = {
  // Who is selected
  'selects-nothing': missing(
    'The subject selector selects no endpoint or node, so the policy protects nobody.',
    'Correct the label; the nearest one that somebody has is named.',
    'merlon.io/NoSubjectsSelected',
  ),
  'foreign-namespace': warning(
    'The subject selector of a namespaced policy names another namespace than the policy’s own.',
    'Move the policy to that namespace, or write a CiliumClusterwideNetworkPolicy.',
    'merlon.io/NoSubjectsSelected',
  ),
  'infrastructure-selected': warning(
    'A cluster-wide default deny also selects what the cluster runs on: health, ingress or init endpoints, or DNS.',
    'Ask in matchExpressions that io.kubernetes.pod.namespace exists, or admit what these endpoints need.',
  ),
  'host-firewall-off': warning(
    'A host policy is ignored: the host firewall is switched off.',
    'Set hostfw.enabled: true.',
  ),
  'network-policies-off': warning(
    'A NetworkPolicy is ignored: NetworkPolicies are switched off.',
    'Set enable-k8s-networkpolicy: true.',
  ),
  'namespace-label-typo': warning(
    'A selector uses a key that looks like a label of namespaces, but nobody has it.',
    'Write io.kubernetes.pod.namespace, or io.cilium.k8s.namespace.labels. before a label of the Namespace.',
  ),
  'filtered-label': warning(
    'A selector uses a label that is no part of identities, so no selector ever sees it.',
    'Select by another label, or let the label filter keep this one.',
  ),

  // Default deny
  'deny-only-default-deny': warning(
    'A direction has deny rules alone, and so denies everything else too.',
    'Write enableDefaultDeny: {ingress: false} (or egress), or allow what shall pass.',
  ),
  'default-deny-without-rules': warning(
    'enableDefaultDeny asks for a direction that has no rules, which has no effect on pods.',
    'Add ingress: [{}] (or egress) to deny everything.',
  ),
  'empty-rule': note(
    'A rule without peers and ports switches the direction to default deny and allows nothing.',
    'Nothing, if that is meant; for everybody write fromEntities: [all] (or toEntities).',
  ),
  'policy-types-mismatch': warning(
    'A NetworkPolicy has rules for a direction that its policyTypes do not list: they count for nothing.',
    'Add the direction to policyTypes.',
  ),

  // Peers
  'empty-peer-list': warning(
    'A peer field with an empty list names nobody: its rule matches nothing, whatever its ports.',
    'Leave the field out to mean any peer, or name the peers.',
  ),
  'peers-select-nothing': missing(
    'A peer means nobody: no identity has its labels, or the Service or group that it names is not there.',
    'Correct the label or the name; the nearest one is named.',
    'merlon.io/NoPeersSelected',
  ),
  'only-remote-cluster': missing(
    'A peer selector means pods of other clusters only, but selectors mean the local cluster unless they name one.',
    'Name the cluster: io.cilium.k8s.policy.cluster.',
    'merlon.io/NoPeersSelected',
  ),
  'peers-beyond-cluster': warning(
    'A peer selector with negative conditions alone also means the world, the host and prefixes.',
    'Ask in matchExpressions that io.kubernetes.pod.namespace exists.',
  ),
  'everything-from-world': warning(
    'A rule admits everybody on every port.',
    'Name the peers or the ports; without any policy the direction is as open.',
  ),
  'cidr-covers-nodes': warning(
    'A prefix covers addresses of nodes, but prefixes do not mean nodes here.',
    'Use the entities host and remote-node, or policy-cidr-match-mode: [nodes].',
  ),
  'cidr-covers-pods': warning(
    'A prefix covers addresses of pods, but prefixes never mean pods here.',
    'Select pods by their labels.',
  ),
  'except-covers-all': warning(
    'An exception is its whole prefix, or wider, so nothing is left of it.',
    'Correct the exception, or remove the entry.',
  ),
  'apiserver-by-service': warning(
    'A rule reaches the API server by the Service default/kubernetes, whose addresses may be nodes.',
    'Write toEntities: [kube-apiserver].',
  ),
  'apiserver-by-cidr': warning(
    'A rule reaches the API server by a prefix: prefixes do not mean nodes, and the address may change.',
    'Write toEntities: [kube-apiserver].',
  ),
  'gateway-not-admitted': note(
    'Pods behind a Service are closed to ingress gateways and to other nodes, whose health probes then fail.',
    'Where that is needed: fromEntities: [ingress, remote-node] on the port.',
  ),

  // Ports
  'port-rule-without-ports': warning(
    'A port or ICMP rule without entries matches nothing.',
    'Name the ports, write port: "0" for all of them, or leave toPorts out.',
  ),
  'end-port-ignored': warning(
    'endPort is below its port or stands beside a port name, and means nothing.',
    'Write the first port as port and the last as endPort.',
  ),
  'named-port-unknown': missing(
    'A port name stands for nothing: no endpoint has a port of that name.',
    'Correct the name, or write the number.',
  ),
  'named-port-ambiguous': warning(
    'A port name stands for several numbers, so at egress for none.',
    'Write the number.',
  ),
  'service-port': warning(
    'A rule names the port of a Service, but policy sees packets after translation, at the port of the pod.',
    'Write the targetPort of the Service.',
  ),

  // What is decided
  'shadowed-by-deny': warning(
    'An allow rule has no effect: deny rules cover all of it, and deny comes before allow.',
    'Remove one of the two, or narrow the deny rule.',
  ),
  'failsafe-wider': warning(
    'A failsafe entry lets in what a host policy would not: there the policy has no effect.',
    'Narrow the entry in failsafe.sshFrom or failsafe.entries, or accept it.',
  ),
  staged: note(
    'A host policy is in audit: it refuses nothing, and events tell what it would refuse.',
    'Remove the annotation merlon.io/enforcement once nothing that must pass is told of.',
  ),
  'host-port-forgotten': note(
    'A host policy switches to default deny and admits nobody to ports that nodes commonly serve.',
    'Admit those that this node needs.',
  ),

  // DNS names
  'fqdn-without-dns-rule': warning(
    'A rule selects by DNS name, but no DNS rule of its subjects lets names be learnt.',
    'Allow DNS at egress with rules: {dns: [{matchPattern: "*"}]}.',
    'merlon.io/FQDNWithoutDNSRule',
  ),
  'fqdn-without-dns-egress': warning(
    'A rule selects by DNS name, but its subjects may ask no DNS server at all.',
    'Allow port 53 to the DNS servers at egress.',
    'merlon.io/FQDNWithoutDNSRule',
  ),
  'fqdn-shared-address': note(
    'Names that a rule does not select share addresses with one that it does, and are admitted with it.',
    'Add serverNames to tell them apart.',
  ),
  'wildcard-depth': note(
    'A pattern with * means names of one more label, neither the name itself nor deeper ones.',
    'Add the name as matchName, or write **. for any depth.',
  ),
  'dns-search-refused': note(
    'The DNS rule refuses names with search suffixes, which resolvers ask for first where ndots is above 1.',
    'Admit them too, or have refusals answered with NXDOMAIN, which musl does not give up at.',
  ),

  // Layer 7
  'http-path-query': note(
    'A path pattern admits no query string: it must match the whole path, the query included.',
    'End it in (\\?.*)? where queries are fine.',
  ),
  'http-unescaped-query': warning(
    'A ? stands where a query would begin, but in a pattern it makes what is before it optional.',
    'Write \\? for a question mark.',
  ),
  'http-unescaped-dot': note('A dot in an HTTP pattern means any character.', 'Write \\. for a dot.'),
  'http-anchor': note(
    'Patterns always match the whole value, so ^ at the front and $ at the end say nothing.',
    'Leave them out; for a prefix end the pattern in .*.',
  ),
  'http-never-matches': warning(
    'An HTTP pattern matches no request: paths begin with /, methods are upper case.',
    'Correct the pattern.',
  ),
  'l7-ineffective': warning(
    'A layer 7 rule refuses nothing to some peers, since another rule or the default lets them pass unasked.',
    'Remove the broader rule, or narrow its peers or ports.',
  ),
  conflict: warning(
    'Two rules exclude each other: subjects keep the policy they had, and without one what both match is refused.',
    'Give them other ports or other peers, or one kind of rules.',
    'merlon.io/Conflict',
  ),
  'proxy-unavailable': warning(
    'A rule asks for a proxy, and none serves it: its traffic is refused (L7_PROXY_UNAVAILABLE).',
    'Allow the ports without layer 7 rules where that is enough.',
  ),
  'auth-unavailable': warning(
    'A rule asks for authentication, and nobody can prove who they are: its traffic is refused (AUTH_REQUIRED).',
    'Remove authentication where labels are enough.',
  ),

  // Other objects
  'address-repeated': warning('An address of a Workload stands twice.', 'Remove one of the two.'),
  'label-overridden': warning(
    'A label of a Workload is the agent’s to set: what is written is ignored.',
    'Remove it.',
  ),
  'group-entry-ignored': warning(
    'An entry of a CiliumCIDRGroup is no prefix and is left out.',
    'Write it as 10.0.0.0/8.',
  ),
  'service-not-balanced': note(
    'A Service counts for policies only: nothing is balanced to it.',
    'Nothing, if that is meant.',
  ),
} as const satisfies Record<string, FindingKind>;

export type FindingCode = keyof typeof catalogue;

/** Every code, in the order of the documentation. */
export const FINDINGS: Readonly<Record<FindingCode, FindingKind>> = catalogue;

/** What a parser tells of one object. */
export interface Warning {
  readonly code: FindingCode;
  /** One sentence without a full stop. */
  readonly message: string;
  readonly at: SourceAt;
  /** What to do about it here. */
  readonly hint?: string;
}

/** The same of one policy. */
export interface Finding extends Warning {
  /** Key of the policy. */
  readonly policy: string;
}

/** What to do, in the middle of a sentence: the finding's own hint, or its kind's. */
export function hintOf({ code, hint }: Pick<Warning, 'code' | 'hint'>): string {
  if (hint !== undefined) return hint;
  const { mend } = FINDINGS[code];
  return mend.slice(0, 1).toLowerCase() + mend.slice(1, -1);
}

/** One line for people: `file:line:column: message (hint)`. */
export function formatFinding(finding: Warning): string {
  const at = formatAt(finding.at);
  return `${at === '' ? '' : `${at}: `}${finding.message} (${hintOf(finding)})`;
}
