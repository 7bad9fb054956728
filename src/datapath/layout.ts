/**
 * Numbers of `bpf/types.h` that the policy tables compute with, under names of their own so that the pure
 * part of this folder needs no kernel. A test compares them with the generated codecs.
 */

/** 8-byte words of one rule set header, of one slot header, and where the first slot stands. */
export const RULESET_WORDS = 24;
export const SLOT_WORDS = 5;
export const SLOT_FIRST_WORD = 1;

export const HOST_SLOTS = 4;
export const RULESET_HOST = 0;
export const CLASS_UNKNOWN = 0;

export const IDENTITY_PAGE_BITS = 12;
/** Identities on one page of the class table. */
export const PAGE_ENTRIES = 1 << IDENTITY_PAGE_BITS;
export const IDENTITY_PAGES_TOP = 1 << 20;
export const PORT_CLASS_ENTRIES = 197376;

export const RSDIR_ENFORCED = 0x01;
export const RSDIR_AUDIT = 0x02;
export const RSDIR_STAGED = 0x04;
export const RSDIR_BLOCKS = 0x08;
export const BLOCK_COLUMNS = 16;

export const CELL_LOG = 0x08;

/** `enum verdict`, by the compiler's words. */
export const VERDICT = { allow: 1, deny: 2, 'default-deny': 3, redirect: 4, auth: 5 } as const;

/** `enum policy_match`, by the compiler's words. */
export const MATCH = {
  none: 0,
  'L3-only': 1,
  'L3-L4': 2,
  'L4-only': 3,
  all: 4,
  'L3-proto': 5,
  'proto-only': 6,
} as const;

/** `enum control_state` and `enum control_mode`. */
export const CONTROL_STATE = { empty: 0, confirmed: 1, unconfirmed: 2 } as const;
export const CONTROL_MODE = { enforce: 0, audit: 1, failsafe: 2, off: 3 } as const;

/** The control word, taken apart. */
export interface Control {
  readonly active: number;
  readonly fallback: number;
  readonly state: number;
  readonly mode: number;
  readonly txn: number;
}

export function controlFromWord(word: bigint): Control {
  const low = Number(word & 0xffffffffn);
  return {
    active: low & 0xff,
    fallback: (low >>> 8) & 0xff,
    state: (low >>> 16) & 0xff,
    mode: low >>> 24,
    txn: Number(word >> 32n),
  };
}

export function wordFromControl(c: Control): bigint {
  const low = (c.active | (c.fallback << 8) | (c.state << 16) | (c.mode << 24)) >>> 0;
  return (BigInt(c.txn) << 32n) | BigInt(low);
}
