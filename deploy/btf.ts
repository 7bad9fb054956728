/**
 * Reads the type information (BTF) and the symbols of a compiled BPF object. Pure: bytes in, plain data out.
 * Formats: ELF-64 (System V ABI), Documentation/bpf/btf.rst of the kernel.
 */

/** A section of an ELF file, with its bytes. */
export interface Section {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isExecutable: boolean;
}

/** A global function and the section it stands in. */
export interface ElfFunction {
  readonly name: string;
  readonly section: string;
}

export interface Member {
  readonly name: string;
  readonly type: number;
  /** From the beginning of the struct, in bits. */
  readonly bitOffset: number;
  /** 0 = not a bit field. */
  readonly bitSize: number;
}

/** One BTF type. References to others are ids; id 0 is `void`. */
export type BtfType =
  | { readonly kind: 'void' }
  | { readonly kind: 'int'; readonly name: string; readonly size: number; readonly isSigned: boolean }
  | { readonly kind: 'pointer'; readonly to: number }
  | { readonly kind: 'array'; readonly of: number; readonly length: number }
  | {
      readonly kind: 'struct' | 'union';
      readonly name: string;
      readonly size: number;
      readonly members: readonly Member[];
    }
  | {
      readonly kind: 'enum';
      readonly name: string;
      readonly size: number;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  | { readonly kind: 'typedef'; readonly name: string; readonly to: number }
  | { readonly kind: 'qualifier'; readonly to: number }
  | { readonly kind: 'variable'; readonly name: string; readonly to: number }
  | { readonly kind: 'section'; readonly name: string; readonly variables: readonly number[] }
  | { readonly kind: 'other'; readonly name: string };

const SHF_EXECINSTR = 4n;
const STT_FUNC = 2;
const STB_GLOBAL = 1;

function text(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  if (at < 0 || at >= bytes.length || end < 0) throw new Error(`string at ${at} is outside its table`);
  return Buffer.from(bytes.subarray(at, end)).toString('latin1');
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether numbers in this ELF file are little-endian. Throws on what is no 64-bit ELF. */
function isLittle(file: Uint8Array): boolean {
  if (file.length < 64 || file[0] !== 0x7f || text(Uint8Array.of(...file.subarray(1, 4), 0), 0) !== 'ELF') {
    throw new Error('not an ELF file');
  }
  if (file[4] !== 2) throw new Error('not a 64-bit ELF file');
  return file[5] === 1;
}

/** The sections of an ELF file, by their index. */
export function elfSections(file: Uint8Array): readonly Section[] {
  const le = isLittle(file);
  const view = viewOf(file);
  const table = Number(view.getBigUint64(40, le));
  const size = view.getUint16(58, le);
  const count = view.getUint16(60, le);
  const raw = Array.from({ length: count }, (_, i) => {
    const at = table + i * size;
    const isEmpty = view.getUint32(at + 4, le) === 8; /* SHT_NOBITS: no bytes in the file */
    const offset = Number(view.getBigUint64(at + 24, le));
    const length = isEmpty ? 0 : Number(view.getBigUint64(at + 32, le));
    if (offset + length > file.length) throw new Error(`section ${i} is cut off`);
    return {
      nameAt: view.getUint32(at, le),
      bytes: file.subarray(offset, offset + length),
      isExecutable: (view.getBigUint64(at + 8, le) & SHF_EXECINSTR) !== 0n,
    };
  });
  const names = raw[view.getUint16(62, le)]?.bytes ?? new Uint8Array();
  return raw.map(({ nameAt, bytes, isExecutable }) => ({ name: text(names, nameAt), bytes, isExecutable }));
}

/** The global functions of an object, in the order of its symbol table. Those in `.text` are subprograms. */
export function elfFunctions(file: Uint8Array): readonly ElfFunction[] {
  const le = isLittle(file);
  const sections = elfSections(file);
  const symbols = sections.find(({ name }) => name === '.symtab')?.bytes ?? new Uint8Array();
  const names = sections.find(({ name }) => name === '.strtab')?.bytes ?? new Uint8Array();
  const view = viewOf(symbols);
  const found: ElfFunction[] = [];
  for (let at = 0; at + 24 <= symbols.length; at += 24) {
    const info = view.getUint8(at + 4);
    const section = sections[view.getUint16(at + 6, le)];
    if ((info & 15) !== STT_FUNC || info >> 4 !== STB_GLOBAL || section?.isExecutable !== true) continue;
    found.push({ name: text(names, view.getUint32(at, le)), section: section.name });
  }
  return found;
}

/** Bytes of the extra data behind the 12-byte record of a kind with `length` entries. */
function extraBytes(kind: number, length: number): number {
  switch (kind) {
    case 1: /* INT */
    case 14: /* VAR */
    case 17 /* DECL_TAG */:
      return 4;
    case 3 /* ARRAY */:
      return 12;
    case 4: /* STRUCT */
    case 5: /* UNION */
    case 15: /* DATASEC */
    case 19 /* ENUM64 */:
      return 12 * length;
    case 6: /* ENUM */
    case 13 /* FUNC_PROTO */:
      return 8 * length;
    default:
      return 0;
  }
}

/** One type record; `sizeOrType` and `extra` are as in the format. */
function typeFrom(
  view: DataView,
  le: boolean,
  at: number,
  kind: number,
  length: number,
  flag: boolean,
  name: (offset: number) => string,
): BtfType {
  const sizeOrType = view.getUint32(at + 8, le);
  const own = name(view.getUint32(at, le));
  const extra = at + 12;
  const word = (i: number) => view.getUint32(extra + 4 * i, le);
  const each = <T>(fn: (i: number) => T): T[] => Array.from({ length }, (_, i) => fn(i));
  switch (kind) {
    case 1:
      return { kind: 'int', name: own, size: sizeOrType, isSigned: ((word(0) >>> 24) & 1) !== 0 };
    case 2:
      return { kind: 'pointer', to: sizeOrType };
    case 3:
      return { kind: 'array', of: word(0), length: word(2) };
    case 4:
    case 5:
      return {
        kind: kind === 4 ? 'struct' : 'union',
        name: own,
        size: sizeOrType,
        members: each((i) => {
          const where = word(3 * i + 2);
          return {
            name: name(word(3 * i)),
            type: word(3 * i + 1),
            bitOffset: flag ? where & 0xffffff : where,
            bitSize: flag ? where >>> 24 : 0,
          };
        }),
      };
    case 6:
      return {
        kind: 'enum',
        name: own,
        size: sizeOrType,
        values: each((i) => ({
          name: name(word(2 * i)),
          value: BigInt(flag ? view.getInt32(extra + 8 * i + 4, le) : word(2 * i + 1)),
        })),
      };
    case 19:
      return {
        kind: 'enum',
        name: own,
        size: sizeOrType,
        values: each((i) => ({
          name: name(word(3 * i)),
          value: (BigInt(word(3 * i + 2)) << 32n) | BigInt(word(3 * i + 1)),
        })),
      };
    case 8:
      return { kind: 'typedef', name: own, to: sizeOrType };
    case 9:
    case 10:
    case 11:
    case 18:
      return { kind: 'qualifier', to: sizeOrType };
    case 14:
      return { kind: 'variable', name: own, to: sizeOrType };
    case 15:
      return { kind: 'section', name: own, variables: each((i) => word(3 * i)) };
    default:
      return { kind: 'other', name: own };
  }
}

/** All types of a `.BTF` section, by their id. Throws on what is no BTF of version 1. */
export function btfTypes(btf: Uint8Array): readonly BtfType[] {
  const view = viewOf(btf);
  const le = btf.length >= 24 && view.getUint16(0, true) === 0xeb9f;
  if (btf.length < 24 || view.getUint16(0, le) !== 0xeb9f || view.getUint8(2) !== 1) {
    throw new Error('not BTF of version 1');
  }
  const header = view.getUint32(4, le);
  const types = header + view.getUint32(8, le);
  const typesEnd = types + view.getUint32(12, le);
  const strings = header + view.getUint32(16, le);
  const stringBytes = btf.subarray(strings, strings + view.getUint32(20, le));
  if (typesEnd > btf.length) throw new Error('BTF is cut off');
  const name = (offset: number) => text(stringBytes, offset);
  const found: BtfType[] = [{ kind: 'void' }];
  for (let at = types; at < typesEnd; ) {
    const info = view.getUint32(at + 4, le);
    const kind = (info >>> 24) & 31;
    const length = info & 0xffff;
    found.push(typeFrom(view, le, at, kind, length, info >>> 31 === 1, name));
    at += 12 + extraBytes(kind, length);
  }
  return found;
}

/** The types of an object file. Throws when it has no `.BTF` section (compiled without `-g`). */
export function btfOfObject(file: Uint8Array): readonly BtfType[] {
  const section = elfSections(file).find(({ name }) => name === '.BTF');
  if (section === undefined) throw new Error('the object has no .BTF section');
  return btfTypes(section.bytes);
}
