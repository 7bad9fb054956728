/**
 * Generates `src/wire/` from what the C compiler says of `bpf/`: codecs from BTF, program names from the
 * objects' symbols. `node deploy/gen.ts` rewrites what has changed; with `--check` it writes nothing and ends
 * with 1 when something would change.
 *
 * A struct or enum stays in BTF only when something refers to it, so a stub is compiled that refers to all of
 * them, and holds each integer constant of `types.h` in an enum of its own.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { btfOfObject, elfFunctions } from './btf.ts';
import { printPrograms, printWire } from './codecs.ts';
import { compileBpf, compileBpfFile } from './compile.ts';
import { Layouts } from './layout.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** Names that a header declares at the beginning of a line, in its order. */
function declared(header: string, pattern: RegExp): string[] {
  return [...header.matchAll(pattern)].map(([, name = '']) => name);
}

/** Object-like macros with a value; those of types.h are all integers, which the compiler checks. */
const CONSTANT = /^#define[ \t]+([A-Z]\w*)[ \t]+(?!\/\*)\S/gm;
const STRUCT = /^struct (?:__attribute__\(\(.*\)\) )?(\w+) \{/gm;
const ENUM = /^enum (\w+) \{/gm;

/** What `types.h` declares. */
export interface Names {
  readonly structs: readonly string[];
  readonly enums: readonly string[];
  readonly constants: readonly string[];
}

function stub({ structs, enums, constants }: Names): string {
  return [
    '#include <linux/bpf.h>',
    '#include "types.h"',
    '#include "maps.h"',
    '#include "config.h"',
    ...structs.map((name) => `struct ${name} *wire_struct_${name};`),
    ...enums.map((name) => `enum ${name} wire_enum_${name};`),
    ...constants.flatMap((name) => [
      `enum wire_constant_${name} { WIRE_${name} = ${name} };`,
      `enum wire_constant_${name} wire_value_${name};`,
    ]),
    '',
  ].join('\n');
}

/** What the compiler makes of the headers, and the names that they declare, in their order. */
export async function readHeaders(): Promise<{ readonly layouts: Layouts; readonly names: Names }> {
  const header = readFileSync(join(ROOT, 'bpf/types.h'), 'utf8');
  const names = {
    structs: declared(header, STRUCT),
    enums: declared(header, ENUM),
    constants: declared(header, CONSTANT),
  };
  const folder = join(ROOT, 'build/gen');
  mkdirSync(folder, { recursive: true });
  const source = join(folder, 'wire.bpf.c');
  const text = stub(names);
  if (!existsSync(source) || readFileSync(source, 'utf8') !== text) writeFileSync(source, text);
  await compileBpfFile(source, join(folder, 'wire.bpf.o'));
  return { layouts: new Layouts(btfOfObject(readFileSync(join(folder, 'wire.bpf.o')))), names };
}

async function codecs(): Promise<string> {
  const { layouts, names } = await readHeaders();
  const constants = names.constants.map((name) => ({
    name,
    value: layouts.constant(`wire_constant_${name}`),
  }));
  const schema = constants.find(({ name }) => name === 'MERLON_SCHEMA')?.value ?? 0n;
  const maps = layouts.maps(schema);
  for (const { name, key, value } of maps) {
    const missing = [key, value].find((type) => type !== '' && !names.structs.includes(type));
    if (missing !== undefined) throw new Error(`map ${name}: struct ${missing} was not found in bpf/types.h`);
  }
  return printWire({
    structs: names.structs.map((name) => layouts.struct(name)),
    enums: names.enums.map((name) => layouts.enumeration(name)),
    constants,
    settings: layouts.variables('.rodata'),
    maps,
  });
}

async function programs(): Promise<string> {
  const names = readdirSync(join(ROOT, 'bpf'))
    .filter((file) => file.endsWith('.bpf.c'))
    .map((file) => basename(file, '.bpf.c'))
    .sort();
  await compileBpf(names);
  return printPrograms(
    names.map((name) => {
      const functions = elfFunctions(readFileSync(join(ROOT, 'build/bpf', `${name}.bpf.o`)));
      const inSections = functions.filter(({ section }) => section !== '.text');
      return { name, programs: inSections.sort((a, b) => (a.name < b.name ? -1 : 1)) };
    }),
  );
}

/** Whether the file is as it should be; unless only asked, makes it so. */
function settle(file: string, text: string, isCheck: boolean): boolean {
  const path = join(ROOT, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return true;
  if (isCheck) console.error(`${file} is not current: npm run gen`);
  else writeFileSync(path, text);
  return !isCheck;
}

if (import.meta.main) {
  const isCheck = process.argv.includes('--check');
  try {
    mkdirSync(join(ROOT, 'src/wire'), { recursive: true });
    const isCurrent = [
      settle('src/wire/bpf.ts', await codecs(), isCheck),
      settle('src/wire/programs.ts', await programs(), isCheck),
    ];
    if (isCurrent.includes(false)) process.exitCode = 1;
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
