/**
 * From BTF types to what user space needs of them: structs with fields at byte offsets, enums, maps. Pure.
 * Refuses what must not cross the boundary: bit fields, holes, pointers, floats.
 */
import { createHash } from 'node:crypto';
import type { BtfType } from './btf.ts';

export type Shape =
  | {
      readonly kind: 'int';
      readonly size: 1 | 2 | 4 | 8;
      readonly isSigned: boolean;
      /** Declared with a `__be` type: in network order whatever the machine. */
      readonly isBigEndian: boolean;
    }
  | { readonly kind: 'struct'; readonly name: string; readonly size: number }
  | { readonly kind: 'array'; readonly of: Shape; readonly length: number };

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly shape: Shape;
  /** Holds nothing: not read, written as zero. */
  readonly isPad: boolean;
  /** Part of a union: one of several readings of the same bytes. */
  readonly isAlternative: boolean;
}

export interface Struct {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
}

export interface Enumeration {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}

export interface MapDefinition {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Names of the structs; empty for plain numbers. */
  readonly key: string;
  readonly value: string;
  /** Of maps of maps. */
  readonly inner: { readonly type: number; readonly maxEntries: number } | undefined;
  /** Changes whenever type, flags or anything of key and value does. */
  readonly layout: string;
}

/** A global variable of a section, such as a setting in `.rodata`. */
export interface Variable {
  readonly name: string;
  readonly shape: Shape;
}

/** Bytes that a shape takes. */
export function sizeOf(shape: Shape): number {
  return shape.kind === 'array' ? shape.length * sizeOf(shape.of) : shape.size;
}

/** Looks at the types of one object. */
export class Layouts {
  readonly #types: readonly BtfType[];

  constructor(types: readonly BtfType[]) {
    this.#types = types;
  }

