/** The way of a packet over a running node: which stage decides, and what it says. */
import test from 'ava';
import { type CaseFlow, flowProtocol, type NodeFacts, type Snapshot, SnapshotRun } from '#cases';
import { labelSet } from '#kit/labels';
import { NO_FACTS, STANDALONE_POLICY_CONFIG } from '#model';
import { DEFAULT_PARSE_OPTIONS, parsePolicies } from '#model/parse';
import { EMPTY_NUMBERING } from '#policy';

const POLICIES = `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: host}
spec:
  nodeSelector: {}
  enableDefaultDeny: {egress: false}
  ingress: [{fromCIDR: [192.0.2.0/24], toPorts: [{ports: [{port: "22", protocol: TCP}]}]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress:
    - fromEndpoints: [{matchLabels: {app: client}}]
      toPorts:
        - ports: [{port: "80", protocol: TCP}]
          rules: {http: [{method: GET}]}
`;

const FACTS: NodeFacts = {
  mode: 'enforce',
  hostAudit: [],
  auditedEndpoints: [],
  failsafe: [
    {
      entry: 1,
      direction: 'in',
      protocol: 6,
      port: 22,
      endPort: 22,
      cidrs: ['203.0.113.7/32'],
      device: '',
      why: 'SSH: the way back in',
    },
    {
      entry: 2,
      direction: 'out',
      protocol: 17,
      port: 53,
      endPort: 53,
      cidrs: ['192.0.2.53/32'],
      device: 'eth1',
      why: 'names',
    },
  ],
  builtins: { dhcp: true, fragNeeded: true, icmp6Redirect: false },
  hasProxy: false,
  devices: ['eth0', 'eth1'],
  endpointDevices: { 1: 'lxc-web', 2: 'lxc-client' },
};

const endpoint = (id: number, app: string) => ({
  name: `shop/${app}`,
  id,
  addresses: [`10.0.0.${id}`, `fd00::${id}`],
  labels: labelSet([
    { source: 'k8s', key: 'app', value: app },
    { source: 'k8s', key: 'io.kubernetes.pod.namespace', value: 'shop' },
    { source: 'k8s', key: 'io.cilium.k8s.policy.cluster', value: 'default' },
  ]),
});

function node(facts: Partial<NodeFacts> = {}): SnapshotRun {
  const snapshot: Snapshot = {
    world: {
      node: 'here',
      policies: parsePolicies(POLICIES),
      endpoints: [endpoint(1, 'web'), endpoint(2, 'client')],
      nodes: [],
      localAddresses: ['127.0.0.1', '192.0.2.1', '2001:db8::1'],
      nodeLabels: labelSet([]),
      facts: NO_FACTS,
      config: { ...STANDALONE_POLICY_CONFIG, hostFirewall: true },
      numbering: EMPTY_NUMBERING,
    },
    parse: DEFAULT_PARSE_OPTIONS,
    node: { ...FACTS, ...facts },
  };
  return new SnapshotRun(snapshot);
}

/** `192.0.2.2 > node:here TCP/22`, ICMP with its type. */
function flowOf(run: SnapshotRun, text: string): CaseFlow {
  const [, from = '', to = '', protocol = '', port] = /^(\S+) > (\S+) (\w+)(?:\/(\d+))?$/.exec(text) ?? [];
  return {
    from: run.party(from),
    to: run.party(to),
    protocol: flowProtocol(protocol) ?? 0,
    port: port === undefined ? undefined : Number(port),
    icmpCode: undefined,
    ct: 'new',
    request: undefined,
    direction: 'both',
  };
}

type Details = Parameters<SnapshotRun['results']>[1];

function decided(run: SnapshotRun, text: string, details: Details = {}): string {
  const [result] = run.results(flowOf(run, text), details);
  const last = result?.path?.at(-1)?.stages.at(-1);
  return `${result?.verdict} at ${last?.stage}: ${last?.what}${last?.reason === undefined ? '' : ` (${last.reason})`}`;
}

