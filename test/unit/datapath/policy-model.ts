/**
 * A trivial twin of compiler and datapath for the transition tests: rules over labels and ports, a compiler
 * that enumerates, memory in plain buffers, and readers that are caught at any point of a lookup. After every
 * single store all readers that could be under way are let run to their end.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CompiledPolicy, DirectionImage, RuleSetImage, Cell } from '#policy';
import type { Identity } from '#model';
import { atomicStores, policyMemory, type PolicyMemory } from '../../../src/datapath/memory.ts';
import {
  controlFromWord,
  PORT_CLASS_ENTRIES,
  RSDIR_BLOCKS,
  RULESET_WORDS,
} from '../../../src/datapath/layout.ts';
import { slotHeaderWord } from '../../../src/datapath/memory.ts';
import type { Grace } from '../../../src/datapath/policy.ts';
import type { EndpointRulesets } from '../../../src/datapath/rulesets.ts';
import type { Origins } from '../../../src/datapath/origins.ts';

/** A rule of the twin: labels it selects, ports, verdict. Later rules win. */
export interface TwinRule {
  readonly labels: readonly number[];
  readonly ports: readonly [first: number, last: number];
  readonly verdict: 'allow' | 'deny';
}

/** One moment of the twin's world. */
export interface World {
  readonly identities: readonly number[];
  /** Rules of the host (first) and of pod rule sets. */
  readonly rules: readonly (readonly TwinRule[])[];
  /** Endpoint id → index into `rules`, from 1. */
  readonly endpoints: ReadonlyMap<number, number>;
}

export const LABELS = 5;
export const labelOf = (identity: number): number => identity % LABELS;
/** Label of identities that nobody knows. */
export const STRANGER = -1;

const origin = (rules: readonly TwinRule[], at: number) => [`${JSON.stringify(rules[at] ?? 'default')}`];

/** The verdict straight from the rules. */
export function judge(rules: readonly TwinRule[], label: number, port: number): Cell {
  let at = -1;
  rules.forEach((r, i) => {
    if (r.labels.includes(label) && r.ports[0] <= port && port <= r.ports[1]) at = i;
  });
  const verdict = rules[at]?.verdict ?? 'default-deny';
  return { verdict, origin: origin(rules, at), match: 'all', log: false };
}

const images = new Map<string, RuleSetImage>();

/** The same image is the same object, as with the real compiler. */
function handedOut(image: RuleSetImage): RuleSetImage {
  const text = JSON.stringify(image);
  const known = images.get(text);
  if (known !== undefined) return known;
  images.set(text, image);
  return image;
}

/** Compiles by enumeration: identities of equal verdicts everywhere, ports likewise, fall into one class. */
export function compileTwin(world: World): CompiledPolicy {
  const cuts = new Set([0, ...world.rules.flat().flatMap((r) => [r.ports[0], r.ports[1] + 1])]);
  cuts.delete(PORT_CLASS_ENTRIES);
  const starts = [...cuts].sort((a, b) => a - b);
  const text = (c: Cell) => `${c.verdict} ${c.origin.join()}`;
  const labels = [STRANGER, ...Array.from({ length: LABELS }, (_, l) => l)];
  const used = labels.filter((l) => l === STRANGER || world.identities.some((i) => labelOf(i) === l));
  const byId = groupBy(used, (l) =>
    world.rules.map((r) => starts.map((p) => text(judge(r, l, p)))).join('|'),
  );
  const byPort = groupBy(starts, (p) =>
    world.rules.map((r) => used.map((l) => text(judge(r, l, p)))).join('|'),
  );
  const end = (p: number) => (starts[starts.indexOf(p) + 1] ?? PORT_CLASS_ENTRIES) - 1;
  const image = (rules: readonly TwinRule[]): RuleSetImage => {
    const direction: DirectionImage = matrixOf(byId, byPort, (l, p) => judge(rules, l, p), text);
    return handedOut({ key: JSON.stringify(rules), directions: { egress: direction, ingress: direction } });
  };
  const [host, ...pods] = world.rules;
  const images = new Map(pods.map((r) => [JSON.stringify(r), image(r)]));
  return {
    proxyRules: new Map(),
    identityClasses: byId.map((ls) => ({
      name: ls.includes(STRANGER) ? '' : ls.join(),
      members: world.identities.filter((i) => ls.includes(labelOf(i))) as Identity[],
    })),
    portClasses: byPort.map((ps) => ({ name: ps.join(), ranges: ps.map((p) => [p, end(p)] as const) })),
    host: handedOut({ ...image(host ?? []), key: 'host' }),
    ruleSets: [...images.values()],
    endpoints: new Map([...world.endpoints].map(([id, at]) => [id, JSON.stringify(world.rules[at])])),
  };
}

