/** The BTF and ELF readers of the generator, on `sample.bpf.o` (compiled from the source beside it). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { btfOfObject, elfFunctions, elfSections } from '../../../deploy/btf.ts';
import { printWire } from '../../../deploy/codecs.ts';
import { Layouts, sizeOf } from '../../../deploy/layout.ts';

const object = new Uint8Array(readFileSync(join(import.meta.dirname, 'sample.bpf.o')));
const layouts = new Layouts(btfOfObject(object));

test('elfFunctions – global functions with their sections, subprograms in .text', (t) => {
  t.deepEqual(
    elfFunctions(object).toSorted((a, b) => a.name.localeCompare(b.name)),
    [
      { name: 'helper', section: '.text' },
      { name: 'main_program', section: 'tc' },
    ],
  );
});

test('struct – fields with offsets, byte order and nesting; union members share their bytes', (t) => {
  const { size, fields } = layouts.struct('sample');
  t.is(size, 88);
  t.deepEqual(
    fields.map((f) => [f.name, f.offset, sizeOf(f.shape), f.isPad, f.isAlternative]),
    [
      ['wide', 0, 8, false, false],
      ['small', 8, 4, false, false],
      ['addr', 12, 4, false, false],
      ['inner', 16, 16, false, false],
      ['counts', 32, 12, false, false],
      ['many', 44, 20, false, false],
      ['v4', 64, 4, false, true],
      ['v6', 64, 16, false, true],
      ['pad', 80, 8, true, false],
    ],
  );
  t.like(fields[1]?.shape, { kind: 'int', isSigned: true, isBigEndian: false });
  t.like(fields[2]?.shape, { kind: 'int', isSigned: false, isBigEndian: true });
});

const refused: readonly [name: string, message: RegExp][] = [
  ['bits', /bits\.a is a bit field/],
  ['hole', /struct hole has a hole at byte 1/],
  ['pointing', /pointing\.to is a pointer/],
  ['absent', /struct absent is not in the object's BTF/],
];
for (const [name, message] of refused) {
  test(`struct – refused: ${name}`, (t) => {
    t.throws(() => layouts.struct(name), { message });
  });
}

test('enumeration – names and values', (t) => {
  t.deepEqual(layouts.enumeration('colour').values, [
    { name: 'COLOUR_DARK_RED', value: 1n },
    { name: 'COLOUR_DARK_BLUE', value: 7n },
  ]);
});

test('maps – type, sizes, flags, types by name, maps inside', (t) => {
  const [rings, table] = layouts.maps(1n);
  t.like(table, {
    name: 'table',
    type: 1,
    keySize: 8,
    valueSize: 8,
    maxEntries: 77,
    flags: 1,
    key: 'inner',
    value: '',
  });
  t.like(rings, { name: 'rings', type: 12, keySize: 4, valueSize: 4, inner: { type: 27, maxEntries: 4096 } });
});

test('maps – the layout hash follows schema and types', (t) => {
  const hashes = (schema: bigint) => layouts.maps(schema).map(({ layout }) => layout);
  t.deepEqual(hashes(1n), hashes(1n));
  t.notDeepEqual(hashes(1n), hashes(2n));
  t.is(new Set(hashes(1n)).size, 2);
  for (const hash of hashes(1n)) t.regex(hash, /^[0-9a-f]{8}$/);
});

test('variables – settings of a section', (t) => {
  t.deepEqual(
    layouts.variables('.rodata').map(({ name, shape }) => [name, sizeOf(shape)]),
    [['cfg_one', 4]],
  );
});

test('printWire – enum names lose their common prefix, twins are refused', (t) => {
  const wire = {
    structs: [layouts.struct('inner')],
    enums: [layouts.enumeration('colour')],
    constants: [{ name: 'BIG', value: 1n << 60n }],
    settings: [],
    maps: [],
  };
  const text = printWire(wire);
  // Only whole words that all names share go: DARK_ is shared, too.
  t.regex(text, /export const COLOUR = \{\n {2}RED: 1,\n {2}BLUE: 7,\n\} as const;/);
  t.regex(text, /export const BIG = 1152921504606846976n;/);
  t.regex(text, /port: view\.getUint16\(at, false\),/);
  const twin = { ...wire, constants: [{ name: 'INNER_SIZE', value: 1n }] };
  t.throws(() => printWire(twin), { message: /two exports are called INNER_SIZE/ });
});

test('readers – any damage is an error or plain data, never an endless loop', (t) => {
  const readAll = (bytes: Uint8Array) => {
    elfSections(bytes);
    elfFunctions(bytes);
    btfOfObject(bytes);
  };
  const damage = fc.array(fc.tuple(fc.nat({ max: object.length - 1 }), fc.nat({ max: 255 })), {
    maxLength: 8,
  });
  let failures = 0;
  fc.assert(
    fc.property(fc.nat({ max: object.length }), damage, (length, changes) => {
      const bytes = object.slice(0, length);
      for (const [at, value] of changes) if (at < length) bytes[at] = value;
      try {
        readAll(bytes);
      } catch (error) {
        t.true(error instanceof Error);
        failures += 1;
      }
    }),
  );
  t.true(failures > 0);
  t.notThrows(() => readAll(object));
});
