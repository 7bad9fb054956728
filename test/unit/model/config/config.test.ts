import test from 'ava';
import { formatError } from '#kit/errors';
import {
  CONFIG_KEY_NAMES,
  CONFIG_KEYS,
  type ConfigKey,
  configChanges,
  errorFromProblem,
  type NodeConfig,
  nodeConfigOf,
  readNodeConfig,
} from '#model/config';
import { DESIGN_KEYS } from './design-keys.ts';

const HEAD = 'apiVersion: merlon.io/v1\nkind: NodeConfig\n';

/** Problems of a NodeConfig in the file `m.yaml`, without its header's two lines. */
function problemsOf(body: string): readonly string[] {
  const { problems } = readNodeConfig([{ file: 'm.yaml', text: HEAD + body }]);
  return problems.map((p) => formatError(errorFromProblem(p)));
}

function configOf(...bodies: readonly string[]): NodeConfig {
  return nodeConfigOf(bodies.map((body, i) => ({ file: `${i}.yaml`, text: HEAD + body })));
}

const values: readonly [what: string, body: string, key: ConfigKey, want: unknown][] = [
  ['true or false', 'enable-ipv6: false', 'enable-ipv6', false],
  ['a word', 'enable-policy: always', 'enable-policy', 'always'],
  ['a text that fits', 'cluster-name: dc-1', 'cluster-name', 'dc-1'],
  ['a number', 'hostfw: {ct: {maxTCP: 4096}}', 'hostfw.ct.maxTCP', 4096],
  [
    'ethertypes by name, number and hexadecimal',
    'hostfw: {strictEthertypes: [lldp, 35063, "0x8892", 0x88a4]}',
    'hostfw.strictEthertypes',
    ['lldp', 35063, 0x8892, 0x88a4],
  ],
  ['seconds', 'bpf-ct-timeout-regular-tcp: 600', 'bpf-ct-timeout-regular-tcp', 600],
  ['a duration', 'sources: {syncTimeout: 1m30s}', 'sources.syncTimeout', 90_000],
  ['a list of paths', 'sources: {directory: {paths: [/a, /b]}}', 'sources.directory.paths', ['/a', '/b']],
  [
    'CIDRs in their one form',
    'failsafe: {sshFrom: [10.1.2.3/8, "FD00::1"]}',
    'failsafe.sshFrom',
    ['10.0.0.0/8', 'fd00::1/128'],
  ],
  [
    'device patterns',
    'devices: {patterns: [eth+, "!eth3", bond0]}',
    'devices.patterns',
    ['eth+', '!eth3', 'bond0'],
  ],
  ['device patterns as Cilium writes them', 'devices: [eth+]', 'devices.patterns', ['eth+']],
  ['an alias of Cilium', 'policyEnforcementMode: never', 'enable-policy', 'never'],
  ['a label filter', 'identityLabels: ["k8s:app", "!team"]', 'identityLabels', ['k8s:app', '!team']],
  ['a label filter as text', 'identityLabels: "k8s:app !team"', 'identityLabels', ['k8s:app', '!team']],
  ['VRRP and IGMP of pods', 'extendedIPProtocols: true', 'enable-extended-ip-protocols', true],
  ['an alias of Helm, in a group', 'ipv6: {enabled: false}', 'enable-ipv6', false],
  ['an alias of Helm beside a key of that name', 'cluster: {name: east}', 'cluster-name', 'east'],
  [
    'labels',
    'labels: {role: worker, topology.kubernetes.io/zone: a}',
    'labels',
    { role: 'worker', 'topology.kubernetes.io/zone': 'a' },
  ],
  [
    'failsafe entries',
    'failsafe: {entries: [{direction: in, protocol: tcp, port: 22, cidrs: [10.0.0.0/8]}, {direction: out, protocol: ICMP}]}',
    'failsafe.entries',
    [
      { direction: 'in', protocol: 6, port: 22, endPort: 22, cidrs: ['10.0.0.0/8'], device: '' },
      { direction: 'out', protocol: 1, port: 0, endPort: 0, cidrs: ['0.0.0.0/0', '::/0'], device: '' },
    ],
  ],
  ['failsafe by itself', 'failsafe: {entries: auto}', 'failsafe.entries', 'auto'],
  ['no failsafe, understood', 'failsafe: {entries: [], iUnderstand: true}', 'failsafe.entries', []],
  ['a reserved key with its default', 'enable-wireguard: false\nhostfw: {guard: off}', 'hostfw.guard', 'off'],
  ['null for a value', 'enable-policy: null', 'enable-policy', 'default'],
  ['the mode off', 'hostfw: {mode: off}', 'hostfw.mode', 'off'],
  ['an empty match mode', 'policy-cidr-match-mode: []', 'policy-cidr-match-mode', []],
];
for (const [what, body, key, want] of values) {
  test(`config – reads ${what}`, (t) => t.deepEqual(configOf(body).values[key], want));
}

