/** Random edits of a world, one row at a time: what stays the same stays the same object, as in the agent's tables. */
import type { PolicyFacts } from '#model';
import type { World } from '#oracle';
import { ADDRESSES } from './generate.ts';
import { NAMES } from './generate-proxy.ts';
import type { Random } from './random.ts';

type Edit = (world: World, other: World, random: Random) => World;

/** Adds a row of the other world, removes one (not the last), or puts one in another's place; at most `most`. */
function editedRows<R>(rows: readonly R[], others: readonly R[], most: number, random: Random): readonly R[] {
  const row = others.length === 0 ? undefined : random.pick(others);
  const at = random.below(Math.max(1, rows.length));
  const [adds, removes] = random.pick([
    [true, true],
    [rows.length < most, rows.length >= most],
    [rows.length <= 1, rows.length > 1],
  ]);
  return rows.toSpliced(
    at,
    removes && (rows.length > 1 || row !== undefined) ? 1 : 0,
    ...(adds && row !== undefined ? [row] : []),
  );
}

/** The same for rows that have a key: each key once. */
function editedByKey<R>(
  rows: readonly R[],
  others: readonly R[],
  keyOf: (row: R) => unknown,
  most: number,
  random: Random,
): readonly R[] {
  const edited = editedRows(rows, others, most, random);
  return edited.filter((row, i) => edited.findIndex((one) => keyOf(one) === keyOf(row)) === i);
}

const POLICIES_MOST = 6;
let copies = 0;

/** Policies are told apart by their names: the same one may come again as another. */
const policies: Edit = (world, other, random) => {
  const renamed = other.policies.map((policy) => {
    const mark = random.chance(50) ? '' : `-${++copies % 7}`;
    return { ...policy, key: policy.key + mark, name: policy.name + mark };
  });
  const most = Math.max(POLICIES_MOST, world.policies.length);
  return { ...world, policies: editedByKey(world.policies, renamed, (policy) => policy.key, most, random) };
};

const endpoints: Edit = (world, other, random) => ({
  ...world,
  endpoints: editedByKey(world.endpoints, other.endpoints, (endpoint) => endpoint.id, 6, random),
});

/** One endpoint gets another's labels or ports, or loses or gains an address; nobody has another's. */
const endpoint: Edit = (world, other, random) => {
  const from = random.pick(other.endpoints);
  const row = random.pick(world.endpoints);
  const own = [`10.244.0.${row.id + 1}`, `fd00:244::${row.id + 1}`, `10.244.${row.id}.0/24`];
  const part = random.pick([
    { labels: from.labels },
    { addresses: own.slice(0, random.below(3) + 1) },
    { namedPorts: from.namedPorts ?? [] },
  ]);
  return { ...world, endpoints: world.endpoints.map((one) => (one === row ? { ...one, ...part } : one)) };
};

const nodes: Edit = (world, other, random) => ({
  ...world,
  nodes: editedByKey(world.nodes, other.nodes, (node) => node.name, 4, random),
});

const addresses: Edit = (world, _other, random) => ({
  ...world,
  localAddresses: [...new Set(editedRows(world.localAddresses, LOCAL, 5, random))],
});

/** Nobody else's. */
const LOCAL = ['10.0.0.1', '192.168.7.1', 'fd00:10::1', 'fe80::1', '198.51.100.1', '10.9.9.9'];

/** A fact of one kind comes, goes, or becomes another. */
function factsOf<K extends keyof PolicyFacts>(
  kind: K,
  keyOf: (row: PolicyFacts[K][number]) => unknown,
  most: number,
): Edit {
  return (world, other, random) => {
    if (world.facts === undefined || other.facts === undefined) return world;
    type Row = PolicyFacts[K][number];
    const rows = editedByKey<Row>(world.facts[kind], other.facts[kind], keyOf, most, random);
    return { ...world, facts: { ...world.facts, [kind]: rows } };
  };
}

const learnt: Edit = (world, _other, random) => {
  if (world.facts === undefined) return world;
  const names = [{ name: random.pick(NAMES), address: random.pick(ADDRESSES) }];
  return { ...world, facts: { ...world.facts, names: editedRows(world.facts.names, names, 12, random) } };
};

const EDITS: readonly (readonly [weight: number, what: string, edit: Edit])[] = [
  [20, 'policy', policies],
  [10, 'endpoint', endpoints],
  [12, 'labels, addresses or ports of an endpoint', endpoint],
  [6, 'node', nodes],
  [5, 'local address', addresses],
  [12, 'name learnt or forgotten', learnt],
  [8, 'CIDR group', factsOf('cidrGroups', (group) => group.name, 3)],
  [8, 'Service', factsOf('services', (service) => service.key, 4)],
  [8, 'EndpointSlice', factsOf('endpointSlices', (slice) => slice.key, 3)],
  [5, 'cloud group', factsOf('cloudGroups', (group) => group.id, 2)],
  [3, 'API server', factsOf('apiservers', (address) => address, 2)],
  [2, 'label of the node', (world, other) => ({ ...world, nodeLabels: other.nodeLabels })],
  [1, 'option', (world, other) => ({ ...world, config: other.config })],
];

/** What edits there are, for tests that want to have seen each. */
export const KINDS: readonly string[] = EDITS.map(([, what]) => what);

/** One edit, with rows out of another world. */
export function edited(
  world: World,
  other: World,
  random: Random,
): { readonly what: string; readonly world: World } {
  return random.weighted(
    ...EDITS.map(([weight, what, edit]): [number, () => { what: string; world: World }] => [
      weight,
      () => ({ what, world: edit(world, other, random) }),
    ]),
  );
}
