/**
 * What the kernel would judge by, read out of mapped memory the way a packet does: control word, slot, class
 * numbers, cell. Nothing here knows what was compiled, so that it can be held against it.
 */
import { cellIndex } from './cells.ts';
import {
  IDENTITY_PAGE_BITS,
  MATCH,
  PAGE_ENTRIES,
  PORT_CLASS_ENTRIES,
  RSDIR_AUDIT,
  RSDIR_ENFORCED,
  RSDIR_STAGED,
  RULESET_HOST,
  RULESET_WORDS,
  CLASS_UNKNOWN,
  controlFromWord,
  VERDICT,
} from './layout.ts';
import type { PolicyMemory } from './memory.ts';
import { type DirView, viewSlot } from './ruleset.ts';

/** A cell with its numbers given their names. */
export interface CellReading {
  readonly verdict: keyof typeof VERDICT | 'none';
  /** What staged policies would refuse it by. */
  readonly staged: keyof typeof VERDICT | 'none';
  readonly match: keyof typeof MATCH;
  /** Number of the set of rules that decided; 0 = none. */
  readonly origin: number;
}

/** One direction of the slot that is in force. */
export interface DirectionReading {
  readonly enforced: boolean;
  /** What its cells refuse passes. */
  readonly audit: boolean;
  /** Only staged policies select it. */
  readonly staged: boolean;
  /** What an identity meets at an index of the port classes. */
  cell(identity: number, port: number): CellReading;
}

/** One rule set as it stands in memory. */
export interface RulesetReading {
  readonly generation: number;
  readonly slot: number;
  readonly egress: DirectionReading;
  readonly ingress: DirectionReading;
}

/** Where the class of ports changes: ranges of the whole index, ascending. */
export type PortRuns = readonly (readonly [first: number, last: number])[];

/** What memory says, for those who want to hold it against what was compiled. */
export interface PolicyReading {
  ruleset(index: number): RulesetReading | undefined;
  classOf(identity: number): number;
  identities(): readonly number[];
  ports(): PortRuns;
}

/** The tables as a packet would read them, now. */
export function policyReading(mem: PolicyMemory): PolicyReading {
  return {
    ruleset: (index) => readRuleset(mem, index),
    classOf: (identity) => classOfIdentity(mem, identity),
    identities: () => identitiesInMemory(mem),
    ports: () => portRuns(mem),
  };
}

const VERDICTS = namesOf(VERDICT);
const MATCHES = namesOf(MATCH);

/** The rule set of this index; undefined when no slot of it is in force or readable. */
function readRuleset(mem: PolicyMemory, index: number): RulesetReading | undefined {
  const word = index === RULESET_HOST ? mem.hostControl[0] : mem.rulesets.u64[index * RULESET_WORDS];
  if (word === undefined || word === 0n) return undefined;
  const { active } = controlFromWord(word);
  const view = viewSlot(mem, index, active);
  if (view === undefined) return undefined;
  const [egress, ingress] = view.dirs;
  return {
    generation: view.generation,
    slot: active,
    egress: readDirection(mem, egress),
    ingress: readDirection(mem, ingress),
  };
}

function readDirection(mem: PolicyMemory, view: DirView): DirectionReading {
  return {
    enforced: (view.flags & RSDIR_ENFORCED) !== 0,
    audit: (view.flags & RSDIR_AUDIT) !== 0,
    staged: (view.flags & RSDIR_STAGED) !== 0,
    cell(identity, port) {
      const row = view.rows[classOfIdentity(mem, identity)] ?? view.rows[CLASS_UNKNOWN] ?? 0;
      const column = view.columns[mem.portClass.u16[port] ?? 0] ?? view.columns[0] ?? 0;
      const at = cellIndex(view, row, column);
      const high = view.cells[at + 1] ?? 0;
      return {
        verdict: VERDICTS.get((high >>> 16) & 0xf) ?? 'none',
        staged: VERDICTS.get((high >>> 20) & 0xf) ?? 'none',
        match: MATCHES.get((high >>> 24) & 0x07) ?? 'none',
        origin: view.cells[at] ?? 0,
      };
    },
  };
}

/** Number of an identity's class; two identities of one number meet the same everywhere. */
function classOfIdentity(mem: PolicyMemory, identity: number): number {
  const page = mem.identityPage[identity >>> IDENTITY_PAGE_BITS] ?? 0;
  if (page === 0) return CLASS_UNKNOWN;
  return mem.identityClass[page * PAGE_ENTRIES + (identity & (PAGE_ENTRIES - 1))] ?? CLASS_UNKNOWN;
}

/** Identities that the class table names, ascending. */
function identitiesInMemory(mem: PolicyMemory): readonly number[] {
  const found: number[] = [];
  for (const [top, page] of mem.identityPage.entries()) {
    if (page === 0 || (page + 1) * PAGE_ENTRIES > mem.identityClass.length) continue;
    for (let low = 0; low < PAGE_ENTRIES; low += 1) {
      if (mem.identityClass[page * PAGE_ENTRIES + low] !== CLASS_UNKNOWN)
        found.push(top * PAGE_ENTRIES + low);
    }
  }
  return found;
}

/** Ranges of the port index with one class each. */
function portRuns(mem: PolicyMemory): PortRuns {
  const runs: (readonly [number, number])[] = [];
  let first = 0;
  for (let at = 1; at <= PORT_CLASS_ENTRIES; at += 1) {
    if (at < PORT_CLASS_ENTRIES && mem.portClass.u16[at] === mem.portClass.u16[first]) continue;
    runs.push([first, at - 1]);
    first = at;
  }
  return runs;
}

function namesOf<K extends string>(numbers: Readonly<Record<K, number>>): ReadonlyMap<number, K> {
  return new Map(Object.entries<number>(numbers).map(([name, n]) => [n, name as K]));
}