test('config – reads nodes with their labels', (t) => {
  const [node] =
    configOf('nodes: [{name: b, addresses: [10.0.0.2, "FD00::2"], labels: {a: x}, cluster: east}]').values
      .nodes ?? [];
  t.deepEqual(node && { ...node, labels: node.labels.key }, {
    name: 'b',
    cluster: 'east',
    addresses: ['10.0.0.2', 'fd00::2'],
    labels: 'node:a=x',
  });
});

const errors: readonly [what: string, body: string, want: string][] = [
  [
    'a key with a typo',
    'enable-polcy: always',
    'm.yaml:3:1: enable-polcy: unknown key (did you mean enable-policy?)',
  ],
  [
    'a key with a typo in a group',
    'hostfw:\n  mod: off',
    'm.yaml:4:3: hostfw.mod: unknown key in hostfw (did you mean mode?)',
  ],
  [
    'a key outside its group',
    'sshFrom: []',
    'm.yaml:3:1: sshFrom: unknown key (did you mean failsafe.sshFrom?)',
  ],
  [
    'a key like nothing',
    'zzzzzzzzzzzzzz: 1',
    'm.yaml:3:1: zzzzzzzzzzzzzz: unknown key (see `merlon config view` for all keys)',
  ],
  [
    'a word that is none',
    'enable-policy: allways',
    'm.yaml:3:16: enable-policy: "allways" is not one of default, always, never (did you mean always?)',
  ],
  [
    'a text for a boolean',
    'enable-ipv6: "no"',
    'm.yaml:3:14: enable-ipv6: expected true or false, found the text "no" (write false, without quotes)',
  ],
  [
    'a number out of range',
    'hostfw: {ct: {maxTCP: 5}}',
    'm.yaml:3:23: hostfw.ct.maxTCP: 5 is not between 4096 and 16777216 (run `merlon config check`)',
  ],
  [
    'a number in quotes',
    'bpf-ct-timeout-regular-tcp: "60"',
    'm.yaml:3:29: bpf-ct-timeout-regular-tcp: expected a whole number, found the text "60" (remove the quotes)',
  ],
  [
    'a duration without unit',
    'sources: {syncTimeout: 300}',
    'm.yaml:3:24: sources.syncTimeout: "300" is no duration (write it as 30s, 5m or 24h)',
  ],
  [
    'a duration out of range',
    'sources: {syncTimeout: 2h}',
    'm.yaml:3:24: sources.syncTimeout: 2h is not between 10s and 1h',
  ],
  [
    'a path that is not absolute',
    'sources: {directory: {paths: [manifests]}}',
    'm.yaml:3:31: sources.directory.paths[0]: "manifests" is not an absolute path (for example /etc/merlon/manifests.d)',
  ],
  [
    'a CIDR that is none',
    'failsafe: {sshFrom: [10.0.0.0/40]}',
    'm.yaml:3:22: failsafe.sshFrom[0]: "10.0.0.0/40" is no CIDR (write it as 10.0.0.0/8 or fd00::/8)',
  ],
  [
    "the trap of Cilium's labels",
    'labels: ["k8s:app"]',
    'm.yaml:3:9: labels: expected the labels of the node (a map), found a list (the filter of identity labels, which Cilium calls labels, is identityLabels here)',
  ],
  [
    'a label that is none',
    'labels: {"a b": c}',
    'm.yaml:3:10: labels["a b"]: "a b=c" is no label: the name must be letters, digits, "-", "_", "." with a letter or digit at both ends',
  ],
  [
    'a node without address',
    'nodes: [{name: a, addresses: []}]',
    'm.yaml:3:30: nodes[0].addresses: a node needs at least one address',
  ],
  [
    'a node with a prefix for an address',
    'nodes: [{name: a, addresses: [10.0.0.0/8]}]',
    'm.yaml:3:31: nodes[0].addresses[0]: "10.0.0.0/8" is no address (a node is known by single addresses)',
  ],
  [
    'one node twice',
    'nodes: [{name: a, addresses: [10.0.0.1]}, {name: a, addresses: [10.0.0.2]}]',
    'm.yaml:3:8: nodes: the node "a" stands twice in the list (keep one of them)',
  ],
  [
    'a failsafe entry without port',
    'failsafe: {entries: [{direction: in, protocol: TCP}]}',
    'm.yaml:3:22: failsafe.entries[0]: port is missing (every failsafe entry names its port)',
  ],
  [
    'a failsafe entry of no direction',
    'failsafe: {entries: [{direction: up, protocol: TCP, port: 1}]}',
    'm.yaml:3:34: failsafe.entries[0].direction: "up" is not one of in, out',
  ],
  [
    'no failsafe, not understood',
    'failsafe: {entries: []}',
    'm.yaml:3:12: failsafe.entries is empty: nothing would keep a way in open (list entries, write auto, or set failsafe.iUnderstand: true)',
  ],
  [
    'a label filter that is none',
    'identityLabels: ["k8s:(app"]',
    'm.yaml:3:18: identityLabels[0]: "k8s:(app" is no entry of a label filter: a ( without its ) (write it as k8s:app or !io\\.kubernetes)',
  ],
  [
    'a label filter that names no key',
    'identityLabels: ["k8s:!"]',
    'm.yaml:3:18: identityLabels[0]: "k8s:!" is no entry of a label filter: it names no key (write it as k8s:app or !io\\.kubernetes)',
  ],
  [
    'one key in two spellings',
    'enable-policy: always\npolicyEnforcementMode: never',
    'm.yaml:4:1: policyEnforcementMode: policyEnforcementMode and line 3 set the same key enable-policy (keep one of them)',
  ],
  [
    'both families off',
    'enable-ipv4: false\nenable-ipv6: false',
    'm.yaml:4:1: enable-ipv4 and enable-ipv6 are both false (keep one of them on)',
  ],
  [
    'a guard that does not exist yet',
    'hostfw: {guard: auto}',
    'm.yaml:3:10: hostfw.guard: auto is not supported yet (remove it, or write "off")',
  ],
  [
    'a mode that does not exist',
    'hostfw: {mode: observe}',
    'm.yaml:3:16: hostfw.mode: "observe" is not one of enforce, audit, failsafe, off',
  ],
  [
    'a feature that does not exist yet',
    'enable-wireguard: true',
    'm.yaml:3:1: enable-wireguard, set to anything but its default, is not supported yet (remove it, or write false)',
  ],
  [
    'probes, which do not exist yet',
    'probes: [{name: a, tcp: "10.0.0.1:22"}]',
    'm.yaml:3:1: probes is not supported yet (remove it)',
  ],
  [
    'Kubernetes, which does not exist yet',
    'sources: {kubernetes: {kubeconfig: in-cluster}}',
    'm.yaml:3:24: sources.kubernetes.kubeconfig is not supported yet (remove it)',
  ],
  [
    'Kubernetes without anything',
    'sources: {kubernetes: {}}',
    'm.yaml:3:11: sources.kubernetes: reading from Kubernetes is not supported yet (remove it; manifests come from sources.directory)',
  ],
  ['a list for the whole', '- a', 'm.yaml:3:1: not valid YAML: '],
];
for (const [what, body, want] of errors) {
  test(`config – refuses ${what}`, (t) => {
    const problems = problemsOf(body);
    const isFound = problems.some((p) => (want.endsWith(': ') ? p.startsWith(want) : p === want));
    t.true(isFound, `wanted\n${want}\ngot\n${problems.join('\n') || 'no problem'}`);
  });
}