const cases: readonly [flow: string, want: RegExp, facts?: Partial<NodeFacts>, details?: Details][] = [
  ['192.0.2.2 > node:here TCP/22', /^allow at policy: ingress of node:here: allowed$/],
  ['192.0.2.2 > node:here TCP/23', /^deny at policy: .* refused \(POLICY_DENIED\)$/],
  ['203.0.113.7 > node:here TCP/22', /^allow at failsafe: entry 1 .* SSH: the way back in \(203/],
  ['203.0.113.8 > node:here TCP/22', /^deny at policy/],
  ['192.0.2.2 > node:here UDP/68', /^allow at built-in: DHCP/],
  ['192.0.2.2 > node:here UDP/68', /^deny at policy/, { builtins: { ...FACTS.builtins, dhcp: false } }],
  ['127.0.0.2 > node:here TCP/22', /^deny at frame: .* \(MARTIAN\)$/],
  [
    '192.0.2.2 > node:here TCP/22',
    /^deny at frame: .*SYN,FIN \(INVALID_TCP_FLAGS\)$/,
    {},
    { tcpFlags: 'SYN,FIN' },
  ],
  ['2001:db8::2 > node:here ICMPv6/135', /^allow at built-in: ICMPv6 type 135 passes/],
  ['2001:db8::2 > node:here ICMPv6/137', /^deny at built-in: .* \(FORBIDDEN_ICMP6\)$/],
  ['2001:db8::2 > node:here ICMPv6/128', /^deny at policy/],
  ['node:here > 2001:db8::2 ICMPv6/137', /^allow at policy: .* no policy is asked, open$/],
  ['192.0.2.2 > 224.0.0.251 UDP/5353', /^deny at policy: ingress of 224\.0\.0\.251: refused/],
  [
    '192.0.2.2 > node:here TCP/23',
    /^audit at policy: .* would be refused \(POLICY_DENIED\)/,
    { mode: 'audit' },
  ],
  [
    '192.0.2.2 > node:here TCP/23',
    /^audit at policy: .* would be refused \(POLICY_DENIED\)/,
    { hostAudit: ['ingress'] },
  ],
  ['192.0.2.2 > node:here TCP/23', /^deny at policy/, { hostAudit: ['egress'] }],
  ['shop/client > shop/web TCP/81', /^audit at policy/, { auditedEndpoints: [1] }],
  ['shop/client > shop/web TCP/81', /^deny at policy/, { auditedEndpoints: [2] }],
  // Audit forgives what policy refuses, not what nothing serves.
  ['shop/client > shop/web TCP/80', /\(L7_PROXY_UNAVAILABLE\)$/, { auditedEndpoints: [1] }],
  ['192.0.2.2 > node:here TCP/23', /^allow at frame: the host firewall is off/, { mode: 'off' }],
  ['192.0.2.2 > node:here TCP/22', /^deny at policy: .* in mode failsafe/, { mode: 'failsafe' }],
  ['203.0.113.7 > node:here TCP/22', /^allow at failsafe/, { mode: 'failsafe' }],
  ['node:here > 192.0.2.53 UDP/53', /^allow at failsafe: entry 2/],
  ['node:here > 192.0.2.53 UDP/53', /^allow at policy/, {}, { device: 'eth0' }],
  // An answer out of nowhere passes by the entry only where answers arrive.
  ['192.0.2.53 > node:here UDP/40000', /^allow at failsafe: entry 2/, {}, { sourcePort: 53 }],
  ['192.0.2.53 > node:here UDP/161', /^deny at policy/, {}, { sourcePort: 53 }],
  ['shop/client > shop/web TCP/80', /^deny at policy: .* \(L7_PROXY_UNAVAILABLE\)$/],
  ['shop/client > shop/web TCP/80', /^redirect at policy: .* handed to a proxy$/, { hasProxy: true }],
  ['shop/client > shop/web TCP/81', /^deny at policy: ingress of shop\/web: refused \(POLICY_DENIED\)$/],
  ['shop/client > node:here TCP/22', /^deny at policy: ingress of node:here: refused/],
  ['192.0.2.2 > shop/web VRRP', /^deny at built-in: .* \(UNKNOWN_L4\)$/],
  ['192.0.2.2 > shop/web ICMPv6/137', /^deny at built-in: .* \(FORBIDDEN_ICMP6\)$/],
];
for (const [flow, want, facts, details] of cases) {
  const extra = [facts, details].filter((one) => one !== undefined && Object.keys(one).length > 0);
  test(`path – ${flow}${extra.map((one) => ` ${JSON.stringify(one)}`).join('')}: ${want.source}`, (t) => {
    t.regex(decided(node(facts), flow, details), want);
  });
}

test('path – every stage in order, and the hooks by name', (t) => {
  const run = node();
  const [result] = run.results(flowOf(run, 'shop/client > shop/web TCP/81'));
  t.deepEqual(
    result?.path?.map(({ hook, where, stages }) => [hook, where, stages.map(({ stage }) => stage)]),
    [
      ['pod egress', 'tcx ingress of lxc-client', ['addresses', 'built-in', 'flow', 'policy']],
      ['pod ingress', 'tcx egress of lxc-web', ['addresses', 'built-in', 'flow', 'policy']],
    ],
  );
  const [wire] = run.results(flowOf(run, '192.0.2.2 > node:here TCP/22'));
  t.deepEqual(
    wire?.path?.map(({ where, stages }) => [where, stages.map(({ stage }) => stage)]),
    [['tcx ingress of eth0 or eth1', ['frame', 'addresses', 'built-in', 'flow', 'failsafe', 'policy']]],
  );
});

test('path – what a proxy would answer is told beside the refusal', (t) => {
  const run = node();
  const flow = flowOf(run, 'shop/client > shop/web TCP/80');
  const withProxy = (method?: string) => {
    const request =
      method === undefined ? undefined : { kind: 'http' as const, method, path: '/', host: '', headers: {} };
    const side = run.results({ ...flow, request })[0]?.sides.find(({ direction }) => direction === 'ingress');
    return [side?.verdict, side?.reason, side?.withProxy];
  };
  t.deepEqual(withProxy(), ['deny', 'L7_PROXY_UNAVAILABLE', 'redirect']);
  t.deepEqual(withProxy('GET'), ['deny', 'L7_PROXY_UNAVAILABLE', 'allow']);
  t.deepEqual(withProxy('POST'), ['deny', 'L7_PROXY_UNAVAILABLE', 'deny']);
});

test('path – an address is judged by the labels that it had then', (t) => {
  const run = node({ hasProxy: true });
  const flow = flowOf(run, '10.0.0.1 > 10.0.0.2 TCP/80');
  t.is(
    run.results({ ...flow, from: { kind: 'ip', ip: '192.0.2.9' }, to: { kind: 'ip', ip: '10.0.0.1' } })[0]
      ?.verdict,
    'deny',
  );
  const labels = {
    '192.0.2.9': endpoint(2, 'client').labels.labels.map((l) => `${l.source}:${l.key}=${l.value}`),
  };
  t.is(
    run.results(
      { ...flow, from: { kind: 'ip', ip: '192.0.2.9' }, to: { kind: 'ip', ip: '10.0.0.1' } },
      { labels },
    )[0]?.verdict,
    'redirect',
  );
});
