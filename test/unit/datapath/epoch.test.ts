import test from 'ava';
import fc from 'fast-check';
import { type Ip, parseIp } from '#kit/ip';
import * as wire from '#wire/bpf';
import { epochBucket, Epochs } from '../../../src/datapath/epoch.ts';

/** Straight from the words of bpf/types.h, in arbitrary precision. */
function bucketTwin(ip: Ip): number {
  const bytes = new Uint8Array(16);
  bytes.set(ip.bytes, 16 - ip.bytes.length);
  const view = new DataView(bytes.buffer);
  const factors = [
    wire.EPOCH_MULTIPLIER0,
    wire.EPOCH_MULTIPLIER1,
    wire.EPOCH_MULTIPLIER2,
    wire.EPOCH_MULTIPLIER3,
  ];
  const sum = factors.reduce((s, f, i) => s + BigInt(f) * BigInt(view.getUint32(4 * i, true)), 0n);
  return Number((sum & 0xffffffffn) >> BigInt(wire.EPOCH_SHIFT));
}

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes): Ip => ({ family: 4, bytes })),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes): Ip => ({ family: 6, bytes })),
);

test('epochBucket – is the hash that bpf/types.h describes', (t) => {
  fc.assert(fc.property(address, (ip) => epochBucket(ip) === bucketTwin(ip)));
  t.true(epochBucket(parseIp('255.255.255.255') as Ip) < wire.EPOCH_BUCKETS);
});

test('Epochs – the clock is stored before any bucket carries its time', (t) => {
  const live = new Uint32Array(wire.LIVE_STATE_SIZE / 4);
  const saved: number[] = [];
  const epochs = new Epochs(live, (clock) => saved.push(clock), 41);
  t.is(epochs.clock, 41);
  const ip = parseIp('192.0.2.7') as Ip;
  epochs.advance([ip]);
  t.is(live[wire.LIVE_STATE.clock / 4], 42);
  t.is(live[wire.LIVE_STATE.epoch / 4 + epochBucket(ip)], 42);
  t.is(live[wire.LIVE_STATE.epoch_wide / 4], 0);
  epochs.advance([], true);
  t.is(live[wire.LIVE_STATE.epoch_wide / 4], 43);
  t.deepEqual(saved, [42, 43], 'kept before anybody can see it');
});

test('Epochs – old buckets are pulled forward before order turns around', (t) => {
  const live = new Uint32Array(wire.LIVE_STATE_SIZE / 4);
  live[wire.LIVE_STATE.clock / 4] = 0xfffffff0;
  const epochs = new Epochs(live, () => {}, 0xfffffff0);
  live[wire.LIVE_STATE.epoch / 4 + 9] = 0xffffff00;
  epochs.pullForward();
  const now = live[wire.LIVE_STATE.clock / 4] as number;
  for (const at of [wire.LIVE_STATE.epoch_wide / 4, wire.LIVE_STATE.epoch / 4])
    t.is((now - (live[at] as number)) >>> 0, 2 ** 30);
  t.is(live[wire.LIVE_STATE.epoch / 4 + 9], 0xffffff00, 'young ones stay');
});