test('config – refuses another kind, another version and a missing header', (t) => {
  const first = (text: string) => readNodeConfig([{ file: 'm.yaml', text }]).problems[0]?.message;
  t.is(first('apiVersion: merlon.io/v1\nkind: Workload\n'), 'kind: "Workload" is not NodeConfig');
  t.is(
    first('apiVersion: merlon.io/v2\nkind: NodeConfig\n'),
    'apiVersion: "merlon.io/v2" is not merlon.io/v1',
  );
  t.is(first('enable-policy: always\n'), 'apiVersion is missing');
});

test('config – a later file wins, maps merge, lists are replaced, origins are known', (t) => {
  const config = configOf(
    'labels: {a: x, b: y}\ndevices: {patterns: [eth0, eth1], requireAll: true}\nenable-policy: always',
    'labels: {b: z}\ndevices: {patterns: [eth9]}',
  );
  t.deepEqual(config.values.labels, { a: 'x', b: 'z' });
  t.deepEqual(config.values['devices.patterns'], ['eth9']);
  t.true(config.values['devices.requireAll']);
  const origins = config.entries
    .filter((e) => e.at !== undefined)
    .map((e) => `${e.key} ${e.at?.file}:${e.at?.line}`);
  t.deepEqual(origins, [
    'labels 1.yaml:3',
    'devices.patterns 1.yaml:4',
    'devices.requireAll 0.yaml:4',
    'enable-policy 0.yaml:5',
  ]);
  t.is(config.mode, 'standalone');
});

