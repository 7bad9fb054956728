/** What stays in force for a subject whose rules exclude each other (policy.md §9.6), and for how long. */
import test from 'ava';
import type { Policy } from '#model';
import { evaluate, type World } from '#oracle';
import { conflictsOf, type HeldPolicies, heldInOrder, heldPolicies } from '#policy';
import { compileWorld, flowText } from './compiled-world.ts';
import { clusterPolicy, policy, world } from './cases.ts';
import { randomFlow } from './flows.ts';
import { randomWorld } from './generate.ts';
import { Random } from './random.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);
const EVERYBODY = new Set<number | 'host'>(['host', 1, 2, 3]);
const NONE: HeldPolicies = new Map();

const on80 = (rules: string) =>
  `ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {${rules}}}]}]`;
const http = policy(on80('http: [{method: GET}]'), 'http');
const kafka = policy(on80('kafka: [{topic: a}]'), 'kafka');
const ssh = policy('ingress: [{toPorts: [{ports: [{port: "22", protocol: TCP}]}]}]', 'ssh');
const policies = (text: string): readonly Policy[] => world(text).policies;
const names = (held: HeldPolicies) => held.get(1)?.map((p) => p.name);

test('held – subjects and the two rules are named', (t) => {
  t.deepEqual(
    [...conflictsOf(world(http + kafka))],
    [[1, ['shop/http/0/ingress/0', 'shop/kafka/0/ingress/0']]],
  );
});

test('held – where nothing is enforced nothing excludes anything', (t) => {
  t.is(conflictsOf(world(http + kafka, { enforcement: 'never' })).size, 0);
  const host = (mode: string) =>
    clusterPolicy(
      `nodeSelector: {}, ingress: [{fromEntities: [world], authentication: {mode: ${mode}}}]`,
      mode,
    );
  const both = host('required') + host('disabled');
  t.deepEqual([...conflictsOf(world(both, { hostFirewall: true })).keys()], ['host']);
  t.is(conflictsOf(world(both, { hostFirewall: false })).size, 0);
});

test('held – the policies of before stay until nothing contradicts', (t) => {
  const first = world(http);
  const both = world(http + kafka + ssh);
  const held = heldPolicies(both, { policies: first.policies, held: NONE, subjects: EVERYBODY });
  t.deepEqual(names(held), ['http']);
  const still = heldPolicies(world(kafka + http), { policies: both.policies, held, subjects: EVERYBODY });
  t.deepEqual(names(still), ['http'], 'what is held is held on');
  const solved = heldPolicies(world(kafka), { policies: both.policies, held: still, subjects: EVERYBODY });
  t.deepEqual(names(solved), undefined);
});

test('held – what is held is the old content of a policy that changed', (t) => {
  const before = policies(ssh + http.replace('name: http', 'name: one'));
  const after = world(
    http.replace('name: http', 'name: one').replace('http: [{method: GET}]', 'http: [{}]') + kafka,
  );
  const held = heldPolicies(after, { policies: before, held: NONE, subjects: EVERYBODY });
  const byName = (all: readonly Policy[] = []) => [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
  t.deepEqual(byName(held.get(1)), byName(before));
});

test('held – a subject that was not there has nothing to keep, and what is excluded passes nothing', (t) => {
  const both = world(http + kafka + ssh);
  const held = heldPolicies(both, { policies: [], held: NONE, subjects: new Set() });
  t.is(held.size, 0);
  const { cellOf } = compileWorld({ ...both, held });
  const peer = both.endpoints[1]?.labels ?? 'unknown';
  const verdict = (port: number) => cellOf({ subject: 1, direction: 'ingress', peer, protocol: 6, port });
  t.is(verdict(80).proxy?.parser, 'conflict');
  t.is(verdict(22).verdict, 'allow');
});

test('held – a subject that had no policy keeps none', (t) => {
  const held = heldPolicies(world(http + kafka), { policies: [], held: NONE, subjects: EVERYBODY });
  t.deepEqual(names(held), []);
});

test('held – what could not be computed before is no policy to keep', (t) => {
  const both = policies(http + kafka);
  const held = heldPolicies(world(http + kafka + ssh), { policies: both, held: NONE, subjects: EVERYBODY });
  t.is(held.size, 0);
});

test('held – of a policy that a pod keeps only what is for pods is its', (t) => {
  const pods = `{endpointSelector: {matchLabels: {app: web}}, ${on80('http: [{method: GET}]')}}`;
  const nodes = '{nodeSelector: {}, ingressDeny: [{fromEntities: [all]}]}';
  const one = clusterPolicy('', 'one').replace('spec: {}', `specs: [${pods}, ${nodes}]`);
  const given = world(one + kafka);
  const held = heldInOrder(given);
  t.deepEqual(names(held), ['one']);
  const { cellOf } = compileWorld({ ...given, held });
  const peer = given.endpoints[1]?.labels ?? 'unknown';
  t.is(cellOf({ subject: 1, direction: 'ingress', peer, protocol: 6, port: 80 }).proxy?.parser, 'http');
});

/** Policies one by one, as the words say it: an endpoint takes up the new ones, or keeps what it has. */
function imported(given: World): ReadonlyMap<number | 'host', readonly Policy[]> {
  const force = new Map<number | 'host', readonly Policy[]>();
  for (const subject of ['host', ...given.endpoints.map((e) => e.id)] as const) {
    force.set(subject, []);
    given.policies.forEach((_, i) => {
      const all = given.policies.slice(0, i + 1);
      if (!conflictsOf({ ...given, policies: all }).has(subject)) force.set(subject, all);
    });
  }
  return force;
}

test(`held – tables and oracle agree on worlds in which policies exclude each other (seed ${seed})`, (t) => {
  t.timeout(60_000, 'two shared cores');
  const random = new Random(seed);
  let conflicts = 0;
  for (let worlds = 0; worlds < 60 || conflicts === 0; worlds++) {
    const worldSeed = random.below(2 ** 31);
    const given = randomWorld(worldSeed);
    const held = heldInOrder(given);
    const force = imported(given);
    conflicts += held.size;
    const { cellOf } = compileWorld({ ...given, held });
    for (let i = 0; i < 20; i++) {
      const flow = randomFlow(given, worldSeed + 104729 * i);
      const want = evaluate({ ...given, held: new Map([...force]) }, flow);
      const { verdict, origin } = cellOf(flow);
      const at = `world ${worldSeed}: ${flowText(flow)}`;
      t.deepEqual([verdict, ...origin], [want.verdict, ...want.rules], at);
    }
  }
});
