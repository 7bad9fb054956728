import test from 'ava';
import type { PolicyMapView } from '#api';
import { originParts } from '#model';
import type { CompiledPolicy } from '#policy';
import { policyMap } from '../../../src/agent/view/policy-map.ts';
import type { ViewContext } from '../../../src/agent/view/context.ts';
import type { NumberNames } from '../../../src/agent/view/names.ts';
import { plainTables } from '../datapath/plain-tables.ts';
import { compileTwin, type World } from '../datapath/policy-model.ts';

const world = (verdict: 'allow' | 'deny'): World => ({
  identities: [256, 257],
  rules: [[{ labels: [1], ports: [80, 80], verdict }], []],
  endpoints: new Map([[7, 1]]),
});

/** What the verb shows when `held` was applied to memory and `wanted` is what was compiled. */
async function show(
  held: World,
  wanted: CompiledPolicy,
  subject = 'host',
): Promise<readonly PolicyMapView[]> {
  const { tables: policy, origins, endpoints } = plainTables();
  await policy.apply(compileTwin(held));
  const context = {
    loop: { enforced: { compiled: wanted } },
    datapath: {
      policy,
      endpoints: { rulesetInMemory: (id: number) => endpoints.map.get(id), isAuditedInMemory: () => false },
    },
    tables: { endpoints: { all: () => [{ id: 7, name: 'web', namespace: 'default' }] } },
  } as unknown as ViewContext;
  const names = {
    labels: (identity: number) => [`identity ${identity}`],
    rules: (origin: number) => originParts(origins.rulesOf(origin) ?? []).rules.map((id) => ({ id })),
    rule: (id: string) => ({ id }),
  } as unknown as NumberNames;
  return policyMap(context, names, subject);
}

const INGRESS = (rows: readonly PolicyMapView[]) => rows.filter((r) => r.direction === 'Ingress');

test('policyMap – what memory holds, when it is what was compiled', async (t) => {
  const rows = INGRESS(await show(world('allow'), compileTwin(world('allow'))));
  t.is(rows.length, 1);
  t.like(rows[0], { policy: 'Allow', identity: 256, labels: ['identity 256'], portProto: '80/TCP' });
  t.is(rows[0]?.differs, undefined);
});

test('policyMap – a verdict that differs is shown as memory has it, beside what was compiled', async (t) => {
  const [row, ...more] = INGRESS(await show(world('allow'), compileTwin(world('deny'))));
  t.deepEqual(more, []);
  t.like(row, { policy: 'Allow', identity: 256, portProto: '80/TCP' });
  t.regex(row?.differs ?? '', /^compiled is deny by /);
});

test('policyMap – a rule that memory lacks is a row that says so', async (t) => {
  const empty: World = { ...world('allow'), rules: [[], []] };
  const [row] = INGRESS(await show(empty, compileTwin(world('allow'))));
  t.like(row, { policy: 'Deny', identity: 256, portProto: '80/TCP' });
  t.regex(row?.differs ?? '', /^compiled is allow by /);
});

test('policyMap – an endpoint without a rule set in memory is a row that says so', async (t) => {
  const none = { ...world('allow'), endpoints: new Map<number, number>() };
  const [row] = INGRESS(await show(none, compileTwin(world('allow')), 'web'));
  t.is(row?.differs, 'the kernel does not enforce this direction');
});
