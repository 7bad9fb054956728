/**
 * The generated codecs against the compiler. For every struct of `bpf/types.h` a program is generated that
 * reads each field from a struct, as the C compiler sees it, and puts it out as a number in host order. Random
 * bytes then mean the same to both sides, and written back they are the same bytes, with zero for padding.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import {
  closeObject,
  loadObject,
  mapFd,
  mapView,
  objectVariables,
  openObject,
  programFd,
  testRun,
} from '#native';
import * as wire from '#wire/bpf';
import { compileAddon, compileBpfFile } from '../../deploy/compile.ts';
import { readHeaders } from '../../deploy/gen.ts';
import { type Field, type Layouts, type Shape, type Struct, sizeOf } from '../../deploy/layout.ts';

const SOURCE = 'build/test/echo.bpf.c';
const OBJECT = 'build/test/echo.bpf.o';
/** Longer arrays are read by a loop. */
const UNROLLED = 32;
const RUNS = 50;

/** How many numbers a shape holds. */
function countOf(shape: Shape, layouts: Layouts): number {
  if (shape.kind === 'int') return 1;
  if (shape.kind === 'array') return shape.length * countOf(shape.of, layouts);
  return fieldsOf(layouts.struct(shape.name)).reduce((n, f) => n + countOf(f.shape, layouts), 0);
}

function fieldsOf(struct: Struct): readonly Field[] {
  return struct.fields.filter((f) => !f.isPad);
}

/** C that puts out `path`, from number `at` on. */
function echo(shape: Shape, path: string, at: string, layouts: Layouts): string {
  if (shape.kind === 'int') {
    const value = shape.isBigEndian ? `bpf_ntoh${shape.size === 2 ? 's' : 'l'}(${path})` : path;
    return `\tout[${at}] = ${value};\n`;
  }
  if (shape.kind === 'struct') {
    let n = 0;
    return fieldsOf(layouts.struct(shape.name))
      .map((f) => {
        const text = echo(f.shape, `${path}.${f.name}`, `${at} + ${n}`, layouts);
        n += countOf(f.shape, layouts);
        return text;
      })
      .join('');
  }
  const each = countOf(shape.of, layouts);
  if (shape.length > UNROLLED) {
    const body = echo(shape.of, `${path}[i]`, `${at} + i * ${each}`, layouts);
    return `\tfor (int i = 0; i < ${shape.length}; i++)\n\t${body}`;
  }
  return Array.from({ length: shape.length }, (_, i) =>
    echo(shape.of, `${path}[${i}]`, `${at} + ${i * each}`, layouts),
  ).join('');
}

function program(struct: Struct, layouts: Layouts): string {
  const { name, size } = struct;
  const shape = { kind: 'struct', name, size } as const;
  return `
struct ${name} in_${name};
__u64 out_${name}[${countOf(shape, layouts)}];

SEC("syscall")
int echo_${name}(void *ctx)
{
	__u64 *out = out_${name};

	(void)ctx;
${echo(shape, `in_${name}`, '0', layouts)}	return 0;
}
`;
}

/** The same numbers, from what the reader made of it. */
function numbers(shape: Shape, value: unknown, layouts: Layouts): bigint[] {
  if (shape.kind === 'int') return [BigInt(value as number | bigint)];
  if (shape.kind === 'array') {
    return Array.from(value as ArrayLike<unknown>).flatMap((v) => numbers(shape.of, v, layouts));
  }
  const fields = value as Record<string, unknown>;
  return fieldsOf(layouts.struct(shape.name)).flatMap((f) => numbers(f.shape, fields[f.name], layouts));
}

/** Whether no field of the struct reads the padding's bytes: in a union another alternative may. */
function isPadding(pad: Field, { fields }: Struct): boolean {
  const end = pad.offset + sizeOf(pad.shape);
  return fields.every((f) => f.isPad || f.offset >= end || f.offset + sizeOf(f.shape) <= pad.offset);
}

/** Zeroes padding, also inside nested structs. */
function clearPads(shape: Shape, bytes: Uint8Array, at: number, layouts: Layouts): void {
  if (shape.kind === 'array') {
    for (let i = 0; i < shape.length; i += 1) clearPads(shape.of, bytes, at + i * sizeOf(shape.of), layouts);
  } else if (shape.kind === 'struct') {
    const struct = layouts.struct(shape.name);
    for (const f of struct.fields) {
      if (!f.isPad) clearPads(f.shape, bytes, at + f.offset, layouts);
      else if (isPadding(f, struct)) bytes.fill(0, at + f.offset, at + f.offset + sizeOf(f.shape));
    }
  }
}

test('codecs – every struct means to the C compiler what it means here', async (t) => {
  await compileAddon();
  const { layouts, names } = await readHeaders();
  const structs = names.structs.map((name) => layouts.struct(name));
  const head = ['linux/bpf.h', 'bpf/bpf_helpers.h', 'bpf/bpf_endian.h']
    .map((h) => `#include <${h}>\n`)
    .join('');
  mkdirSync('build/test', { recursive: true });
  const body = structs.map((s) => program(s, layouts)).join('');
  writeFileSync(
    SOURCE,
    `${head}#include "types.h"\n${body}\nchar _license[] SEC("license") = "Dual BSD/GPL";\n`,
  );
  await compileBpfFile(SOURCE, OBJECT);
  t.false(await compileBpfFile(SOURCE, OBJECT), 'nothing has changed since');
  const object = openObject(OBJECT);
  t.teardown(() => closeObject(object));
  loadObject(object);
  const globals = objectVariables(object).filter(({ section }) => section === '.bss');
  const end = Math.max(...globals.map(({ offset, size }) => offset + size));
  const memory = mapView(mapFd(object, '.bss'), end);
  const where = (name: string) => globals.find((g) => g.name === name)?.offset ?? -1;
  for (const { name, size } of structs) {
    const shape = { kind: 'struct', name, size } as const;
    const type = name.replaceAll(/(?:^|_)([a-z0-9])/g, (_, c: string) => c.toUpperCase());
    const codecs = wire as unknown as Record<
      string,
      (view: DataView, at: number, value?: unknown) => unknown
    >;
    const input = new Uint8Array(memory, where(`in_${name}`), size);
    const output = new BigUint64Array(memory, where(`out_${name}`), countOf(shape, layouts));
    const fd = programFd(object, `echo_${name}`);
    t.is((wire as unknown as Record<string, number>)[`${name.toUpperCase()}_SIZE`], size);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), fc.nat({ max: 9 }), (bytes, at) => {
        input.set(bytes);
        testRun(fd, {});
        const shifted = new Uint8Array(at + size).fill(0xaa);
        shifted.set(bytes, at);
        const value = codecs[`read${type}`]?.(new DataView(shifted.buffer), at);
        t.deepEqual(numbers(shape, value, layouts), [...output], name);
        const written = new Uint8Array(at + size).fill(0xaa);
        codecs[`write${type}`]?.(new DataView(written.buffer), at, value);
        clearPads(shape, shifted, at, layouts);
        t.deepEqual(written, shifted, name);
      }),
      { numRuns: size > 1024 ? 5 : RUNS },
    );
  }
});
