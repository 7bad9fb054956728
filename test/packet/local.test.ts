/** Is an address the node's? Its bucket tells; where several share one, the table. Else the routes are asked. */
import test from 'ava';
import * as wire from '#wire/bpf';
import { address, tcp } from './builder.ts';
import { Fixture, LOCAL_BYTES, mapped, NODE, OTHER, prepare } from './fixture.ts';
import { FAMILIES, type Family, inbound } from './kit.ts';
import { askLocalTable, setLocalBucket } from './memories.ts';

let node: Fixture;

test.before(async () => {
  await prepare();
  node = new Fixture();
});
test.beforeEach(() => {
  node.reset();
  node.setControl({});
  for (const v of FAMILIES) node.setLocal(NODE[v]);
  askLocalTable(buckets());
});
test.after.always(() => node?.close());

const buckets = () => node.view('local_buckets', LOCAL_BYTES);
const MULTIPLIERS = [
  wire.EPOCH_MULTIPLIER0,
  wire.EPOCH_MULTIPLIER1,
  wire.EPOCH_MULTIPLIER2,
  wire.EPOCH_MULTIPLIER3,
].map(BigInt);

/** As bpf/types.h says. */
function bucketOf(text: string): number {
  const { bytes } = address(text);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const words = Array.from({ length: bytes.length / 4 }, (_, i) => BigInt(view.getUint32(4 * i, true)));
  const used = MULTIPLIERS.slice(4 - words.length);
  const sum = words.reduce((all, word, i) => all + word * (used[i] as bigint), 0n);
  return Number((sum & 0xffffffffn) >> BigInt(wire.EPOCH_SHIFT));
}

/** Whether the routes were asked about a packet to the node: nothing else knew it to be local. */
function isByRoute(v: Family): boolean {
  const { stats } = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S' })));
  return stats['LOCAL_BY_FIB'] === 1;
}

const says = (v: Family, state: number, addr: Uint8Array) =>
  setLocalBucket(buckets(), bucketOf(NODE[v]), state, addr);

for (const v of FAMILIES) {
  const family = v === 'v4' ? 4 : 6;
  test.serial(`local – ${v}: alone in its bucket an address is known without the table`, (t) => {
    node.removeLocal(NODE[v]);
    says(v, family, mapped(NODE[v]));
    t.false(isByRoute(v));
  });

  test.serial(`local – ${v}: a bucket without address, of another, of the other family has it not`, (t) => {
    for (const [state, text] of [
      [wire.LOCAL_NONE, NODE[v]],
      [family, OTHER[v]],
      [10 - family, NODE[v]],
    ] as const) {
      says(v, state, mapped(text));
      t.true(isByRoute(v), `${state} ${text}`);
    }
  });

  test.serial(`local – ${v}: where several share a bucket the table tells`, (t) => {
    t.false(isByRoute(v));
    node.removeLocal(NODE[v]);
    t.true(isByRoute(v));
  });
}