/** The same, but what says what it said before is the same object, as the compiler hands it out. */
export function interned(before: CompiledPolicy | undefined, now: CompiledPolicy): CompiledPolicy {
  if (before === undefined) return now;
  const of = <T>(old: readonly T[], one: T): T => old.find((other) => isDeepStrictEqual(other, one)) ?? one;
  return {
    ...now,
    identityClasses: now.identityClasses.map((c) => of(before.identityClasses, c)),
    host: of([before.host], now.host),
    ruleSets: now.ruleSets.map((image) => of(before.ruleSets, image)),
  };
}

function matrixOf(
  byId: readonly (readonly number[])[],
  byPort: readonly (readonly number[])[],
  cellOf: (label: number, port: number) => Cell,
  text: (c: Cell) => string,
): DirectionImage {
  const cells: Cell[] = [];
  const seen = new Map<string, number>();
  const rowOf = new Map<string, number>();
  const matrix: number[] = [];
  const rows = byId.map((ls) => {
    const row = byPort.map((ps) => {
      const cell = cellOf(ls[0] as number, ps[0] as number);
      const at = seen.get(text(cell)) ?? cells.push(cell) - 1;
      seen.set(text(cell), at);
      return at;
    });
    const known = rowOf.get(row.join());
    if (known !== undefined) return known;
    rowOf.set(row.join(), rowOf.size);
    matrix.push(...row);
    return rowOf.size - 1;
  });
  return {
    enforced: true,
    rows,
    columns: byPort.map((_, i) => i),
    columnCount: byPort.length,
    rowCount: rowOf.size,
    cells,
    matrix,
  };
}

