/**
 * The memory that policy lives in: views over the mapped arrays of `rulesets`, `arena`, the two class tables
 * and the host endpoint's switch. Everything a packet may read while it is written goes through the `store`
 * functions, each one release store; `fill` is for arena space that no control word leads to yet. Tests hand
 * in plain buffers and look at the whole after every call.
 */
import { HOST_SLOTS, IDENTITY_PAGES_TOP, RULESET_WORDS, SLOT_FIRST_WORD, SLOT_WORDS } from './layout.ts';

/** Views over one block of memory that different widths read. */
export interface Words {
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
}

/** The same bytes as 2-, 4- and 8-byte elements. */
function wordsOf(buffer: ArrayBuffer): Words {
  const words = Math.floor(buffer.byteLength / 8);
  return {
    u16: new Uint16Array(buffer, 0, words * 4),
    u32: new Uint32Array(buffer, 0, words * 2),
    u64: new BigUint64Array(buffer, 0, words),
  };
}

/** How the writer publishes. One call is one store. */
export interface Stores {
  store16(array: Uint16Array, index: number, value: number): void;
  store32(array: Uint32Array, index: number, value: number): void;
  store64(array: BigUint64Array, index: number, value: bigint): void;
  /** A plain store to what no reader can reach before a later `store`. */
  write16(array: Uint16Array, index: number, value: number): void;
  /** Plain copy into memory that no reader can reach. */
  fill(array: Uint32Array, index: number, source: Uint32Array): void;
}

export interface PolicyMemory extends Stores {
  readonly rulesets: Words;
  readonly arena: Words;
  readonly identityPage: Uint16Array;
  readonly identityClass: Uint16Array;
  readonly portClass: Words;
  /** `struct hostfw_control`. */
  readonly hostControl: BigUint64Array;
}

/** Release stores to mapped memory: one `xchg` on x86-64, `stlr` on arm64. */
export const atomicStores: Stores = {
  store16: (array, index, value) => void Atomics.store(array, index, value),
  store32: (array, index, value) => void Atomics.store(array, index, value),
  store64: (array, index, value) => void Atomics.store(array, index, value),
  write16: (array, index, value) => void (array[index] = value),
  fill: (array, index, source) => array.set(source, index),
};

/** Buffers of a policy memory, as mapped or (in tests and tools) plain. */
export interface PolicyBuffers {
  readonly rulesets: ArrayBuffer;
  readonly arena: ArrayBuffer;
  readonly identityPage: ArrayBuffer;
  readonly identityClass: ArrayBuffer;
  readonly portClass: ArrayBuffer;
  readonly hostControl: ArrayBuffer;
}

export function policyMemory(buffers: PolicyBuffers, stores: Stores = atomicStores): PolicyMemory {
  return {
    ...stores,
    rulesets: wordsOf(buffers.rulesets),
    arena: wordsOf(buffers.arena),
    identityPage: wordsOf(buffers.identityPage).u16.subarray(0, IDENTITY_PAGES_TOP),
    identityClass: wordsOf(buffers.identityClass).u16,
    portClass: wordsOf(buffers.portClass),
    hostControl: wordsOf(buffers.hostControl).u64,
  };
}

/** Word index in `rulesets` of a slot's header. */
export function slotHeaderWord(ruleset: number, slot: number): number {
  if (slot >= HOST_SLOTS) throw new RangeError(`slot ${slot} of ${HOST_SLOTS}`);
  return ruleset * RULESET_WORDS + SLOT_FIRST_WORD + slot * SLOT_WORDS;
}
