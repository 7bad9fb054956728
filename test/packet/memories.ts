/** What the programs remember besides flows: refusals told of, ports that serve, who is local. */
import { type Fd, mapLookup, mapUpdate, possibleCpus } from '#native';
import * as wire from '#wire/bpf';

const key = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);
const reports = (): Uint8Array<ArrayBuffer> => new Uint8Array(possibleCpus() * wire.DROP_REPORT_SIZE);

/** Empties the table of refusals told of. */
export function forgetDrops(table: Fd): void {
  const empty = reports();
  for (let i = 0; i < wire.DROP_REPORTS; i++) mapUpdate(table, key(i), empty);
}

/** All refusals told of become so many seconds older. */
export function ageDrops(table: Fd, seconds: number): void {
  const all = reports();
  const view = new DataView(all.buffer);
  for (let i = 0; i < wire.DROP_REPORTS; i++) {
    mapLookup(table, key(i), all);
    for (let at = wire.DROP_REPORT.since; at < all.length; at += wire.DROP_REPORT_SIZE)
      view.setUint32(at, view.getUint32(at, true) - seconds, true);
    mapUpdate(table, key(i), all);
  }
}

/** Sockets of the node's wait for anybody at these UDP ports; `bits` is the mapped table. */
export function setUdpServers(bits: DataView, ports: readonly number[]): void {
  new Uint8Array(bits.buffer).fill(0);
  for (const port of ports) bits.setUint8(port >> 3, bits.getUint8(port >> 3) | (1 << (port & 7)));
}

/** What a bucket says of local addresses. */
export function setLocalBucket(buckets: DataView, bucket: number, state: number, addr: Uint8Array): void {
  wire.writeLocalBucket(buckets, bucket * wire.LOCAL_BUCKET_SIZE, { addr, state });
}

/** No bucket says anything: the tables of local addresses are asked. */
export function askLocalTable(buckets: DataView): void {
  for (let i = 0; i < wire.EPOCH_BUCKETS; i++)
    setLocalBucket(buckets, i, wire.LOCAL_SEVERAL, new Uint8Array(16));
}