function groupBy(items: readonly number[], key: (item: number) => string): number[][] {
  const groups = new Map<string, number[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

/** Buffers of a small datapath. */
export function plainBuffers(sizes = { rulesets: 16, arenaWords: 16384, pages: 8 }) {
  return {
    rulesets: new ArrayBuffer(sizes.rulesets * RULESET_WORDS * 8),
    arena: new ArrayBuffer(sizes.arenaWords * 8),
    identityPage: new ArrayBuffer((1 << 20) * 2),
    identityClass: new ArrayBuffer(sizes.pages * 4096 * 2),
    portClass: new ArrayBuffer(PORT_CLASS_ENTRIES * 2),
    hostControl: new ArrayBuffer(32),
  };
}

/**
 * Memory whose every store calls `observe`; of the ports' table only stores to a port that is asked about,
 * since nobody can see the others.
 */
export function watchedMemory(
  buffers: ReturnType<typeof plainBuffers>,
  observe: () => void,
  ports: ReadonlySet<number>,
): PolicyMemory {
  const isSeen = (a: Uint16Array | BigUint64Array, i: number) => {
    if (a.buffer !== buffers.portClass) return true;
    if (a instanceof Uint16Array) return ports.has(i);
    return [0, 1, 2, 3].some((n) => ports.has(4 * i + n));
  };
  return policyMemory(buffers, {
    store16: (a, i, v) => {
      atomicStores.store16(a, i, v);
      if (isSeen(a, i)) observe();
    },
    store32: (a, i, v) => {
      atomicStores.store32(a, i, v);
      observe();
    },
    store64: (a, i, v) => {
      atomicStores.store64(a, i, v);
      if (isSeen(a, i)) observe();
    },
    write16: (a, i, v) => {
      atomicStores.write16(a, i, v);
      observe();
    },
    fill: (a, i, v) => {
      atomicStores.fill(a, i, v);
      observe();
    },
  });
}

/** The number of the class that memory gives an identity or a port. */
export function classOf(mem: PolicyMemory, identity: number): number {
  const page = mem.identityPage[identity >>> 12] as number;
  return mem.identityClass[page * 4096 + (identity & 4095)] as number;
}

/** Word of the arena where a cell stands. */
function cellWord(mem: PolicyMemory, cells: number, shape: number, row: number, column: number): number {
  const columnCount = shape & 0xffff;
  if (((shape >>> 16) & RSDIR_BLOCKS) === 0) return cells + row * columnCount + column;
  const block = row * Math.ceil(columnCount / 16) + (column >> 4);
  return cells + (mem.arena.u32[2 * cells + block] as number) + (column & 15);
}

/** What a lookup with these numbers reads, as the C side does it: low and high word of the cell. */
export function lookup(
  mem: PolicyMemory,
  ruleset: number,
  slot: number,
  dir: number,
  cls: number,
  port: number,
): string {
  const h = slotHeaderWord(ruleset, slot) * 2;
  const word = (i: number) => mem.rulesets.u32[h + i] as number;
  const n = word(1) & 0xffff;
  const np = word(1) >>> 16;
  const d = 2 + 4 * dir;
  const row = mem.arena.u16[word(d) * 4 + (cls < n ? cls : 0)] as number;
  const column = mem.arena.u16[word(d + 1) * 4 + (port < np ? port : 0)] as number;
  const at = 2 * cellWord(mem, word(d + 2), word(d + 3), row, column);
  return `${mem.arena.u32[at]}/${mem.arena.u32[at + 1]}`;
}

/** Endpoint records of the twin. */
export class TwinEndpoints implements EndpointRulesets {
  readonly map = new Map<number, number>();
  readonly kept = new Set<number>();
  keptRulesets(): ReadonlySet<number> {
    return this.kept;
  }
  observe: () => void = () => {};
  rulesets(): ReadonlyMap<number, number> {
    return this.map;
  }
  setRuleset(id: number, index: number): void {
    this.map.set(id, index);
    this.observe();
  }
}

const VERDICTS = { allow: 1, deny: 2, 'default-deny': 3, redirect: 4, auth: 5 };

/**
 * Readers caught in the middle. Each has read a control word, or that and a class number, or all but the
 * rows, at any time since the last grace period; `check` lets all of them finish now.
 */
export class Readers implements Grace {
  mem!: PolicyMemory;
  readonly #endpoints: TwinEndpoints;
  readonly #origins: Origins;
  /** endpoint (0 = host) → slots it may have chosen → classes it may have read for each identity and port. */
  #caught = new Map<
    number,
    Map<string, { ids: Map<number, Set<number>>; ports: Map<number, Set<number>> }>
  >();
  /** `endpoint identity port` → verdicts that are right. */
  #right = new Map<string, Set<string>>();
  identities: readonly number[] = [];
  ports: readonly number[] = [];
  /** Endpoints that both worlds have, and identities whose verdicts are asserted. */
  subjects: readonly number[] = [0];
  checks = 0;

  constructor(endpoints: TwinEndpoints, origins: Origins) {
    this.#endpoints = endpoints;
    this.#origins = origins;
  }

  text(cell: Cell): string {
    const high = ((VERDICTS[cell.verdict] << 16) | (4 << 24)) >>> 0;
    return `${this.#origins.idOf(cell.origin)}/${high}`;
  }

  /** Worlds since everything was quiet, the present one last. */
  #worlds: World[] = [];
  /** Who had a class before the first of them. */
  #known: readonly number[] = [];

  /** From now on this world's verdicts are right too; those of worlds before remain so until `quiet`. */
  enter(world: World, strangers: readonly number[]): void {
    this.#worlds.push(world);
    this.identities = [...new Set([...this.#worlds.flatMap((w) => w.identities), ...strangers])];
    this.subjects = [0, ...world.endpoints.keys()].filter(
      (s) => s === 0 || this.#worlds.every((w) => w.endpoints.has(s)),
    );
    this.#right.clear();
    for (const subject of this.subjects)
      for (const identity of this.identities)
        for (const port of this.ports) {
          const right = this.#verdicts(subject, identity, port);
          if (right !== undefined) this.#right.set(`${subject} ${identity} ${port}`, right);
        }
  }

  /**
   * What a reader may see who began in any of the worlds; undefined: anything. An identity is a stranger
   * still in the world in which it appears. One that has gone keeps the number it had, whatever becomes of
   * that number: nobody has its addresses any more.
   */
  #verdicts(subject: number, identity: number, port: number): Set<string> | undefined {
    const right = new Set<string>();
    let was = this.#known.includes(identity);
    for (const world of this.#worlds) {
      const rules = world.rules[subject === 0 ? 0 : (world.endpoints.get(subject) as number)] ?? [];
      const is = world.identities.includes(identity);
      if (was && !is) return undefined;
      if (is) right.add(this.text(judge(rules, labelOf(identity), port)));
      if (!was) right.add(this.text(judge(rules, STRANGER, port)));
      was = is;
    }
    return right;
  }

  /** Nobody is under way, nothing is left to do: only the present world is right, to the letter. */
  quiet(): void {
    const world = this.#worlds.at(-1);
    this.#worlds = [];
    this.#known = world?.identities ?? [];
    if (world !== undefined) this.enter(world, this.identities);
    this.#caught.clear();
    this.check();
  }

  #slotsNow(subject: number): string | undefined {
    const index = subject === 0 ? 0 : this.#endpoints.map.get(subject);
    if (index === undefined) return undefined;
    const word = index === 0 ? this.mem.hostControl[0] : this.mem.rulesets.u64[index * RULESET_WORDS];
    const control = controlFromWord(word as bigint);
    return control.state === 0 ? undefined : `${index}:${control.active}`;
  }

  check(): void {
    for (const subject of this.subjects) {
      const caught = this.#caught.get(subject) ?? new Map();
      this.#caught.set(subject, caught);
      const now = this.#slotsNow(subject);
      if (now !== undefined && !caught.has(now)) caught.set(now, { ids: new Map(), ports: new Map() });
      for (const [slot, { ids, ports }] of caught) {
        for (const i of this.identities) addTo(ids, i, classOf(this.mem, i));
        for (const p of this.ports) addTo(ports, p, this.mem.portClass.u16[p] as number);
        this.#finish(subject, slot, ids, ports);
      }
    }
  }

  #finish(
    subject: number,
    slot: string,
    ids: Map<number, Set<number>>,
    ports: Map<number, Set<number>>,
  ): void {
    const [ruleset, index] = slot.split(':').map(Number) as [number, number];
    for (const [identity, classes] of ids)
      for (const [port, columns] of ports)
        for (const c of classes)
          for (const p of columns) {
            const seen = lookup(this.mem, ruleset, index, this.checks++ & 1, c, p);
            const right = this.#right.get(`${subject} ${identity} ${port}`);
            if (right !== undefined && !right.has(seen))
              throw new Error(
                `endpoint ${subject} identity ${identity} port ${port}: slot ${slot} class ${c} port class ${p} ` +
                  `reads ${seen}, right are ${[...right].join(' ')}`,
              );
          }
  }

  /** A grace period: everyone who was caught has finished. */
  async wait(): Promise<void> {
    await Promise.resolve();
    this.#caught.clear();
    this.check();
  }
}

function addTo(map: Map<number, Set<number>>, key: number, value: number): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}
