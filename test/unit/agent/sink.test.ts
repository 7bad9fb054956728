import test from 'ava';
import { labelSet } from '#kit/labels';
import type { EndpointRow, Identity, IpcacheRow } from '#model';
import { Database, systemClock } from '#table';
import { datapathSink } from '../../../src/agent/sink.ts';
import { agentTables } from '../../../src/agent/tables.ts';

const endpoint = (id: number, state: EndpointRow['state'], address: string): EndpointRow => ({
  id,
  name: `e${id}`,
  namespace: 'default',
  ifindex: 10 + id,
  device: `lxc${id}`,
  addresses: [address],
  labels: labelSet([]),
  identity: (300 + id) as Identity,
  mac: '',
  netns: undefined,
  netnsCookie: 0n,
  state,
});
const row = (prefix: string, identity: number, isEndpoint = true): IpcacheRow => ({
  prefix,
  identity: identity as Identity,
  isEndpoint,
  isNode: false,
});

/** A sink over a datapath that only remembers. */
function bench() {
  const db = new Database({ clock: systemClock });
  const tables = agentTables(db);
  const ipcache = new Map<string, number>();
  let present: readonly number[] = [];
  const datapath = {
    ipcache: {
      update: (rows: readonly IpcacheRow[]) => {
        for (const { prefix, identity } of rows) ipcache.set(prefix, identity);
      },
      remove: (prefixes: readonly string[]) => {
        for (const prefix of prefixes) ipcache.delete(prefix);
      },
      prune: (rows: readonly IpcacheRow[]) => {
        ipcache.clear();
        for (const { prefix, identity } of rows) ipcache.set(prefix, identity);
      },
    },
    endpoints: {
      prune: (rows: readonly EndpointRow[], kept: ReadonlySet<number>) =>
        void (present = [...rows.map(({ id }) => id), ...kept]),
    },
  };
  const sink = datapathSink(datapath as unknown as Parameters<typeof datapathSink>[0], db, tables);
  return { db, tables, ipcache, sink, present: () => present, ids: () => [...tables.enforced.all()] };
}

const OWN = '10.0.0.7/32';

for (const [what, wanted] of [
  ['nothing is wanted of its address: it goes', undefined],
  ['another is wanted to have its address: it gets it', 400],
] as const)
  test(`sink – what is kept stays while all else changes; once it is not, and ${what}`, async (t) => {
    const { db, tables, ipcache, sink, present, ids } = bench();
    const [kept, other] = [endpoint(7, 'kept', '10.0.0.7'), endpoint(8, 'ready', '10.0.0.8')];
    ipcache.set(OWN, kept.identity);
    db.write((txn) => tables.endpoints.put(txn, kept));
    await sink.updateEndpoints([other]);
    t.deepEqual(present(), [8, 7]);
    t.deepEqual(
      ids().map(({ id, ifindex }) => [id, ifindex]),
      [
        [8, 18],
        [7, 17],
      ],
      'its device keeps its programs',
    );
    await sink.updateIpcache([row('10.0.0.8/32', 308), row(OWN, 2, false)]);
    t.is(ipcache.get(OWN), 307);
    await sink.pruneIpcache([row('10.0.0.8/32', 308), ...(wanted === undefined ? [] : [row(OWN, wanted)])]);
    t.deepEqual(Object.fromEntries(ipcache), { '10.0.0.8/32': 308, [OWN]: 307 });
    await sink.removeIpcache(['10.0.0.8/32']);
    t.deepEqual(Object.fromEntries(ipcache), { [OWN]: 307 });
    db.write((txn) => tables.endpoints.delete(txn, 7));
    await sink.updateEndpoints([other]);
    await sink.updateIpcache([]);
    await sink.removeIpcache([]);
    t.deepEqual(present(), [8]);
    t.is(ipcache.get(OWN), wanted);
  });

test('sink – a kept endpoint that is one like others again gets the identity that it is given', async (t) => {
  const { db, tables, ipcache, sink } = bench();
  ipcache.set(OWN, 307);
  db.write((txn) => tables.endpoints.put(txn, endpoint(7, 'kept', '10.0.0.7')));
  await sink.updateEndpoints([]);
  await sink.pruneIpcache([]);
  db.write((txn) => tables.endpoints.put(txn, endpoint(7, 'ready', '10.0.0.7')));
  await sink.updateEndpoints([endpoint(7, 'ready', '10.0.0.7')]);
  await sink.updateIpcache([row(OWN, 500)]);
  await sink.removeIpcache([]);
  t.is(ipcache.get(OWN), 500);
});

test('sink – an endpoint without a namespace is judged as long as it has a device', async (t) => {
  const { sink, present } = bench();
  const gone = { ...endpoint(8, 'disconnected', '10.0.0.8'), ifindex: 0 };
  await sink.updateEndpoints([endpoint(7, 'disconnected', '10.0.0.7'), gone]);
  t.deepEqual(present(), [7]);
});
