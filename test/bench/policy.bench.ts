/**
 * How long the compiler takes and what it leaves behind: policies × identities × local endpoints. Run with
 * `node --expose-gc test/bench/policy.bench.ts [-o json]`.
 */
import { parseCidr } from '#kit/ip';
import { type Label, labelSet } from '#kit/labels';
import {
  type Identity,
  type IdentityRow,
  LABEL_CLUSTER,
  LABEL_NAMESPACE,
  type PeerSelector,
  type Policy,
  type Requirement,
  type Rule,
  STANDALONE_POLICY_CONFIG,
} from '#model';
import { CompileMemo, type CompileInput, type CompiledPolicy, compile } from '#policy';
import { Random } from '../unit/policy/random.ts';

const NAMESPACES = 100;
const APPS = 40;

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
  const cidr = parseCidr(`10.${random.below(256)}.${random.below(256)}.0/24`);
  if (cidr === undefined) throw new Error('not a prefix');
  return { kind: 'cidr', cidr, except: [] };
}

/** A policy of a namespace: a few ingress and egress rules with peers, ports, now and then a deny. */
function policyOf(random: Random, index: number): Policy {
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

function podSet(random: Random, index: number) {
  return labelSet([
    label(LABEL_NAMESPACE, `ns-${index % NAMESPACES}`),
    label(LABEL_CLUSTER, 'default'),
    label('app', `app-${random.below(APPS)}`),
    label('tier', `tier-${random.below(4)}`),
    label('version', String(index)),
    label('io.cilium.k8s.policy.serviceaccount', 'default'),
  ]);
}

/** `identities`: nine tenths pods, the rest prefixes. */
export function input(policies: number, identities: number, endpoints: number): CompileInput {
  const random = new Random(1);
  const pods = Math.floor(identities * 0.9);
  const rows: IdentityRow[] = Array.from({ length: pods }, (_, i) => ({
    id: (256 + i) as Identity,
    labels: podSet(random, i),
  }));
  for (let i = 0; i < identities - pods; i++) {
    const prefix = { source: 'cidr', key: `10.${i % 256}.${i >> 8}.0/24`, value: '' };
    rows.push({
      id: ((1 << 24) + i) as Identity,
      labels: labelSet([prefix, { source: 'reserved', key: 'world-ipv4', value: '' }]),
    });
  }
  return {
    policies: Array.from({ length: policies }, (_, i) => policyOf(random, i)),
    identities: rows,
    endpoints: Array.from({ length: endpoints }, (_, i) => ({
      id: i + 1,
      labels: rows[i]?.labels ?? labelSet([]),
    })),
    nodeLabels: labelSet([]),
    config: STANDALONE_POLICY_CONFIG,
  };
}

interface Result {
  readonly name: string;
  readonly ms: number;
  readonly mib: number;
  readonly identityClasses: number;
  readonly portClasses: number;
  readonly ruleSets: number;
  readonly cells: number;
}

function measure(policies: number, identities: number, endpoints: number): Result {
  const given = input(policies, identities, endpoints);
  compile(given);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const times: number[] = [];
  let compiled: CompiledPolicy | undefined;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    compiled = compile(given);
    times.push(performance.now() - start);
  }
  globalThis.gc?.();
  const after = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const cells = (compiled?.ruleSets ?? []).map(
    ({ directions: { ingress, egress } }) =>
      ingress.rowCount * ingress.columnCount + egress.rowCount * egress.columnCount,
  );
  return {
    name: `policy_compile_${policies}x${identities}x${endpoints}`,
    ms: Number((times.sort((a, b) => a - b)[2] ?? 0).toFixed(1)),
    mib: Number(((after - before) / 2 ** 20).toFixed(1)),
    identityClasses: compiled?.identityClasses.length ?? 0,
    portClasses: compiled?.portClasses.length ?? 0,
    ruleSets: compiled?.ruleSets.length ?? 0,
    cells: cells.reduce((sum, n) => sum + n, 0),
  };
}

interface Change {
  readonly name: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What one change costs once everything was compiled: an identity of a known kind, a policy with another port. */
function changes(policies: number, identities: number, endpoints: number): readonly Change[] {
  const memo = new CompileMemo();
  let given = input(policies, identities, endpoints);
  compile(given, memo);
  const random = new Random(2);
  const addIdentity = (i: number): CompileInput => {
    const id = (60_000 + i) as Identity;
    return { ...given, identities: [...given.identities, { id, labels: podSet(random, 100_000 + i) }] };
  };
  const editPolicy = (i: number): CompileInput => {
    const at = random.below(policies);
    const edited = { ...policyOf(new Random(1000 + i), at), contentHash: `edit ${i}` };
    return { ...given, policies: given.policies.map((policy, n) => (n === at ? edited : policy)) };
  };
  return [
    { name: 'policy_add_identity', next: addIdentity },
    { name: 'policy_edit_policy', next: editPolicy },
  ].map(({ name, next }) => {
    const times = Array.from({ length: 200 }, (_, i) => {
      given = next(i);
      const start = performance.now();
      compile(given, memo);
      return performance.now() - start;
    }).sort((a, b) => a - b);
    return { name, p50Ms: Number(times[100]?.toFixed(2)), p99Ms: Number(times[198]?.toFixed(2)) };
  });
}

if (import.meta.main) {
  const results = [measure(10, 10_000, 100), measure(100, 10_000, 100), measure(1000, 10_000, 100)];
  const changed = changes(1000, 10_000, 100);
  if (process.argv.includes('json')) console.log(JSON.stringify([...results, ...changed]));
  else {
    console.table(results);
    console.table(changed);
    const base = results[0]?.ms ?? 1;
    console.log(results.map((r) => `${r.name}: ${(r.ms / base).toFixed(1)} times the first`).join('\n'));
  }
}
