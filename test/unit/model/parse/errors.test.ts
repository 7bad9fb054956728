import test from 'ava';
import { ccnp, cnp, problemsOf, read } from './read.ts';

const E = 'endpointSelector: {}';
const rule = (text: string) => cnp(`{${E}, ingress: [${text}]}`);
const ports = (list: string) => rule(`{toPorts: [{ports: [${list}]}]}`);
const icmps = (list: string) => rule(`{icmps: [{fields: [${list}]}]}`);
const many = (n: number, item: string) => Array.from({ length: n }, () => item).join(', ');
const selector = (text: string) => cnp(`{endpointSelector: ${text}, ingress: [{}]}`);
const meta = (text: string) =>
  `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: ${text}, spec: {${E}, ingress: [{}]}}`;

/** The validation catalogue, and every other way to be wrong: the first problem, as people read it. */
const cases: readonly [what: string, text: string, want: RegExp][] = [
  // The catalogue of policy.md §15
  [
    'no section',
    cnp(`{${E}}`),
    /^t\.yaml:1:\d+: spec: rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny/,
  ],
  [
    'an empty section alone',
    cnp(`{${E}, ingress: []}`),
    /must have at least one of .*\(to deny everything write ingress: \[\{\}\]\)$/,
  ],
  ['no subject', cnp('{ingress: [{}]}'), /spec: rule must have one of EndpointSelector or NodeSelector/],
  [
    'both subjects',
    ccnp(`{${E}, nodeSelector: {}, ingress: [{}]}`),
    /spec\.nodeSelector: rule cannot have both/,
  ],
  [
    'a node selector in a CNP',
    cnp('{nodeSelector: {}, ingress: [{}]}'),
    /spec\.nodeSelector: .*cannot have NodeSelector \(use a CiliumClusterwide/,
  ],
  [
    'two kinds of peers',
    rule('{fromCIDR: [10.0.0.0/8], fromCIDRSet: [{cidr: 10.0.0.0/8}]}'),
    /fromCIDRSet: combining FromCIDR and FromCIDRSet is not supported yet \(write two rules/,
  ],
  [
    'an unknown entity',
    rule('{fromEntities: [wrld]}'),
    /fromEntities\[0\]: unsupported entity: "wrld" \(did you mean world\?\)/,
  ],
  [
    'a CIDR that is none',
    rule('{fromCIDR: [10.0.0.0/33]}'),
    /fromCIDR\[0\]: unable to parse CIDR: "10\.0\.0\.0\/33"/,
  ],
  [
    'a mask that is no length',
    rule('{fromCIDR: [10.0.0.0/255.0.255.0]}'),
    /unable to parse CIDR.*instead of a mask/,
  ],
  ['an empty CIDR', rule('{fromCIDR: [""]}'), /IP must be specified/],
  [
    'a CIDR set without length',
    rule('{fromCIDRSet: [{cidr: 10.0.0.1}]}'),
    /unable to parse CIDRRule: "10\.0\.0\.1" \(write 10\.0\.0\.1\/32\)/,
  ],
  [
    'an except outside',
    rule('{fromCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}'),
    /except\[0\]: the CIDR 10\.0\.0\.0\/8 does not contain the exception 11\.0\.0\.0\/16/,
  ],
  [
    'an except of the other family',
    rule('{fromCIDRSet: [{cidr: 10.0.0.0/8, except: ["fd00::/16"]}]}'),
    /does not contain/,
  ],
  [
    'an except that is no CIDR',
    rule('{fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.2.3]}]}'),
    /except\[0\]: unable to parse CIDR.*10\.1\.2\.3\/32/,
  ],
  [
    'a CIDR set without anything',
    rule('{fromCIDRSet: [{}]}'),
    /one of cidr, cidrGroupRef, or cidrGroupSelector is required/,
  ],
  [
    'a CIDR set with two',
    rule('{fromCIDRSet: [{cidr: 10.0.0.0/8, cidrGroupRef: a}]}'),
    /more than one of cidr, cidrGroupRef, or cidrGroupSelector/,
  ],
  [
    'no port',
    ports('{protocol: TCP}'),
    /ports\[0\]: port must be specified \(write port: "0" for every port\)/,
  ],
  ['an empty port', ports('{port: ""}'), /port must be specified/],
  [
    'a port of 70000',
    ports('{port: "70000", protocol: TCP}'),
    /^t\.yaml:1:\d+: .*ports\[0\]\.port: unable to parse port: 70000 is above 65535/,
  ],
  [
    'a port with zeros in front',
    ports('{port: "0080"}'),
    /unable to parse port: "0080" \(write it without zeros in front/,
  ],
  [
    'a number in another notation',
    ports('{port: 0x50}'),
    /unable to parse port: "0x50" \(ports are 0 to 65535\)/,
  ],
  ['a type with zeros in front', icmps('{type: "008"}'), /ICMP type "008" not found/],
  ['a port that is no number', ports('{port: "80,81"}'), /unable to parse port: "80,81"/],
  [
    'a range in one field',
    ports('{port: "80-90"}'),
    /unable to parse port: "80-90" \(write a range with port and endPort\)/,
  ],
  [
    'an endPort above the last port',
    ports('{port: "80", endPort: 65536}'),
    /endPort: unable to parse port: "65536"/,
  ],
  [
    'a protocol that is none',
    ports('{port: "80", protocol: TCPP}'),
    /protocol: invalid protocol: "TCPP" \(did you mean TCP\?\)/,
  ],
  [
    'ICMP as a protocol',
    ports('{port: "0", protocol: ICMP}'),
    /invalid protocol: "ICMP" \(match ICMP with icmps/,
  ],
  [
    'a protocol number for pods',
    ports('{port: "0", protocol: "89"}'),
    /invalid protocol: "89" \(protocol numbers are for policies with a nodeSelector\)/,
  ],
  [
    'a host protocol for pods',
    ports('{port: "0", protocol: OSPF}'),
    /invalid protocol: "OSPF" \(this protocol is for policies with a nodeSelector\)/,
  ],
  [
    'a protocol number above 255',
    ccnp('{nodeSelector: {}, ingress: [{toPorts: [{ports: [{protocol: 256}]}]}]}'),
    /invalid protocol: "256" \(protocol numbers are 0 to 255\)/,
  ],
  [
    'a port of a protocol without ports',
    ccnp('{nodeSelector: {}, ingress: [{toPorts: [{ports: [{protocol: GRE, port: "1"}]}]}]}'),
    /the protocol has no ports, found port "1"/,
  ],
  ['VRRP of a pod without port', ports('{protocol: VRRP}'), /port must be specified/],
  ['too many ports', ports(many(41, '{port: "1", protocol: TCP}')), /ports: too many ports: 41, at most 40/],
  ['too many types', icmps(many(41, '{type: 1}')), /fields: too many types: 41, at most 40/],
  [
    'both ports and ICMP',
    rule('{toPorts: [{ports: [{port: "1"}]}], icmps: [{fields: [{type: 8}]}]}'),
    /icmps: ICMPs block may only be present without ToPorts/,
  ],
  ['a family that is none', icmps('{family: IPv5, type: 8}'), /wrong family: "IPv5"/],
  [
    'a type of the other family',
    icmps('{type: PacketTooBig}'),
    /ICMP type "PacketTooBig" not found for IPv4 \(PacketTooBig is a type of IPv6: write family: IPv6\)/,
  ],
  [
    'a mistyped type',
    icmps('{type: EchoRequst}'),
    /ICMP type "EchoRequst" not found for IPv4 \(did you mean EchoRequest\?\)/,
  ],
  ['a type above 255', icmps('{type: 256}'), /ICMP type "256" not found/],
  ['no type', icmps('{family: IPv4}'), /ICMP type is missing/],
  [
    'fromRequires',
    rule('{fromRequires: [{}]}'),
    /fromRequires was removed from the API \(write the opposite as a rule in ingressDeny, with the operator NotIn\)/,
  ],
  ['toRequires', cnp(`{${E}, egress: [{toRequires: [{}]}]}`), /toRequires was removed/],
  [
    'an empty toFQDNs',
    cnp(`{${E}, egress: [{toFQDNs: [], toPorts: [{ports: [{port: "80"}]}]}]}`),
    /toFQDNs: an empty list would select nobody or everybody/,
  ],
  ['an empty toServices', cnp(`{${E}, egress: [{toServices: []}]}`), /toServices: an empty list/],
  ['an empty toGroups', cnp(`{${E}, egress: [{toGroups: []}]}`), /toGroups: an empty list/],
  ['an empty fromGroups', rule('{fromGroups: []}'), /fromGroups: an empty list/],
  [
    'toFQDNs in a deny rule',
    cnp(`{${E}, egressDeny: [{toFQDNs: [{matchName: a}]}]}`),
    /egressDeny\[0\]\.toFQDNs: a deny rule cannot select peers by DNS name/,
  ],
  [
    'two layer 7 protocols',
    rule('{toPorts: [{ports: [{port: "80"}], rules: {http: [{}], kafka: [{}]}}]}'),
    /multiple L7 protocol rule types/,
  ],
  [
    'l7 without l7proto',
    rule('{toPorts: [{ports: [{port: "80"}], rules: {l7: []}}]}'),
    /'l7' may only be specified when a 'l7proto'/,
  ],
  [
    'layer 7 on host ingress',
    ccnp('{nodeSelector: {}, ingress: [{toPorts: [{ports: [{port: "80"}], rules: {http: [{}]}}]}]}'),
    /rules\.http: L7 policy is not supported on host ingress yet/,
  ],
  [
    'HTTP on host egress',
    ccnp('{nodeSelector: {}, egress: [{toPorts: [{ports: [{port: "80"}], rules: {http: [{}]}}]}]}'),
    /L7 protocol http is not supported on host egress yet/,
  ],
  [
    'an empty list of server names',
    rule('{toPorts: [{ports: [{port: "443"}], serverNames: []}]}'),
    /serverNames needs at least one entry/,
  ],
  // Selectors
  [
    'a label key that is none',
    selector('{matchLabels: {"a b": c}}'),
    /matchLabels\["a b"\]: invalid label selector: "a b" is no label key/,
  ],
  [
    'a label value that is none',
    selector('{matchLabels: {a: "b c"}}'),
    /matchLabels\.a: invalid label selector: "b c" is no label value/,
  ],
  [
    'a label value that is a number',
    selector('{matchLabels: {version: 1.10}}'),
    /matchLabels\.version: expected a text, found the number 1\.10 \(write it in quotes: "1\.10"\)/,
  ],
  [
    'a label without value',
    selector('{matchLabels: {a: }}'),
    /the label has no value \(write "" for an empty one\)/,
  ],
  [
    'a value of a reserved label',
    selector('{matchLabels: {"reserved:host": x}}'),
    /reserved:host has an empty value/,
  ],
  [
    'labels as a list',
    selector('{matchLabels: [a, b]}'),
    /matchLabels: expected labels \(a map\), found a list/,
  ],
  [
    'an operator that is none',
    selector('{matchExpressions: [{key: a, operator: in, values: [b]}]}'),
    /operator: "in" is not one of In, .*\(did you mean In\?\)/,
  ],
  [
    'In without values',
    selector('{matchExpressions: [{key: a, operator: In, values: []}]}'),
    /invalid label selector: In needs values/,
  ],
  [
    'Exists with values',
    selector('{matchExpressions: [{key: a, operator: Exists, values: [b]}]}'),
    /invalid label selector: Exists takes no values/,
  ],
  [
    'an expression without key',
    selector('{matchExpressions: [{operator: Exists}]}'),
    /invalid label selector: key is missing/,
  ],
  [
    'a cidr key without prefix',
    selector('{matchExpressions: [{key: "cidr:ten", operator: Exists}]}'),
    /"cidr:ten" holds no address or prefix/,
  ],
  // Shape
  [
    'an unknown field of a rule',
    rule('{fromEndpoint: [{}]}'),
    /ingress\[0\]\.fromEndpoint: unknown field in an ingress rule \(did you mean fromEndpoints\?\)/,
  ],
  ['an egress field in ingress', rule('{toCIDR: [10.0.0.0/8]}'), /toCIDR: unknown field in an ingress rule/],
  [
    'an unknown field of the spec',
    cnp('{endpointSelectr: {}, ingress: [{}]}'),
    /spec\.endpointSelectr: unknown field in a policy spec \(did you mean endpointSelector\?\)|rule must have one of/,
  ],
  [
    'authentication in a deny rule',
    cnp(`{${E}, ingressDeny: [{authentication: {mode: required}}]}`),
    /authentication: unknown field in a deny rule/,
  ],
  [
    'layer 7 in a deny rule',
    cnp(`{${E}, ingressDeny: [{toPorts: [{ports: [{port: "80"}], rules: {}}]}]}`),
    /rules: unknown field in a port rule/,
  ],
  ['a map for a list', cnp(`{${E}, ingress: {}}`), /spec\.ingress: expected a list of rules, found a map/],
  ['a null rule', rule('null'), /ingress\[0\]: expected an ingress rule \(a map\), found nothing/],
  [
    'a text for a boolean',
    cnp(`{${E}, ingress: [{}], enableDefaultDeny: {ingress: "false"}}`),
    /expected true or false, found the text "false" \(write false, without quotes\)/,
  ],
  [
    'a mode of authentication that is none',
    rule('{authentication: {mode: requird}}'),
    /did you mean required\?/,
  ],
  [
    'a log value that is too long',
    cnp(`{${E}, ingress: [{}], log: {value: "${'x'.repeat(33)}"}}`),
    /log\.value has at most 32 printable characters/,
  ],
  [
    'a log value with a tab',
    cnp(`{${E}, ingress: [{}], log: {value: "a\\tb"}}`),
    /log\.value has at most 32 printable characters/,
  ],
  [
    'a spec label without key',
    cnp(`{${E}, ingress: [{}], labels: [{value: a}]}`),
    /labels\[0\]: key is missing/,
  ],
  [
    'neither spec nor specs',
    meta('{name: p}').replace(/, spec:.*/, '}'),
    /neither spec nor specs has a rule/,
  ],
  [
    'empty specs',
    meta('{name: p}').replace(/, spec:.*/, ', specs: []}'),
    /neither spec nor specs has a rule/,
  ],
  [
    'what belongs in spec beside it',
    meta('{name: p}').replace('{apiVersion', '{description: a, apiVersion'),
    /description: unknown field in a CiliumNetworkPolicy \(it belongs in spec\)/,
  ],
  [
    'an object of a List',
    `{apiVersion: v1, kind: List, items: [${rule('{}')}, ${rule('{fromEntities: [wrld]}')}]}`,
    /^t\.yaml:1:\d+: items\[1\]\.spec\.ingress\[0\]\.fromEntities\[0\]: unsupported entity/,
  ],
  [
    'a List of Lists',
    '{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: List, items: []}]}',
    /items\[0\]\.kind: there is no kind "List"/,
  ],
  ['a List without items', '{apiVersion: v1, kind: List}', /there is no kind "List" here/],
  // Metadata
  ['no name', meta('{namespace: a}'), /metadata: metadata\.name is missing/],
  [
    'no metadata',
    `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, spec: {${E}, ingress: [{}]}}`,
    /metadata\.name is missing/,
  ],
  ['a name with capitals', meta('{name: Lockdown}'), /metadata\.name: "Lockdown" is no valid name/],
  ['a namespace that is none', meta('{name: p, namespace: a.b}'), /"a\.b" is no valid namespace/],
  [
    'a namespace of a cluster-wide kind',
    ccnp(`{${E}, ingress: [{}]}`).replace('{name: p', '{namespace: a, name: p'),
    /objects of this kind have no namespace \(remove it\)/,
  ],
  ['labels that are not labels', meta('{name: p, labels: {"a/b/c": d}}'), /"a\/b\/c" is no label key/],
  [
    'labels that are a list',
    meta('{name: p, labels: [a=b]}'),
    /expected a map of labels, found a list \(write each label as key: value\)/,
  ],
  [
    'a kind with a typo',
    '{apiVersion: cilium.io/v2, kind: CiliumNetworkPolcy}',
    /kind: there is no kind "CiliumNetworkPolcy" here \(did you mean CiliumNetworkPolicy\?\)/,
  ],
  [
    'a kind of another kind',
    '{apiVersion: v1, kind: Pod}',
    /there is no kind "Pod" here \(kinds of a manifest: /,
  ],
  ['no kind', '{apiVersion: v1}', /^t\.yaml:1:1: kind is missing/],
  ['no version', '{kind: CiliumNetworkPolicy}', /apiVersion is missing \(write cilium\.io\/v2\)/],
  [
    'another version',
    '{kind: CiliumNetworkPolicy, apiVersion: cilium.io/v1}',
    /CiliumNetworkPolicy has no version "cilium\.io\/v1" \(write cilium\.io\/v2\)/,
  ],
  ['a list', '- a\n- b\n', /expected an object \(a map\), found a list/],
  // Annotations
  [
    'our annotation on pods',
    meta('{name: p, annotations: {merlon.io/enforcement: audit}}'),
    /merlon\.io\/enforcement is not allowed on this CiliumNetworkPolicy/,
  ],
  [
    'an annotation with a typo',
    meta('{name: p, annotations: {merlon.io/enforcment: audit}}'),
    /there is no annotation merlon\.io\/enforcment \(did you mean merlon\.io\/enforcement\?\)/,
  ],
  [
    'an annotation of Services',
    meta('{name: p, annotations: {merlon.io/icmp: "off"}}'),
    /merlon\.io\/icmp is not allowed on this CiliumNetworkPolicy \(it belongs to Service\)/,
  ],
  [
    'a value that an annotation has not',
    ccnp('{nodeSelector: {}, ingress: [{}]}', '{merlon.io/enforcement: maybe}'),
    /"maybe" is no value of merlon\.io\/enforcement \(write enforce or audit\)/,
  ],
  [
    'audit of an object that selects pods, too',
    '{apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy, metadata: {name: p, annotations: {merlon.io/enforcement: audit}}, specs: [{nodeSelector: {}, ingress: [{}]}, {endpointSelector: {}, ingress: [{}]}]}',
    /enforcement: audit is of host policies, and specs\[1\] has no nodeSelector \(write two objects\)/,
  ],
  // Text
  ['a bracket that stays open', 'a: [\nb: c\n', /^t\.yaml:2:1: not valid YAML: /],
  ['a tab as indentation', 'a:\n\tb: c\n', /^t\.yaml:2:1: not valid YAML: /],
  [
    'a key that stands twice',
    'kind: a\nkind: b\n',
    /^t\.yaml:2:1: key "kind" stands twice in one map, first in line 1 \(keep one of them\)/,
  ],
  ['an alias without anchor', 'a: *b\n', /unresolved alias|names no anchor/],
  ['an alias of itself', 'a: &a [*a]\n', /alias \*a names no anchor before it/],
  ['a tag', 'a: !!binary aGk=\n', /not a text, a number/],
  ['a merge key', '<<: {a: b}\nkind: Pod\napiVersion: v1\n', /no kind "Pod"/],
  [
    'a file that is too large',
    `# ${'x'.repeat(1024 * 1024)}`,
    /^t\.yaml:1:1: the file has 1048578 bytes, the limit is 1048576 \(split it into several files\)/,
  ],
  // Workloads
  [
    'a workload without device',
    '{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: w}, spec: {addresses: [10.0.0.1]}}',
    /spec: hostDevice is missing/,
  ],
  [
    'a device name that is too long',
    '{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: w}, spec: {hostDevice: abcdefghijklmnop, addresses: [10.0.0.1]}}',
    /"abcdefghijklmnop" is no device name/,
  ],
  [
    'a workload without addresses',
    '{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: w}, spec: {hostDevice: a, addresses: []}}',
    /addresses is empty/,
  ],
  [
    'an address that is none',
    '{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: w}, spec: {hostDevice: a, addresses: [10.0.0.256]}}',
    /addresses\[0\]: "10\.0\.0\.256" is neither an address nor a CIDR/,
  ],
  [
    'workload labels that are not labels',
    '{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: w}, spec: {hostDevice: a, addresses: [10.0.0.1], labels: {a: {b: c}}}}',
    /labels\.a: expected a text, found a map/,
  ],
];
for (const [what, text, want] of cases) {
  test(`error – ${what}`, (t) => {
    const problems = problemsOf(text);
    t.true(
      problems.some((p) => want.test(p)),
      `wanted ${want}, got\n${problems.join('\n') || 'no problem'}`,
    );
    for (const problem of problems) t.regex(problem, /^t\.yaml:\d+:\d+: /);
  });
}

test('error – all problems of an object are told, in the order of their places', (t) => {
  const text = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p}
spec:
  endpointSelector: {}
  ingress:
  - fromEntities: [hst]
    toPorts: [{ports: [{port: "70000"}]}]
  - fromCIDR: [x]
`;
  const lines = problemsOf(text).map((p) => p.split(': ').slice(0, 2).join(' '));
  t.deepEqual(lines, [
    't.yaml:7:20 spec.ingress[0].fromEntities[0]',
    't.yaml:8:31 spec.ingress[0].toPorts[0].ports[0].port',
    't.yaml:9:16 spec.ingress[1].fromCIDR[0]',
  ]);
});

test('error – one document of several is named by its number', (t) => {
  const good = cnp(`{${E}, ingress: [{}]}`);
  t.regex(
    problemsOf(`${good}\n---\n${good}\n---\nkind: Pod\napiVersion: v1\n`)[0] ?? '',
    /^t\.yaml:5:7: document 3: kind: /,
  );
});

test('error – a rule that is wrong leaves nothing of its object', (t) => {
  const [object] = read(cnp(`{${E}, ingress: [{}, {fromEntities: [hst]}]}`));
  t.is(object?.value, undefined);
  t.is(object?.name, 'p');
});
