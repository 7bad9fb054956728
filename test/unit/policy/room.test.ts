/** Rules of one subject that overlap without end are refused before they take all memory, and only they. */
import test from 'ava';
import { labelSet } from '#kit/labels';
import { type Policy, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import { compile, CompileMemo, EMPTY_NUMBERING, prefixIdentities } from '#policy';

const LABELS = labelSet([{ source: 'k8s', key: 'io.kubernetes.pod.namespace', value: 'default' }]);

function compiled(policies: readonly Policy[], memo: CompileMemo) {
  const world = {
    policies,
    endpoints: [{ id: 1, labels: LABELS, addresses: ['10.0.0.1'] }],
    nodes: [],
    localAddresses: [],
    nodeLabels: labelSet([]),
    config: STANDALONE_POLICY_CONFIG,
  };
  const { identities } = prefixIdentities({ ...world, numbering: EMPTY_NUMBERING });
  return compile({ ...world, identities }, memo);
}

const rules = (count: number, rule: (i: number) => string): readonly Policy[] =>
  parsePolicies(`
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: many}
spec: {endpointSelector: {}, egress: [${Array.from({ length: count }, (_, i) => rule(i)).join()}]}
`);

const cases: readonly [what: string, rule: (i: number) => string][] = [
  [
    'ranges of ports',
    (i) => `{toPorts: [{ports: [{port: ${i + 1}, endPort: ${i + 30_000}, protocol: TCP}]}]}`,
  ],
  [
    'prefixes with exceptions',
    (i) => `{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.${i >> 8}.${i & 255}/32]}]}`,
  ],
];
for (const [what, rule] of cases) {
  test(`compile – ${what} that overlap: hundreds have room, thousands have none and leave nothing behind`, (t) => {
    const memo = new CompileMemo();
    const few = rules(200, rule);
    const before = compiled(few, memo);
    t.throws(() => compiled(rules(3000, rule), memo), { code: 'POLICY_NO_ROOM' } as never);
    t.deepEqual(compiled(few, memo), before);
  });
}
