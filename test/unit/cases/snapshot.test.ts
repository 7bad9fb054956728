/** What an agent sends is the world it has. */
import test from 'ava';
import { type NodeFacts, SnapshotRun, snapshotFromJson, snapshotToJson, viewOf } from '#cases';
import { MerlonError } from '#kit/errors';
import { DEFAULT_PARSE_OPTIONS } from '#model/parse';
import { EMPTY_NUMBERING } from '#policy';
import { randomFlow } from '../policy/flows.ts';
import { randomWorld } from '../policy/generate.ts';

const NODE: NodeFacts = {
  mode: 'enforce',
  hostAudit: [],
  auditedEndpoints: [],
  failsafe: [],
  builtins: { dhcp: true, fragNeeded: true, icmp6Redirect: false },
  hasProxy: false,
  devices: ['eth0'],
  endpointDevices: {},
};

function snapshot(seed: number) {
  const world = randomWorld(seed);
  const endpoints = world.endpoints.map((row) => ({ ...row, name: `pod/${row.id}` }));
  const given = { ...world, node: 'here', endpoints, numbering: EMPTY_NUMBERING };
  return { world, snapshot: { world: given, parse: DEFAULT_PARSE_OPTIONS, node: NODE } };
}

test('snapshot – goes through JSON without a change of any verdict', (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const { world, snapshot: before } = snapshot(seed);
    const after = snapshotFromJson(JSON.parse(JSON.stringify(snapshotToJson(before))));
    t.deepEqual(after.world.numbering, EMPTY_NUMBERING);
    const [a, b] = [viewOf(before.world), viewOf(after.world)];
    for (let i = 0; i < 20; i++) {
      const { subject, direction, peer, protocol, port } = randomFlow(world, seed * 1000 + i);
      t.is(a.identityOf(peer).identity, b.identityOf(peer).identity);
      const { identity } = a.identityOf(peer);
      t.deepEqual(
        a.judge(subject, direction, identity, protocol, port),
        b.judge(subject, direction, identity, protocol, port),
      );
    }
  }
});

test('snapshot – parties are endpoints by name or number, addresses of theirs, the node, entities', (t) => {
  const { snapshot: given } = snapshot(3);
  const run = new SnapshotRun(given);
  const [endpoint] = given.world.endpoints;
  t.deepEqual(run.party(endpoint?.name ?? ''), run.party(String(endpoint?.id)));
  t.deepEqual(run.party('node:here'), { kind: 'node', name: 'here' });
  t.deepEqual(run.party('entity:world'), { kind: 'entity', entity: 'world' });
  const error = t.throws(() => run.party('nobody/there'), { instanceOf: MerlonError });
  t.is(error?.code, 'CASE_REFERENCE');
});

test('snapshot – anything else is refused', (t) => {
  for (const json of [undefined, null, 7, [], {}, { world: {} }]) {
    t.is(t.throws(() => snapshotFromJson(json), { instanceOf: MerlonError })?.code, 'API_PROTOCOL');
  }
});

test('snapshot – between two endpoints each hook is at its own device, whichever the event came from', (t) => {
  const { snapshot: given } = snapshot(3);
  const [a, b] = given.world.endpoints;
  if (a === undefined || b === undefined) return t.fail('the world has two endpoints');
  const endpointDevices = { [a.id]: 'lxc-a', [b.id]: 'lxc-b' };
  const run = new SnapshotRun({ ...given, node: { ...NODE, endpointDevices } });
  const flow = {
    ...{ from: run.party(a.name), to: run.party(b.name), protocol: 6, port: 80, icmpCode: undefined },
    ...{ ct: 'new' as const, request: undefined, direction: 'both' as const },
  };
  const places = (direction: 'egress' | 'ingress' | 'both') =>
    run.results({ ...flow, direction }, { device: 'lxc-b' })[0]?.path?.map(({ where }) => where) ?? [];
  t.is(places('egress')[0], 'tcx ingress of lxc-a');
  t.is(places('ingress')[0], 'tcx egress of lxc-b');
  const host = run.results(
    { ...flow, from: run.party('203.0.113.9'), to: run.party('node:here') },
    { device: 'eth7' },
  );
  t.is(host[0]?.path?.[0]?.where, 'tcx ingress of eth7');
  t.deepEqual(run.devices, ['eth0', 'lxc-a', 'lxc-b']);
});
