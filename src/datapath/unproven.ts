/** Records without proof stand in sets of places (bpf/lib/unproven.h), not in a hash of the kernel's. */
import {
  FLOW4_KEY_SIZE,
  FLOW6_KEY_SIZE,
  UNPROVEN,
  UNPROVEN_SET,
  UNPROVEN_SIZE,
  UNPROVEN_WAYS,
} from '#wire/bpf';

/** A record in its place: the key as a hash table would have it, and the whole of it. */
export interface UnprovenRecord {
  readonly key: Uint8Array;
  readonly value: DataView;
}

/** The records of one set, in memory of the caller's. A place that is just being filled has none. */
export function unprovenIn(family: 4 | 6, set: DataView): readonly UnprovenRecord[] {
  const found: UnprovenRecord[] = [];
  const size = family === 4 ? FLOW4_KEY_SIZE : FLOW6_KEY_SIZE;
  for (let way = 0; way < UNPROVEN_WAYS; way++) {
    if (set.getUint32(UNPROVEN_SET.word + 8 * way + 4, true) === 0) continue;
    const at = set.byteOffset + UNPROVEN_SET.place + way * UNPROVEN_SIZE;
    const value = new DataView(set.buffer, at, UNPROVEN_SIZE);
    found.push({ key: new Uint8Array(set.buffer, at + UNPROVEN.key4, size), value });
  }
  return found;
}
