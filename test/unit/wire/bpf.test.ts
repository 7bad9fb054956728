/** The generated codecs, without a kernel; `test/netns/wire.test.ts` holds them against the compiler. */
import test from 'ava';
import fc from 'fast-check';
import * as wire from '#wire/bpf';

type Codec = (view: DataView, at: number, value?: unknown) => unknown;
const exported = wire as unknown as Record<string, unknown>;
const sizes = Object.entries(exported)
  .filter(([name, value]) => typeof value === 'number' && name.endsWith('_SIZE'))
  .map(([name, value]) => [name.slice(0, -'_SIZE'.length), value as number] as const)
  .filter(([name]) => typeof exported[name] === 'object');
const pascal = (upper: string) =>
  upper.toLowerCase().replaceAll(/(?:^|_)([a-z0-9])/g, (_, c: string) => c.toUpperCase());

test('codecs – there is a pair for every struct', (t) => {
  t.true(sizes.length > 30);
  for (const [name] of sizes) {
    t.is(typeof exported[`read${pascal(name)}`], 'function', name);
    t.is(typeof exported[`write${pascal(name)}`], 'function', name);
  }
});

test('codecs – what is written is what is read, and nothing beyond', (t) => {
  for (const [name, size] of sizes) {
    const read = exported[`read${pascal(name)}`] as Codec;
    const write = exported[`write${pascal(name)}`] as Codec;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
        const first = read(new DataView(bytes.buffer, bytes.byteOffset, size), 0);
        const written = new Uint8Array(size + 16).fill(0xee);
        write(new DataView(written.buffer, 0, size + 8), 8, first);
        t.deepEqual(read(new DataView(written.buffer, 0, size + 8), 8), first, name);
        t.true(
          written.subarray(0, 8).every((b) => b === 0xee),
          name,
        );
        t.true(
          written.subarray(size + 8).every((b) => b === 0xee),
          name,
        );
      }),
      { numRuns: size > 1024 ? 3 : 30 },
    );
  }
});

test('codecs – network order is converted, host order is the machine’s', (t) => {
  const bytes = new Uint8Array(wire.VLAN_KEY_SIZE);
  wire.writeVlanKey(new DataView(bytes.buffer), 0, { ifindex: 1, proto: 0x8100, id: 5 });
  t.deepEqual([...bytes.subarray(wire.VLAN_KEY.proto, wire.VLAN_KEY.proto + 2)], [0x81, 0]);
  t.is(new Uint32Array(bytes.buffer)[0], 1);
});

test('readEvent – a record of IPv4 has no room for IPv6 addresses', (t) => {
  const record = new DataView(new ArrayBuffer(wire.EVENT_SIZE4));
  record.setUint32(wire.EVENT.saddr4, 0x0a000001);
  const event = wire.readEvent(record);
  t.is(event.saddr4, 0x0a000001);
  t.is(event.saddr6, undefined);
  const again = new DataView(new ArrayBuffer(wire.EVENT_SIZE4));
  wire.writeEvent(again, 0, event);
  t.deepEqual(again, record);
});

test('writers – bytes of another length are refused', (t) => {
  const view = new DataView(new ArrayBuffer(wire.ADDR6_KEY_SIZE));
  t.throws(() => wire.writeAddr6Key(view, 0, { addr: new Uint8Array(4) }), {
    instanceOf: RangeError,
    message: '4 bytes where 16 belong',
  });
});

test('enums – names and numbers turn into each other', (t) => {
  t.is(wire.DROP_REASON.POLICY_DENIED, 133);
  t.is(wire.DROP_REASON_NAMES[133], 'POLICY_DENIED');
  for (const [name, value] of Object.entries(exported)) {
    if (!name.endsWith('_NAMES')) continue;
    const numbers = exported[name.slice(0, -'_NAMES'.length)] as Record<string, number>;
    for (const [number, word] of Object.entries(value as Record<number, string>)) {
      t.is(numbers[word], Number(number), `${name}.${word}`);
    }
  }
});

test('MAPS – sizes are those of the structs they name; names fit the kernel', (t) => {
  for (const [name, map] of Object.entries(wire.MAPS)) {
    t.true(name.length <= 15, name);
    if (map.key !== '') t.is<unknown, unknown>(map.keySize, exported[`${map.key.toUpperCase()}_SIZE`], name);
    if (map.value !== '')
      t.is<unknown, unknown>(map.valueSize, exported[`${map.value.toUpperCase()}_SIZE`], name);
  }
});
