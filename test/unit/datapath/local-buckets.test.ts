import test from 'ava';
import { parseIp, type Ip } from '#kit/ip';
import { EPOCH_BUCKETS, LOCAL_BUCKET_SIZE, LOCAL_NONE, LOCAL_SEVERAL, readLocalBucket } from '#wire/bpf';
import { epochBucket } from '../../../src/datapath/epoch.ts';
import { mappedBytes } from '../../../src/datapath/keys.ts';
import { LocalBuckets } from '../../../src/datapath/local-buckets.ts';

const ip = (text: string): Ip => parseIp(text) as Ip;

function bench() {
  const memory = new ArrayBuffer(EPOCH_BUCKETS * LOCAL_BUCKET_SIZE);
  const at = (text: string) =>
    readLocalBucket(new DataView(memory), epochBucket(ip(text)) * LOCAL_BUCKET_SIZE);
  return { memory, buckets: new LocalBuckets(memory), at };
}

/** Another address of the bucket. */
function neighbour(text: string): string {
  for (let i = 0; ; i++) {
    const other = `198.${18 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
    if (other !== text && epochBucket(ip(other)) === epochBucket(ip(text))) return other;
  }
}

for (const text of ['192.0.2.1', '2001:db8::1', '2001:db8::'])
  test(`LocalBuckets – ${text} stands alone, with its family, and goes`, (t) => {
    const { buckets, at } = bench();
    buckets.add(text, ip(text));
    t.is(at(text).state, ip(text).family);
    t.deepEqual([...at(text).addr], [...mappedBytes(ip(text))]);
    buckets.add(text, ip(text));
    t.is(at(text).state, ip(text).family, 'twice is once');
    buckets.remove(text, ip(text));
    t.is(at(text).state, LOCAL_NONE);
  });

test('LocalBuckets – of two in a bucket the table is asked, until one is left', (t) => {
  const { buckets, at } = bench();
  for (const text of ['192.0.2.1', '2001:db8::1']) {
    const other = neighbour(text);
    buckets.add(text, ip(text));
    buckets.add(other, ip(other));
    t.is(at(text).state, LOCAL_SEVERAL);
    buckets.remove(text, ip(text));
    t.is(at(text).state, 4);
    t.deepEqual([...at(text).addr], [...mappedBytes(ip(other))]);
  }
});

test('LocalBuckets – what memory has otherwise is written anew, once', (t) => {
  const { buckets, at, memory } = bench();
  buckets.add('192.0.2.1', ip('192.0.2.1'));
  new Uint8Array(memory).fill(4);
  t.is(buckets.repair(), EPOCH_BUCKETS);
  t.is(buckets.repair(), 0);
  t.is(at('192.0.2.1').state, 4);
  t.is(at('2001:db8::1').state, LOCAL_NONE);
});
