/**
 * Do the tables in memory still say what was stored there? Somebody else with the right to write into maps, or
 * a defect, may have changed them. What is found is repaired by the caller; each finding is a sentence.
 */
import type { ClassNumbers } from './class-numbers.ts';
import { type Pairs, pairsOf, RowComparison } from './compare.ts';
import { CONTROL_STATE, RULESET_HOST } from './layout.ts';
import type { PolicyMemory } from './memory.ts';
import { type DirTable, headerOf, type SlotView } from './ruleset.ts';
import type { LiveRuleset, RuleSets } from './rulesets.ts';

/** What a slot was made of, as far as this process made it. */
export interface Made {
  readonly header: Uint32Array;
  /** Encoded matrices by direction; empty for adopted slots. */
  readonly cells: readonly Uint32Array[];
}

/** Is the word that chooses the slot as it was stored? A word that was never stored is none of ours. */
export function isWordIntact(rulesets: RuleSets, { index, active, fallback }: LiveRuleset): boolean {
  const word = rulesets.control(index);
  return (
    word.active === active.slot &&
    word.fallback === (fallback ?? active).slot &&
    (index === RULESET_HOST ? word.state !== CONTROL_STATE.empty : word.state === CONTROL_STATE.confirmed)
  );
}

/** Header and cells as they were built. */
export function isSlotIntact(mem: PolicyMemory, view: SlotView, { header, cells }: Made): boolean {
  const now = headerOf(mem, view.ruleset, view.slot);
  return (
    header.every((word, i) => word === now[i]) &&
    view.dirs.every((dir, d) => {
      const built = cells[d];
      return built === undefined || bytesOf(built).equals(bytesOf(dir.cells.subarray(0, built.length)));
    })
  );
}

/** Positions of the numbers in use. */
export interface Expected {
  readonly identities: Pairs;
  readonly ports: Pairs;
}

export function expectedPairs({ identities, ports }: ClassNumbers): Expected {
  const pairs = (positions: ReadonlyMap<number, number>) =>
    pairsOf([...positions].map(([from, to]) => ({ from, to })));
  return { identities: pairs(identities.axis.positions), ports: pairs(ports.axis.positions) };
}

/** Every class that is in use meets the verdicts that the policy applied last gives it. */
export function areRowsIntact(
  view: SlotView,
  dirs: readonly [DirTable, DirTable],
  cells: readonly Uint32Array[],
  expected: Expected,
): boolean {
  return view.dirs.every((dir, d) => {
    const table = dirs[d as 0 | 1];
    const isOwn = table.cells === cells[d];
    return new RowComparison(dir, table, expected.ports, isOwn).equal(expected.identities);
  });
}

/** Stores every entry of the class tables that is not what it should be anew; how many there were. */
export function repairClasses(mem: PolicyMemory, { identities, ports }: ClassNumbers): number {
  let repaired = identities.repair();
  const { u16 } = mem.portClass;
  for (const { first, last, number } of ports.ranges)
    for (let at = first; at <= last; at++)
      if (u16[at] !== number) {
        mem.store16(u16, at, number);
        repaired++;
      }
  return repaired;
}

function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}
