/** Who an address is (policy.md §4.1, §4.2, §12.3; HF-4.1, HF-4.3). */
import test from 'ava';
import { labelSet, parseLabel } from '#kit/labels';
import { type Identity, NO_FACTS, type NodeRow, type PolicyConfig, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import { EMPTY_NUMBERING, numberingPast, type PrefixInput, PrefixMemo, prefixIdentities } from '#policy';
import { policy } from './cases.ts';

const labels = (...texts: string[]) =>
  labelSet(texts.map((text) => parseLabel(text)).filter((l) => l !== undefined));

function prefixes(given: Partial<PrefixInput>, config: Partial<PolicyConfig> = {}) {
  const output = prefixIdentities({
    policies: [],
    nodes: [],
    endpoints: [],
    localAddresses: [],
    numbering: EMPTY_NUMBERING,
    ...given,
    config: { ...STANDALONE_POLICY_CONFIG, ...config },
  });
  const sets = new Map(output.identities.map((row) => [row.id, row.labels.key]));
  return output.ipcache.map((row) => `${row.prefix} ${row.identity} ${sets.get(row.identity)}`);
}

const cidrs = (...list: string[]) =>
  parsePolicies(policy(`egress: [{toCIDR: [${list.map((text) => `"${text}"`).join(', ')}]}]`));
const node = (address: string, ...texts: string[]): NodeRow => ({
  name: 'b',
  cluster: 'default',
  addresses: [address],
  labels: labels(...texts),
});

test('prefixes – a policy prefix is the world with its own prefix, also inside another', (t) => {
  t.deepEqual(prefixes({ policies: cidrs('10.0.0.0/8', '10.1.0.0/16', '2001:db8::/32') }), [
    '10.0.0.0/8 16777216 cidr:10.0.0.0/8=;reserved:world-ipv4=',
    '10.1.0.0/16 16777217 cidr:10.1.0.0/16=;reserved:world-ipv4=',
    '2001:db8::/32 16777218 cidr:2001:db8::/32=;reserved:world-ipv6=',
  ]);
});

test('prefixes – an except is a prefix of its own', (t) => {
  const policies = parsePolicies(
    policy('egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.9.0.0/16]}]}]'),
  );
  t.is(prefixes({ policies }).length, 2);
});

test('prefixes – everything is the world and needs no row', (t) => {
  t.deepEqual(prefixes({ policies: cidrs('0.0.0.0/0', '::/0') }), []);
});

test('prefixes – with one family the world has no family in its name, and the other family no rows', (t) => {
  t.deepEqual(prefixes({ policies: cidrs('10.0.0.0/8', '2001:db8::/32') }, { ipv6: false }), [
    '10.0.0.0/8 16777216 cidr:10.0.0.0/8=;reserved:world=',
  ]);
});

test('prefixes – a node is remote-node, and with node matching it carries its prefix', (t) => {
  const nodes = [node('10.0.0.2')];
  t.deepEqual(prefixes({ nodes }, { cidrMatchNodes: false }), ['10.0.0.2/32 6 reserved:remote-node=']);
  t.deepEqual(prefixes({ nodes }), ['10.0.0.2/32 33554432 cidr:10.0.0.2/32=;reserved:remote-node=']);
});

test('prefixes – a node that backs the API server is kube-apiserver too', (t) => {
  t.deepEqual(prefixes({ nodes: [node('10.0.0.2', 'reserved:kube-apiserver')] }, { cidrMatchNodes: false }), [
    '10.0.0.2/32 7 reserved:kube-apiserver=;reserved:remote-node=',
  ]);
});

test('prefixes – node labels tell nodes apart only when asked to', (t) => {
  const nodes = [node('10.0.0.2', 'node:zone=a', 'k8s:x=y')];
  t.deepEqual(prefixes({ nodes }, { cidrMatchNodes: false, nodeSelectorLabels: true }), [
    '10.0.0.2/32 33554432 k8s:io.cilium.k8s.policy.cluster=default;node:zone=a;reserved:remote-node=',
  ]);
});

test('prefixes – local addresses are the host, one identity with all its prefixes', (t) => {
  t.deepEqual(prefixes({ localAddresses: ['10.0.0.1', '192.168.7.1'] }), [
    '10.0.0.1/32 1 cidr:10.0.0.1/32=;cidr:192.168.7.1/32=;reserved:host=',
    '192.168.7.1/32 1 cidr:10.0.0.1/32=;cidr:192.168.7.1/32=;reserved:host=',
  ]);
});

test('prefixes – of one address the host comes before a node, a node before an endpoint, both before a rule', (t) => {
  const address = '10.0.0.1';
  // Labels that come before the node's in the order of texts.
  const endpoints = [{ addresses: [address], labels: labels('container:app=web') }];
  const policies = cidrs('10.0.0.1/32');
  const all = { policies, endpoints, nodes: [node(address)], localAddresses: [address] };
  const none = { cidrMatchNodes: false };
  t.deepEqual(prefixes(all, none), ['10.0.0.1/32 1 reserved:host=']);
  t.deepEqual(prefixes({ ...all, localAddresses: [] }, none), ['10.0.0.1/32 6 reserved:remote-node=']);
  t.deepEqual(prefixes({ policies, endpoints }, none), ['10.0.0.1/32 256 container:app=web']);
});

test('prefixes – of two who claim an address the other keeps it when one goes, and nobody when both have', (t) => {
  const memo = new PrefixMemo();
  const nodes = [node('10.0.0.1')];
  const config = { ...STANDALONE_POLICY_CONFIG, cidrMatchNodes: false };
  const identities = (given: Partial<PrefixInput>) =>
    prefixIdentities(
      {
        ...{ policies: [], nodes: [], endpoints: [], localAddresses: [] },
        ...{ config, numbering: EMPTY_NUMBERING },
        ...given,
      },
      memo,
    ).ipcache.map((row) => `${row.prefix} ${row.identity}`);
  t.deepEqual(identities({ nodes, localAddresses: ['10.0.0.1'] }), ['10.0.0.1/32 1']);
  t.deepEqual(identities({ nodes }), ['10.0.0.1/32 6']);
  t.deepEqual(identities({}), []);
});

test('prefixes – a rule inside an endpoint’s prefix does not take it from the endpoint', (t) => {
  const endpoints = [{ addresses: ['10.244.1.0/24'], labels: labels('k8s:app=web') }];
  t.deepEqual(prefixes({ endpoints, policies: cidrs('10.244.1.128/25') }), [
    '10.244.1.0/24 256 k8s:app=web',
    '10.244.1.128/25 256 k8s:app=web',
  ]);
});

test('prefixes – labels given to a prefix are handed down, the longest counts, cidr only the own', (t) => {
  const given = [
    { prefix: '10.0.0.0/8', labels: labels('cidrgroup:team=net', 'cidrgroup:site=all') },
    { prefix: '10.1.0.0/16', labels: labels('cidrgroup:site=one') },
    { prefix: '10.1.2.3', labels: labels('fqdn:example.org') },
  ];
  t.deepEqual(prefixes({ prefixLabels: given }), [
    '10.0.0.0/8 16777216 cidr:10.0.0.0/8=;cidrgroup:site=all;cidrgroup:team=net;reserved:world-ipv4=',
    '10.1.0.0/16 16777217 cidr:10.1.0.0/16=;cidrgroup:site=one;cidrgroup:team=net;reserved:world-ipv4=',
    '10.1.2.3/32 16777218 cidr:10.1.2.3/32=;cidrgroup:site=one;cidrgroup:team=net;fqdn:example.org=;reserved:world-ipv4=',
  ]);
});

test('prefixes – an endpoint keeps the number somebody else gave it', (t) => {
  const endpoints = [
    { addresses: ['10.244.0.2'], labels: labels('k8s:app=web'), identity: 4711 as Identity },
  ];
  t.deepEqual(prefixes({ endpoints }), ['10.244.0.2/32 4711 k8s:app=web']);
});

test('prefixes – an endpoint without address has an identity all the same', (t) => {
  const { identities } = prefixIdentities({
    policies: [],
    nodes: [],
    localAddresses: [],
    endpoints: [{ addresses: [], labels: labels('k8s:app=web') }],
    numbering: EMPTY_NUMBERING,
    config: STANDALONE_POLICY_CONFIG,
  });
  t.true(identities.some((row) => row.id === 256));
});

test('prefixes – what is remembered follows the numbering that is handed in', (t) => {
  const rest = { nodes: [], endpoints: [], localAddresses: [], config: STANDALONE_POLICY_CONFIG };
  const memo = new PrefixMemo();
  const given = { ...rest, policies: cidrs('10.0.0.0/8') };
  const first = prefixIdentities({ ...given, numbering: EMPTY_NUMBERING }, memo);
  t.is(first.ipcache[0]?.identity, 16777216 as Identity);
  const past = numberingPast(EMPTY_NUMBERING, [16777299]);
  t.is(prefixIdentities({ ...given, numbering: past }, memo).ipcache[0]?.identity, 16777300 as Identity);
  t.is(
    prefixIdentities({ ...given, numbering: first.numbering }, memo).ipcache[0]?.identity,
    16777216 as Identity,
  );
});

test('prefixes – a group may have more prefixes than a call takes arguments', (t) => {
  t.timeout(600_000, 'two shared cores');
  const list = Array.from(
    { length: 130_000 },
    (_, i) => `${11 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`,
  );
  const row = { at: {}, source: 'test', contentHash: '' };
  const facts = { ...NO_FACTS, cidrGroups: [{ ...row, name: 'blocked', labels: {}, cidrs: list }] };
  t.is(prefixes({ facts }).length, list.length);
});
