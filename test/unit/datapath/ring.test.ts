import test from 'ava';
import fc from 'fast-check';
import { RingReader, SLOT_BYTES } from '../../../src/datapath/ring.ts';

const SIZE = 4096;

/** A ring in plain memory, written as the kernel writes: data mapped twice in a row. */
class FakeRing {
  readonly pages = {
    consumer: new ArrayBuffer(4096),
    producer: new ArrayBuffer(4096),
    data: new ArrayBuffer(2 * SIZE),
  };
  #at = 0;

  position(pages: ArrayBuffer): number {
    return Number(new BigUint64Array(pages)[0]);
  }

  /** False when there is no room. */
  write(length: number, fill: number, kind: 'sent' | 'busy' | 'discarded' = 'sent'): boolean {
    const total = (length + 8 + 7) & ~7;
    if (this.#at + total - this.position(this.pages.consumer) > SIZE) return false;
    const bit = kind === 'sent' ? 0 : kind === 'busy' ? 0x80000000 : 0x40000000;
    this.header(this.#at, (length | bit) >>> 0);
    for (let i = 0; i < length; i++) this.#byte((this.#at + 8 + i) % SIZE, fill);
    this.#at += total;
    new BigUint64Array(this.pages.producer)[0] = BigInt(this.#at);
    return true;
  }

  header(at: number, value: number): void {
    for (let i = 0; i < 4; i++) this.#byte((at % SIZE) + i, (value >>> (8 * i)) & 0xff);
  }

  #byte(at: number, value: number): void {
    const data = new Uint8Array(this.pages.data);
    data[at % SIZE] = value;
    data[(at % SIZE) + SIZE] = value;
  }
}

test('RingReader – every record sent is read once, in order, whatever the sizes and chunks', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(64, 96), fc.boolean(), fc.integer({ min: 1, max: 9 })), {
        maxLength: 300,
      }),
      (steps) => {
        const ring = new FakeRing();
        const reader = new RingReader(ring.pages, SIZE);
        const want: number[] = [];
        const got: number[] = [];
        const slots = new Uint8Array(16 * SLOT_BYTES);
        const words = new BigUint64Array(slots.buffer);
        const read = (capacity: number) => {
          const n = reader.drain(words, 0, capacity);
          for (let i = 0; i < n; i++) got.push(slots[i * SLOT_BYTES] as number);
          return n;
        };
        steps.forEach(([length, isDiscarded, chunk], i) => {
          const fill = 1 + (i % 250);
          if (ring.write(length, fill, isDiscarded ? 'discarded' : 'sent') && !isDiscarded) want.push(fill);
          if (i % 3 === 0) read(chunk);
        });
        while (read(16) > 0);
        if (got.join() !== want.join()) throw new Error(`${got.join()} instead of ${want.join()}`);
        if (reader.hasRecords) throw new Error('something is left');
      },
    ),
  );
  t.pass();
});

test('RingReader – stops at a record that is still being written, and goes on when it is', (t) => {
  const ring = new FakeRing();
  const reader = new RingReader(ring.pages, SIZE);
  const slots = new Uint8Array(4 * SLOT_BYTES);
  const words = new BigUint64Array(slots.buffer);
  ring.write(64, 1);
  ring.write(64, 2, 'busy');
  ring.write(64, 3);
  t.is(reader.drain(words, 0, 4), 1);
  t.is(reader.drain(words, 0, 4), 0);
  t.true(reader.hasRecords);
  ring.header(72, 64);
  t.is(reader.drain(words, 0, 4), 2);
  t.is(slots[0], 2);
});

test('RingReader – a short record leaves nothing of the one before in its slot', (t) => {
  const ring = new FakeRing();
  const reader = new RingReader(ring.pages, SIZE);
  const slots = new Uint8Array(SLOT_BYTES).fill(0xee);
  const words = new BigUint64Array(slots.buffer);
  ring.write(64, 5);
  t.is(reader.drain(words, 0, 1), 1);
  t.true(slots.subarray(0, 64).every((b) => b === 5));
  t.true(slots.subarray(64).every((b) => b === 0));
});
