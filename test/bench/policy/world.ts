/** What the compiler is measured with: policies of many namespaces, pods, prefixes and learnt names. */
import { parseCidr } from '#kit/ip';
import { type Label, labelSet } from '#kit/labels';
import {
  LABEL_CLUSTER,
  LABEL_NAMESPACE,
  NO_FACTS,
  type PeerSelector,
  type Policy,
  type PolicyFacts,
  type Requirement,
  type Rule,
  STANDALONE_POLICY_CONFIG,
} from '#model';
import type { CompileInput, EndpointAddresses } from '#policy';
import { Random } from '../../unit/policy/random.ts';

const NAMESPACES = 100;
const APPS = 40;
/** Domains that policies name. */
const FQDNS = 20;

const label = (key: string, value: string): Label => ({ source: 'k8s', key, value });
const equal = (key: string, value: string): Requirement => ({
  source: 'any',
  key,
  operator: 'In',
  values: [value],
});

function scoped(random: Random, namespace: string): PeerSelector {
  const requirements = [equal(LABEL_NAMESPACE, namespace), equal(LABEL_CLUSTER, 'default')];
  if (random.chance(80)) requirements.push(equal('app', `app-${random.below(APPS)}`));
  if (random.chance(30)) requirements.push(equal('tier', `tier-${random.below(4)}`));
  return { kind: 'labels', selector: { requirements } };
}

function outside(random: Random): PeerSelector {
  if (random.chance(20)) return { kind: 'fqdn', pattern: `*.svc-${random.below(FQDNS)}.example` };
  const cidr = parseCidr(`10.${random.below(256)}.${random.below(256)}.0/24`);
  if (cidr === undefined) throw new Error('not a prefix');
  return { kind: 'cidr', cidr, except: [] };
}

/** A policy of a namespace: a few ingress and egress rules with peers, ports, now and then a deny. */
export function policyOf(random: Random, index: number): Policy {
  const namespace = `ns-${index % NAMESPACES}`;
  const name = `policy-${index}`;
  const rule = (direction: Rule['direction'], i: number): Rule => ({
    id: `${namespace}/${name}/0/${direction}/${i}`,
    at: {},
    direction,
    verdict: random.chance(10) ? 'deny' : 'allow',
    tier: 0,
    priority: 0,
    peers: {
      kind: 'list',
      selectors: random.many(1, 3, () => (random.chance(75) ? scoped(random, namespace) : outside(random))),
    },
    ports: random.chance(20)
      ? { kind: 'any' }
      : { kind: 'list', matches: random.many(1, 2, () => port(random)) },
  });
  return {
    key: `CiliumNetworkPolicy/${namespace}/${name}`,
    kind: 'CiliumNetworkPolicy',
    namespace,
    name,
    at: {},
    source: 'bench',
    contentHash: String(index),
    specs: [
      {
        index: 0,
        subject: {
          kind: 'endpoints',
          selector: {
            requirements: [
              equal(LABEL_NAMESPACE, namespace),
              ...(random.chance(60) ? [equal('app', `app-${random.below(APPS)}`)] : []),
            ],
          },
        },
        defaultDeny: { ingress: true, egress: true },
        rules: [
          ...random.many(1, 3, (i) => rule('ingress', i)),
          ...random.many(1, 2, (i) => rule('egress', i)),
        ],
      },
    ],
  };
}

function port(random: Random) {
  const first = random.pick([53, 80, 443, 3306, 5432, 6379, 8080, 9090, random.below(60000) + 1]);
  return {
    kind: 'ports',
    protocol: random.pick([6, 6, 17]),
    first,
    last: first + (random.chance(10) ? 100 : 0),
  } as const;
}

export function podSet(random: Random, index: number) {
  return labelSet([
    label(LABEL_NAMESPACE, `ns-${index % NAMESPACES}`),
    label(LABEL_CLUSTER, 'default'),
    label('app', `app-${random.below(APPS)}`),
    label('tier', `tier-${random.below(4)}`),
    label('version', String(index)),
    label('io.cilium.k8s.policy.serviceaccount', 'default'),
  ]);
}

/** Everything that a control pass starts from, but for the numbers. */
export interface World extends Omit<CompileInput, 'identities'> {
  /** Pods of the cluster, of which the first ones are local. */
  readonly pods: readonly EndpointAddresses[];
  readonly facts: PolicyFacts;
}

/** Of `identities` nine tenths are pods, the rest prefixes of rules and learnt addresses. */
export function worldOf(policies: number, identities: number, endpoints: number): World {
  const random = new Random(1);
  const rules = Array.from({ length: policies }, (_, i) => policyOf(random, i));
  const pods = Array.from({ length: Math.floor(identities * 0.9) }, (_, i) => podOf(random, i));
  const names = Array.from({ length: Math.floor(identities * 0.05) }, (_, i) => learntOf(i));
  return {
    policies: rules,
    pods,
    endpoints: pods.slice(0, endpoints).map(({ labels }, i) => ({ id: i + 1, labels })),
    facts: { ...NO_FACTS, names },
    nodeLabels: labelSet([]),
    config: STANDALONE_POLICY_CONFIG,
  };
}

export function podOf(random: Random, index: number): EndpointAddresses {
  return {
    addresses: [`10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`],
    labels: podSet(random, index),
  };
}

/** An address of one of the names that policies ask for. */
export function learntOf(index: number) {
  return {
    name: `host-${index}.svc-${index % FQDNS}.example`,
    address: `198.18.${(index >> 8) & 255}.${index & 255}`,
  };
}