  #type(id: number): BtfType {
    const type = this.#types[id];
    if (type === undefined) throw new Error(`no BTF type ${id}`);
    return type;
  }

  /** The type behind typedefs and qualifiers, and whether one of the names said big-endian. */
  #behind(id: number): { readonly type: BtfType; readonly isBigEndian: boolean } {
    let isBigEndian = false;
    for (let at = id; ; ) {
      const type = this.#type(at);
      if (type.kind !== 'typedef' && type.kind !== 'qualifier') return { type, isBigEndian };
      if (type.kind === 'typedef') isBigEndian ||= /^__be(16|32|64)$/.test(type.name);
      at = type.to;
    }
  }

  #shape(id: number, where: string): Shape {
    const { type, isBigEndian } = this.#behind(id);
    if (type.kind === 'int' || type.kind === 'enum') {
      const { size } = type;
      if (size === 1 || size === 2 || size === 4 || size === 8) {
        return { kind: 'int', size, isSigned: type.kind === 'int' && type.isSigned, isBigEndian };
      }
    }
    if (type.kind === 'struct' && type.name !== '')
      return { kind: 'struct', name: type.name, size: type.size };
    if (type.kind === 'array') return { kind: 'array', of: this.#shape(type.of, where), length: type.length };
    throw new Error(`${where} is a ${type.kind}, which does not cross into user space`);
  }

  #fields(
    type: BtfType & { kind: 'struct' | 'union' },
    where: string,
    base: number,
    inUnion: boolean,
  ): Field[] {
    return type.members.flatMap((member) => {
      const name = `${where}.${member.name}`;
      const offset = base + member.bitOffset / 8;
      if (member.bitSize !== 0) throw new Error(`${name} is a bit field`);
      const { type: inner } = this.#behind(member.type);
      const isNested = (inner.kind === 'struct' || inner.kind === 'union') && member.name === '';
      if (isNested) return this.#fields(inner, where, offset, inUnion || inner.kind === 'union');
      const isPad = /^pad\d*$/.test(member.name);
      const shape = this.#shape(member.type, name);
      return [{ name: member.name, offset, shape, isPad, isAlternative: inUnion }];
    });
  }

  /** A named struct. Throws when it is not in the BTF, because nothing refers to it. */
  struct(name: string): Struct {
    const type = this.#types.find((t) => t.kind === 'struct' && t.name === name);
    if (type?.kind !== 'struct') throw new Error(`struct ${name} is not in the object's BTF`);
    const fields = this.#fields(type, name, 0, false);
    refuseHoles(name, type.size, fields);
    return { name, size: type.size, fields };
  }

  /** A named enum. */
  enumeration(name: string): Enumeration {
    const type = this.#types.find((t) => t.kind === 'enum' && t.name === name);
    if (type?.kind !== 'enum') throw new Error(`enum ${name} is not in the object's BTF`);
    return { name, values: type.values };
  }

  /** The only value of an enum made for one constant. */
  constant(enumName: string): bigint {
    const [only] = this.enumeration(enumName).values;
    if (only === undefined) throw new Error(`enum ${enumName} is empty`);
    return only.value;
  }

  /** The variables of a section, by name. */
  variables(section: string): readonly Variable[] {
    return this.#variablesOf(section)
      .map(({ name, to }) => ({ name, shape: this.#shape(to, name) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #variablesOf(section: string): (BtfType & { kind: 'variable' })[] {
    return this.#types
      .flatMap((t) => (t.kind === 'section' && t.name === section ? t.variables : []))
      .map((id) => this.#type(id))
      .filter((t) => t.kind === 'variable');
  }

  /** The maps that `.maps` declares, by name; `schema` goes into the layout hashes. */
  maps(schema: bigint): readonly MapDefinition[] {
    return this.#variablesOf('.maps')
      .map((variable) => this.#map(variable.name, variable.to, schema))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #map(name: string, id: number, schema: bigint): MapDefinition {
    const { type } = this.#behind(id);
    if (type.kind !== 'struct') throw new Error(`map ${name} is not a struct`);
    const member = (what: string) => type.members.find((m) => m.name === what)?.type;
    const key = this.#pointed(member('key'), `${name}.key`);
    const value = this.#pointed(member('value'), `${name}.value`);
    const inner = this.#inner(member('values'), name);
    const map = {
      name,
      type: this.#number(member('type')),
      keySize: key === undefined ? this.#number(member('key_size')) : sizeOf(key),
      valueSize: value === undefined ? this.#number(member('value_size')) : sizeOf(value),
      maxEntries: this.#number(member('max_entries')),
      flags: this.#number(member('map_flags')),
      key: key?.kind === 'struct' ? key.name : '',
      value: value?.kind === 'struct' ? value.name : '',
      inner,
    };
    // Maps of maps hold a descriptor each.
    if (inner !== undefined) map.valueSize = 4;
    const parts = [schema, map.type, map.flags, map.keySize, map.valueSize, inner?.type];
    const hash = createHash('sha256').update(parts.join(';'));
    for (const shape of [key, value]) hash.update(shape === undefined ? '-' : this.#canonical(shape));
    return { ...map, layout: hash.digest('hex').slice(0, 8) };
  }

  /** `__uint(name, n)` is a pointer to an array of n. */
  #number(id: number | undefined): number {
    if (id === undefined) return 0;
    const { type: pointer } = this.#behind(id);
    if (pointer.kind !== 'pointer') return 0;
    const { type } = this.#behind(pointer.to);
    return type.kind === 'array' ? type.length : 0;
  }

  /** `__type(name, t)` is a pointer to t. */
  #pointed(id: number | undefined, where: string): Shape | undefined {
    if (id === undefined) return undefined;
    const { type: pointer } = this.#behind(id);
    return pointer.kind === 'pointer' ? this.#shape(pointer.to, where) : undefined;
  }

  /** `__array(values, struct)` is an array of pointers to the definition of the maps inside. */
  #inner(id: number | undefined, name: string): MapDefinition['inner'] {
    if (id === undefined) return undefined;
    const { type: array } = this.#behind(id);
    const pointer = array.kind === 'array' ? this.#behind(array.of).type : undefined;
    const type = pointer?.kind === 'pointer' ? this.#behind(pointer.to).type : undefined;
    if (type?.kind !== 'struct') throw new Error(`${name}.values is not an array of maps`);
    const member = (what: string) => this.#number(type.members.find((m) => m.name === what)?.type);
    return { type: member('type'), maxEntries: member('max_entries') };
  }

  /** One text for one meaning of the bytes. */
  #canonical(shape: Shape): string {
    switch (shape.kind) {
      case 'int':
        return `${shape.isBigEndian ? 'be' : shape.isSigned ? 's' : 'u'}${shape.size}`;
      case 'array':
        return `${this.#canonical(shape.of)}[${shape.length}]`;
      case 'struct': {
        const fields = this.struct(shape.name).fields.map(
          (f) => `${f.offset}:${f.name}:${this.#canonical(f.shape)}`,
        );
        return `{${fields.join(',')}}${shape.size}`;
      }
    }
  }
}

/** Every byte of a struct belongs to a field: the compiler's own padding would carry garbage into a key. */
function refuseHoles(name: string, size: number, fields: readonly Field[]): void {
  let end = 0;
  for (const field of fields.toSorted((a, b) => a.offset - b.offset)) {
    if (field.offset > end) throw new Error(`struct ${name} has a hole at byte ${end}`);
    end = Math.max(end, field.offset + sizeOf(field.shape));
  }
  if (end !== size) throw new Error(`struct ${name} has a hole at byte ${end}`);
}