test('config – nothing at all is the defaults', (t) => {
  const config = nodeConfigOf([]);
  t.is(config.entries.length, CONFIG_KEY_NAMES.length);
  t.deepEqual(config.values['sources.directory.paths'], ['/etc/merlon/manifests.d']);
  t.is(config.entries.find((e) => e.key === 'sources.syncTimeout')?.shown, '5m');
});

test('config – a change names the keys and those that need a restart', (t) => {
  const before = configOf('enable-policy: always\ncluster-name: a');
  const after = configOf('enable-policy: never\ncluster-name: b');
  t.deepEqual(configChanges(before, after), {
    changed: ['cluster-name', 'enable-policy'],
    needsRestart: ['cluster-name'],
  });
});

test('config – every key set to its default is accepted, if it has one', (t) => {
  for (const key of CONFIG_KEY_NAMES) {
    const { standalone, type } = CONFIG_KEYS[key];
    // This one is there only where Kubernetes is, which is refused by itself.
    if (standalone === undefined || key === 'sources.kubernetes.guard') continue;
    const shown = type.format === undefined ? standalone : type.format(standalone);
    const text = key.split('.').reduceRight<unknown>((value, part) => ({ [part]: value }), shown);
    t.deepEqual(
      problemsOf(JSON.stringify(text).slice(1, -1).replace('":', '": ')).map((p) => `${key}: ${p}`),
      [],
    );
  }
});

test('config – every key of a feature to come is refused with one sentence when it is set', (t) => {
  const samples: readonly unknown[] = [
    true,
    false,
    12345,
    'x',
    '10.0.0.0/8',
    '/x',
    '7s',
    '20s',
    ['x'],
    ['10.0.0.0/8'],
    [1],
    '1,2',
    '10%',
    'JLfvgnHc2kaSUFaI',
    ':1',
    'abc',
    300,
    ['debug'],
    ...CONFIG_KEY_NAMES.flatMap((k) => CONFIG_KEYS[k].type.name.split(', ')),
  ];
  for (const key of CONFIG_KEY_NAMES) {
    if (CONFIG_KEYS[key].support !== 'default' || key === 'sources.kubernetes.guard') continue;
    const isRefused = samples.some((sample) => {
      const tree = key.split('.').reduceRight<unknown>((value, part) => ({ [part]: value }), sample);
      const text = JSON.stringify({ apiVersion: 'merlon.io/v1', kind: 'NodeConfig', ...(tree as object) });
      const { problems } = readNodeConfig([{ file: 'm', text }]);
      return (
        problems.length === 1 &&
        problems[0]?.code === 'NOT_SUPPORTED_YET' &&
        problems[0].message.startsWith(key)
      );
    });
    t.true(isRefused, key);
  }
});

test('config – every spelling belongs to one key', (t) => {
  const all = CONFIG_KEY_NAMES.flatMap((key) => [key, ...CONFIG_KEYS[key].aliases]);
  t.is(new Set(all).size, all.length);
});

test('config – no key of the design is unknown', (t) => {
  const known = CONFIG_KEY_NAMES.flatMap((key) => [key, ...CONFIG_KEYS[key].aliases]);
  const missing = DESIGN_KEYS.filter((key) => !known.some((k) => k === key || k.startsWith(`${key}.`)));
  t.deepEqual(missing, []);
});
