/**
 * The two class tables in mapped memory with their bookkeeping: identity → class number over pages, port
 * index → class number in one array. Each change is one store (ports: one for up to four neighbours).
 */
import { MerlonError } from '#kit/errors';
import { addWeight, newAxis } from './axis.ts';
import { movePorts, type PortRange } from './classes.ts';
import { CLASS_UNKNOWN, IDENTITY_PAGE_BITS, PAGE_ENTRIES, PORT_CLASS_ENTRIES } from './layout.ts';
import type { PolicyMemory } from './memory.ts';
import { Numbers } from './numbers.ts';

export class IdentityTable {
  readonly axis = newAxis();
  readonly #mem: PolicyMemory;
  readonly #known = new Map<number, number>();
  readonly pages: Numbers;
  /** Entries other than CLASS_UNKNOWN on each page in use. */
  readonly #onPage = new Map<number, number>();
  /** Upper bits of identities → page. */
  readonly #pageOf = new Map<number, number>();
  readonly #onPageEmpty: (page: number) => void;

  constructor(mem: PolicyMemory, onPageEmpty: (page: number) => void) {
    this.#mem = mem;
    this.#onPageEmpty = onPageEmpty;
    this.pages = new Numbers(1, Math.floor(mem.identityClass.length / PAGE_ENTRIES));
  }

  /** Identity → number of its class; CLASS_UNKNOWN is a number like any other. */
  get known(): ReadonlyMap<number, number> {
    return this.#known;
  }

  /** Pages that these identities would need beyond those in use. */
  pagesNeeded(identities: Iterable<number>): number {
    const missing = new Set<number>();
    for (const identity of identities) {
      const top = identity >>> IDENTITY_PAGE_BITS;
      if (!this.#pageOf.has(top)) missing.add(top);
    }
    return missing.size;
  }

  move(identity: number, number: number): void {
    const before = this.#known.get(identity);
    if (before !== undefined) addWeight(this.axis, before, -1);
    addWeight(this.axis, number, 1);
    this.#known.set(identity, number);
    this.#store(identity, number);
  }

  forget(identity: number): void {
    const before = this.#known.get(identity);
    if (before === undefined) return;
    addWeight(this.axis, before, -1);
    this.#known.delete(identity);
    this.#store(identity, CLASS_UNKNOWN);
  }

  /** Stores every entry anew that is not as it was stored, strangers' too; how many there were. */
  repair(): number {
    const { identityPage, identityClass } = this.#mem;
    let repaired = 0;
    const set = (top: number, page: number) => {
      this.#mem.store16(identityPage, top, page);
      repaired++;
    };
    for (const [top, page] of this.#pageOf) {
      if (identityPage[top] !== page) set(top, page);
      for (let low = 0; low < PAGE_ENTRIES; low++) {
        const number = this.#known.get(top * PAGE_ENTRIES + low) ?? CLASS_UNKNOWN;
        const at = page * PAGE_ENTRIES + low;
        if (identityClass[at] === number) continue;
        this.#mem.store16(identityClass, at, number);
        repaired++;
      }
    }
    for (let top = 0; top < identityPage.length; top++)
      if (identityPage[top] !== 0 && !this.#pageOf.has(top)) set(top, 0);
    return repaired;
  }

  #store(identity: number, number: number): void {
    const mem = this.#mem;
    const top = identity >>> IDENTITY_PAGE_BITS;
    let page = this.#pageOf.get(top) ?? 0;
    if (page === 0) {
      if (number === CLASS_UNKNOWN) return;
      page = this.#takePage();
      this.#pageOf.set(top, page);
      mem.store16(mem.identityPage, top, page);
    }
    const at = page * PAGE_ENTRIES + (identity & (PAGE_ENTRIES - 1));
    const before = mem.identityClass[at] as number;
    if (before === number) return;
    mem.store16(mem.identityClass, at, number);
    const change = (number === CLASS_UNKNOWN ? 0 : 1) - (before === CLASS_UNKNOWN ? 0 : 1);
    const count = (this.#onPage.get(page) ?? 0) + change;
    this.#onPage.set(page, count);
    if (count > 0) return;
    mem.store16(mem.identityPage, top, 0);
    this.#pageOf.delete(top);
    this.#onPage.delete(page);
    this.#onPageEmpty(page);
  }

  #takePage(): number {
    const page = this.pages.take();
    if (page === undefined) throw new MerlonError('POLICY_NO_ROOM', 'no page left for new identities');
    return page;
  }

  /** Reads what an earlier process left. */
  adopt(): void {
    const { identityPage, identityClass } = this.#mem;
    identityPage.forEach((page, top) => {
      if (page === 0 || (page + 1) * PAGE_ENTRIES > identityClass.length) return;
      let count = 0;
      for (let low = 0; low < PAGE_ENTRIES; low++) {
        const number = identityClass[page * PAGE_ENTRIES + low] as number;
        if (number === CLASS_UNKNOWN) continue;
        count++;
        this.#known.set(top * PAGE_ENTRIES + low, number);
        addWeight(this.axis, number, 1);
      }
      this.#onPage.set(page, count);
      this.#pageOf.set(top, page);
    });
    this.pages.reserve(this.#onPage.keys());
    this.axis.numbers.reserve([...this.axis.weights.keys()].filter((n) => n !== CLASS_UNKNOWN));
  }
}

export class PortTable {
  readonly axis = newAxis();
  readonly #mem: PolicyMemory;
  #ranges: readonly PortRange[] = [{ first: 0, last: PORT_CLASS_ENTRIES - 1, number: 0 }];

  constructor(mem: PolicyMemory) {
    this.#mem = mem;
    addWeight(this.axis, 0, PORT_CLASS_ENTRIES);
  }

  /** The whole index in ascending ranges of one number each. */
  get ranges(): readonly PortRange[] {
    return this.#ranges;
  }

  move(parts: readonly PortRange[], number: number): void {
    for (const part of parts) {
      const weight = part.last - part.first + 1;
      addWeight(this.axis, part.number, -weight);
      addWeight(this.axis, number, weight);
      this.#store(part.first, part.last, number);
    }
    this.#ranges = movePorts(
      this.#ranges,
      parts.map(({ first, last }) => ({ first, last, number })),
    );
  }

  #store(first: number, last: number, number: number): void {
    const { u16, u64 } = this.#mem.portClass;
    const four = BigInt(number) * 0x0001_0001_0001_0001n;
    for (let at = first; at <= last; )
      if (at % 4 === 0 && at + 3 <= last) {
        this.#mem.store64(u64, at / 4, four);
        at += 4;
      } else this.#mem.store16(u16, at++, number);
  }

  adopt(): void {
    const { u16 } = this.#mem.portClass;
    const ranges: PortRange[] = [];
    let first = 0;
    for (let at = 1; at <= PORT_CLASS_ENTRIES; at++) {
      const number = u16[first] as number;
      if (at < PORT_CLASS_ENTRIES && u16[at] === number) continue;
      ranges.push({ first, last: at - 1, number });
      first = at;
    }
    this.#ranges = ranges;
    this.axis.weights.clear();
    this.axis.weights.set(0, 0);
    for (const r of ranges) addWeight(this.axis, r.number, r.last - r.first + 1);
    this.axis.numbers.reserve([...this.axis.weights.keys()].filter((n) => n !== 0));
  }
}
