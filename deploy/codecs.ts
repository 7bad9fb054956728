/**
 * Prints the TypeScript of `src/wire/bpf.ts`: for each struct a size, offsets, an interface, a reader and a
 * writer; for each enum its numbers and names; constants, settings and maps. Pure: layouts in, text out.
 */
import {
  type Enumeration,
  type Field,
  type MapDefinition,
  type Shape,
  type Struct,
  sizeOf,
  type Variable,
} from './layout.ts';

/** Arrays of numbers up to this length are tuples, longer ones typed arrays. */
const TUPLE = 8;
/** Bytes up to this many are numbers of their own; more are an address, an id or the like. */
const BYTE_TUPLE = 3;

/** Everything that the generated file says. */
export interface Wire {
  readonly structs: readonly Struct[];
  readonly enums: readonly Enumeration[];
  readonly constants: readonly { readonly name: string; readonly value: bigint }[];
  readonly settings: readonly Variable[];
  readonly maps: readonly MapDefinition[];
}

function upper(name: string): string {
  return name.toUpperCase();
}

/** `flow4_key` → `Flow4Key`. */
function pascal(name: string): string {
  return name.replaceAll(/(?:^|_)([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

/** Numbers above 2^53 do not fit a `number`. */
function literal(value: bigint): string {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? `${value}n` : `${value}`;
}

function isBytes(shape: Shape): boolean {
  return (
    shape.kind === 'array' && shape.of.kind === 'int' && shape.of.size === 1 && shape.length > BYTE_TUPLE
  );
}

/** The typed array of a long array of numbers, without the word Array. */
function typedArray(shape: Shape & { kind: 'int' }): string {
  const sign = shape.isSigned ? 'Int' : 'Uint';
  return shape.size === 8 ? `Big${sign}64` : `${sign}${8 * shape.size}`;
}

function typeOf(shape: Shape): string {
  switch (shape.kind) {
    case 'int':
      return shape.size === 8 ? 'bigint' : 'number';
    case 'struct':
      return pascal(shape.name);
    case 'array': {
      if (isBytes(shape)) return 'Uint8Array';
      if (shape.length > TUPLE && shape.of.kind === 'int') return `${typedArray(shape.of)}Array`;
      const of = typeOf(shape.of);
      if (shape.length > TUPLE) return `readonly ${of}[]`;
      return `readonly [${Array.from({ length: shape.length }, () => of).join(', ')}]`;
    }
  }
}

/** Name of the DataView method behind `get` and `set`. */
function method(shape: Shape & { kind: 'int' }): string {
  return typedArray(shape);
}

/** Last argument of the DataView method: the byte order. */
function order(shape: Shape & { kind: 'int' }): string {
  if (shape.size === 1) return '';
  return shape.isBigEndian ? ', false' : ', LE';
}

function position(base: string, offset: number): string {
  return offset === 0 ? base : `${base} + ${offset}`;
}

function readOf(shape: Shape, base: string, offset: number): string {
  const at = position(base, offset);
  switch (shape.kind) {
    case 'int':
      return `view.get${method(shape)}(${at}${order(shape)})`;
    case 'struct':
      return `read${pascal(shape.name)}(view, ${at})`;
    case 'array': {
      if (isBytes(shape)) return `bytes(view, ${at}, ${shape.length})`;
      const step = sizeOf(shape.of);
      if (shape.length > TUPLE) {
        const list = shape.of.kind === 'int' ? `${typedArray(shape.of)}Array` : 'Array';
        const inner = readOf(shape.of, `${at} + ${step} * i`, 0);
        return `${list}.from({ length: ${shape.length} }, (_, i) => ${inner})`;
      }
      const items = Array.from({ length: shape.length }, (_, i) => readOf(shape.of, base, offset + i * step));
      return `[${items.join(', ')}]`;
    }
  }
}

function writeOf(shape: Shape, base: string, offset: number, value: string): string[] {
  const at = position(base, offset);
  switch (shape.kind) {
    case 'int':
      return [`view.set${method(shape)}(${at}, ${value}${order(shape)});`];
    case 'struct':
      return [`write${pascal(shape.name)}(view, ${at}, ${value});`];
    case 'array': {
      if (isBytes(shape)) return [`putBytes(view, ${at}, ${shape.length}, ${value});`];
      const step = sizeOf(shape.of);
      if (shape.length > TUPLE) {
        const [line] = writeOf(shape.of, `${at} + ${step} * i`, 0, `${value}[i]!`);
        return [`for (let i = 0; i < ${shape.length}; i += 1) ${line}`];
      }
      return Array.from({ length: shape.length }, (_, i) =>
        writeOf(shape.of, base, offset + i * step, `${value}[${i}]`),
      ).flat();
    }
  }
}

function offsetsOf({ name, size, fields }: Struct): string[] {
  const named = fields.filter((f) => !f.isPad).map((f) => `  ${f.name}: ${f.offset},`);
  return [
    `/** Bytes of \`struct ${name}\`. */`,
    `export const ${upper(name)}_SIZE = ${size};`,
    `/** Offsets in \`struct ${name}\`. */`,
    `export const ${upper(name)} = {`,
    ...named,
    '} as const;',
  ];
}

function interfaceOf({ name, fields }: Struct): string[] {
  const lines = fields
    .filter((f) => !f.isPad)
    .map((f) => `  readonly ${f.name}: ${typeOf(f.shape)}${f.isAlternative ? ' | undefined' : ''};`);
  return [`/** \`struct ${name}\`. */`, `export interface ${pascal(name)} {`, ...lines, '}'];
}

/** Alternatives of a union are there as far as the view reaches. */
function readerOf({ name, fields }: Struct): string[] {
  const lines = fields
    .filter((f) => !f.isPad)
    .map((f) => {
      const read = readOf(f.shape, 'at', f.offset);
      const end = f.offset + sizeOf(f.shape);
      return `    ${f.name}: ${f.isAlternative ? `view.byteLength < at + ${end} ? undefined : ${read}` : read},`;
    });
  return [
    `/** Reads \`struct ${name}\` at byte \`at\` of the view. */`,
    `export function read${pascal(name)}(view: DataView, at = 0): ${pascal(name)} {`,
    '  return {',
    ...lines,
    '  };',
    '}',
  ];
}

/** Bytes that have several readings: from the first alternative's to the end of the longest. */
function unionOf(fields: readonly Field[]): { readonly from: number; readonly size: number } | undefined {
  const alternatives = fields.filter((f) => f.isAlternative);
  if (alternatives.length === 0) return undefined;
  const from = Math.min(...alternatives.map((f) => f.offset));
  return { from, size: Math.max(...alternatives.map((f) => f.offset + sizeOf(f.shape))) - from };
}

/** Padding first, and unions as far as the view reaches: then come the fields, over zeroes. */
function writerOf({ name, fields }: Struct): string[] {
  const zeroes = fields
    .filter((f) => f.isPad && !f.isAlternative)
    .map((f) => `  zero(view, ${position('at', f.offset)}, ${sizeOf(f.shape)});`);
  const union = unionOf(fields);
  if (union !== undefined) {
    const room = `view.byteLength - at - ${union.from}`;
    zeroes.push(`  zero(view, ${position('at', union.from)}, Math.min(${union.size}, ${room}));`);
  }
  const lines = fields
    .filter((f) => !f.isPad)
    .flatMap((f) => {
      const writes = writeOf(f.shape, 'at', f.offset, `value.${f.name}`);
      if (!f.isAlternative) return writes.map((line) => `  ${line}`);
      return [`  if (value.${f.name} !== undefined) {`, ...writes.map((line) => `    ${line}`), '  }'];
    });
  return [
    `/** Writes \`struct ${name}\` at byte \`at\` of the view; padding becomes zero. */`,
    `export function write${pascal(name)}(view: DataView, at: number, value: ${pascal(name)}): void {`,
    ...zeroes,
    ...lines,
    '}',
  ];
}

/** What all names of an enum begin with, up to and with an underscore. */
function commonPrefix(names: readonly string[]): string {
  const [first = ''] = names;
  for (let end = first.lastIndexOf('_'); end > 0; end = first.lastIndexOf('_', end - 1)) {
    const prefix = first.slice(0, end + 1);
    if (names.every((name) => name.startsWith(prefix) && /^[A-Z]/.test(name.slice(prefix.length))))
      return prefix;
  }
  return '';
}

function enumOf({ name, values }: Enumeration): string[] {
  const prefix = commonPrefix(values.map((v) => v.name));
  const short = values.map((v) => ({ name: v.name.slice(prefix.length), value: literal(v.value) }));
  return [
    `/** \`enum ${name}\`; the names there begin with \`${prefix}\`. */`,
    `export const ${upper(name)} = {`,
    ...short.map((v) => `  ${v.name}: ${v.value},`),
    '} as const;',
    `export type ${pascal(name)} = (typeof ${upper(name)})[keyof typeof ${upper(name)}];`,
    `/** Names of \`enum ${name}\` by number. */`,
    `export const ${upper(name)}_NAMES: Readonly<Record<number, keyof typeof ${upper(name)}>> = {`,
    ...short.map((v) => `  ${v.value}: '${v.name}',`),
    '};',
  ];
}

function settingsOf(settings: readonly Variable[]): string[] {
  const line = ({ name, shape }: Variable) => {
    if (shape.kind !== 'int') throw new Error(`setting ${name} is no number`);
    return `  ${name}: { size: ${shape.size}, isSigned: ${shape.isSigned} },`;
  };
  return [
    '/** The settings of `bpf/config.h`, in `.rodata` of each object; offsets differ from object to object. */',
    'export const SETTINGS = {',
    ...settings.map(line),
    '} as const;',
    'export type SettingName = keyof typeof SETTINGS;',
  ];
}

function mapsOf(maps: readonly MapDefinition[]): string[] {
  const line = (m: MapDefinition) => {
    const inner = m.inner ? `{ type: ${m.inner.type}, maxEntries: ${m.inner.maxEntries} }` : 'undefined';
    const sizes = `keySize: ${m.keySize}, valueSize: ${m.valueSize}, maxEntries: ${m.maxEntries}`;
    const types = `key: '${m.key}', value: '${m.value}'`;
    return `  ${m.name}: { type: ${m.type}, ${sizes}, flags: ${m.flags}, ${types}, inner: ${inner}, layout: '${m.layout}' },`;
  };
  return [
    '/**',
    ' * The maps of `bpf/maps.h`. `maxEntries` is the smallest that makes sense; `layout` changes with type,',
    ' * flags, schema and every field of key and value.',
    ' */',
    'export const MAPS = {',
    ...maps.map(line),
    '} as const;',
    'export type MapName = keyof typeof MAPS;',
  ];
}

const PREAMBLE = `/*
 * Generated from the BTF of bpf/types.h, bpf/maps.h and bpf/config.h by \`npm run gen\`; not to be edited.
 * Fields declared in network order are numbers like all others: the readers and writers convert.
 */

const LE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function bytes(view: DataView, at: number, length: number): Uint8Array {
  // Filled by hand: half the price of a view and its slice (native.bench.ts).
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) out[i] = view.getUint8(at + i);
  return out;
}

function putBytes(view: DataView, at: number, length: number, value: Uint8Array): void {
  if (value.length !== length) throw new RangeError(\`\${value.length} bytes where \${length} belong\`);
  new Uint8Array(view.buffer, view.byteOffset + at, length).set(value);
}

function zero(view: DataView, at: number, length: number): void {
  new Uint8Array(view.buffer, view.byteOffset + at, length).fill(0);
}
`;

/** Two exports of one name would be a wrong file; better no file. */
function refuseTwins(text: string): void {
  const seen = new Set<string>();
  for (const [, name = ''] of text.matchAll(/^export (?:const|function) (\w+)/gm)) {
    if (seen.has(name)) throw new Error(`two exports are called ${name}: rename one in bpf/types.h`);
    seen.add(name);
  }
}

/** The text of `src/wire/bpf.ts`. */
export function printWire(wire: Wire): string {
  const constants = wire.constants.map(({ name, value }) => `export const ${name} = ${literal(value)};`);
  const blocks = [
    ['/* Constants of bpf/types.h. */', ...constants],
    ...wire.enums.map(enumOf),
    ...wire.structs.flatMap((s) => [offsetsOf(s), interfaceOf(s), readerOf(s), writerOf(s)]),
    settingsOf(wire.settings),
    mapsOf(wire.maps),
  ];
  const text = `${PREAMBLE}\n${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`;
  refuseTwins(text);
  return text;
}

/** The text of `src/wire/programs.ts`: program names and sections by object. */
export function printPrograms(
  objects: readonly {
    readonly name: string;
    readonly programs: readonly { name: string; section: string }[];
  }[],
): string {
  const lines = objects.flatMap(({ name, programs }) => [
    `  ${name}: {`,
    ...programs.map((p) => `    ${p.name}: { section: '${p.section}' },`),
    '  },',
  ]);
  return [
    '/* Generated from the compiled objects by `npm run gen`; not to be edited. */',
    '',
    '/** The programs of each object `build/bpf/<object>.bpf.o`, and their sections. */',
    'export const PROGRAMS = {',
    ...lines,
    '} as const;',
    'export type ObjectName = keyof typeof PROGRAMS;',
    '',
  ].join('\n');
}
