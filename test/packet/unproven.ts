/** Unproven records in the memory of their table: sets of places, each with a word that says whether it is taken. */
import * as wire from '#wire/bpf';

/** A record where it stands: its key as a hash table would have it, and a copy of it with all it holds. */
export interface UnprovenEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Of the place's word and of the place, in the table's memory. */
  readonly word: number;
  readonly at: number;
}

/** The records of a table. */
export function unprovenEntries({ buffer: memory }: DataView, keySize: number): UnprovenEntry[] {
  const found: UnprovenEntry[] = [];
  const words = new DataView(memory);
  for (let set = 0; set + wire.UNPROVEN_SET_SIZE <= memory.byteLength; set += wire.UNPROVEN_SET_SIZE)
    for (let way = 0; way < wire.UNPROVEN_WAYS; way++) {
      const word = set + wire.UNPROVEN_SET.word + 8 * way;
      if (words.getBigUint64(word, true) >> 32n === 0n) continue;
      const at = set + wire.UNPROVEN_SET.place + way * wire.UNPROVEN_SIZE;
      const value = new Uint8Array(memory, at, wire.UNPROVEN_SIZE).slice();
      const key = value.slice(wire.UNPROVEN.key4, wire.UNPROVEN.key4 + keySize);
      found.push({ key, value, word, at });
    }
  return found;
}

/** Rewrites a record in place. */
export function patchUnproven(table: DataView, key: Uint8Array, value: Uint8Array): void {
  const same = (one: Uint8Array) => one.every((byte, i) => byte === key[i]);
  const found = unprovenEntries(table, key.length).filter((entry) => same(entry.key));
  if (found.length !== 1) throw new Error(`${found.length} records have the key`);
  for (const { at } of found) new Uint8Array(table.buffer).set(value, at);
}
