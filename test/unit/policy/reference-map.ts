/**
 * The reference's policy map, as policy.md §13 tells it: one entry for each identity and block of ports, pruned while
 * it is filled, read by two look-ups of the longest prefix. Slow and literal, for the compiled tables to be held against.
 */

/** An identity (0: everyone) and the first `bits` of protocol and port. */
export interface MapKey {
  readonly identity: number;
  readonly protocol: number;
  readonly port: number;
  readonly bits: number;
}

/** What a rule says there. `precedence`: 255 deny, 254 less the rank of a proxy, 1 allow. `auth`: number of the mode. */
export interface MapEntry {
  readonly precedence: number;
  readonly auth: number;
  readonly isExplicit: boolean;
}

export const DENY = 255;
export const ALLOW = 1;

interface Slot {
  readonly key: MapKey;
  readonly entry: MapEntry;
}

/** The blocks of a range of ports, each with the bits of its key; port 0 alone is every port of the protocol. */
export function blocksOf(
  first: number,
  last: number,
): readonly { readonly port: number; readonly bits: number }[] {
  if (first === 0) return [{ port: 0, bits: 8 }];
  const blocks: { port: number; bits: number }[] = [];
  for (let port = first; port <= last; ) {
    let size = 1;
    while (port % (2 * size) === 0 && port + 2 * size - 1 <= last) size *= 2;
    blocks.push({ port, bits: 24 - Math.log2(size) });
    port += size;
  }
  return blocks;
}

export class ReferenceMap {
  #slots: Slot[] = [];

  /** Puts in what a rule says, unless something wider outranks it; what it outranks goes. */
  insert(key: MapKey, entry: MapEntry): void {
    if (entry.precedence === DENY) this.#insertDeny(key, entry);
    else this.#insertAllow(key, entry);
  }

  #insertDeny(key: MapKey, entry: MapEntry): void {
    const isWider = (slot: Slot) => slot.entry.precedence === DENY && covers(slot.key, key);
    if (this.#slots.some(isWider)) return;
    this.#slots = this.#slots.filter((slot) => !covers(key, slot.key));
    this.#slots.push({ key, entry });
  }

  /** Modes are handed down, and what states its own stays beside what outranks it, with its rank, among one identity. */
  #insertAllow(key: MapKey, given: MapEntry): void {
    const same = this.#slots.filter((slot) => slot.key.identity === key.identity);
    const wider = same.filter((slot) => covers(slot.key, key)).sort((a, b) => b.key.bits - a.key.bits);
    const over = wider.find((slot) => slot.entry.precedence > given.precedence);
    if (over !== undefined && (over.entry.precedence === DENY || !given.isExplicit)) return;
    const from = wider.find((slot) => slot.entry.isExplicit && !isSame(slot.key, key));
    const derived = given.isExplicit || from === undefined ? given : { ...given, auth: from.entry.auth };
    const entry = { ...derived, precedence: over?.entry.precedence ?? derived.precedence };
    const narrower = same.filter((slot) => covers(key, slot.key));
    const outranked = narrower.filter((slot) => slot.entry.precedence < entry.precedence);
    const kept = outranked
      .filter((slot) => slot.entry.isExplicit)
      .map((slot) => ({ key: slot.key, entry: { ...slot.entry, precedence: entry.precedence } }));
    this.#slots = [...this.#slots.filter((slot) => !outranked.includes(slot)), ...kept];
    const merged = this.#merge(key, entry);
    if (merged.isExplicit) this.#handDown(key, merged);
  }

  /** What stands there in the end is handed down, whatever came first. */
  #handDown(key: MapKey, { auth }: MapEntry): void {
    const within = this.#slots.filter(
      (slot) => slot.key.identity === key.identity && covers(key, slot.key) && !isSame(key, slot.key),
    );
    const stating = within.filter((slot) => slot.entry.isExplicit || slot.entry.precedence === DENY);
    const heirs = within.filter(
      (slot) => !stating.some((closer) => covers(closer.key, slot.key)) && !stating.includes(slot),
    );
    this.#slots = this.#slots.map((slot) =>
      heirs.includes(slot) ? { key: slot.key, entry: { ...slot.entry, auth } } : slot,
    );
  }

  #merge(key: MapKey, entry: MapEntry): MapEntry {
    const old = this.#slots.find((slot) => isSame(slot.key, key));
    if (old === undefined) {
      this.#slots.push({ key, entry });
      return entry;
    }
    const isOne = old.entry.isExplicit === entry.isExplicit;
    const stated = old.entry.isExplicit ? old.entry : entry;
    const auth = isOne ? Math.max(old.entry.auth, entry.auth) : stated.auth;
    const isExplicit = old.entry.isExplicit || entry.isExplicit;
    this.#slots = this.#slots.filter((slot) => slot !== old);
    const merged = { precedence: entry.precedence, auth, isExplicit };
    this.#slots.push({ key, entry: merged });
    return merged;
  }

  /** What becomes of a packet of the identity; undefined: no entry. */
  look(identity: number, protocol: number, port: number): MapEntry | undefined {
    const named = this.#longest({ identity, protocol, port, bits: 24 });
    const everyone = this.#longest({ identity: 0, protocol, port, bits: 24 });
    if (named === undefined || everyone === undefined) return (named ?? everyone)?.entry;
    const rank = everyone.entry.precedence - named.entry.precedence;
    const isEveryones = rank > 0 || (rank === 0 && everyone.key.bits > named.key.bits);
    const [{ entry }, other] = isEveryones ? [everyone, named] : [named, everyone];
    // The newest reference asks the loser of equal precedence alone; a proof that is asked for is never lost here.
    const isRaised = !entry.isExplicit && other.entry.precedence !== DENY;
    return isRaised ? { ...entry, auth: Math.max(entry.auth, other.entry.auth) } : entry;
  }

  #longest(packet: MapKey): Slot | undefined {
    return this.#slots
      .filter((slot) => slot.key.identity === packet.identity && covers(slot.key, packet))
      .sort((a, b) => b.key.bits - a.key.bits)[0];
  }
}

function isSame(a: MapKey, b: MapKey): boolean {
  return a.identity === b.identity && a.bits === b.bits && covers(a, b);
}

/** Whether the first key means all that the second means; everyone is everybody. */
function covers(a: MapKey, b: MapKey): boolean {
  if (a.identity !== 0 && a.identity !== b.identity) return false;
  if (a.bits > b.bits) return false;
  if (a.bits === 0) return true;
  const size = 2 ** (24 - a.bits);
  return a.protocol === b.protocol && Math.floor(a.port / size) === Math.floor(b.port / size);
}
