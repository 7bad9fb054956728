/**
 * What one axis, identities or ports, remembers of its class numbers: how many members each has and which
 * position of the compiled policy it stands for. Numbers come, go and change their positions one by one, so that
 * a change costs the numbers that it is about.
 */
import { CLASS_UNKNOWN } from './layout.ts';
import { Numbers } from './numbers.ts';

/** Class numbers are 16 bits wide. */
const CLASS_LIMIT = 65536;

export interface Axis {
  readonly numbers: Numbers;
  /** Members of each number in use; number 0 is always in use. */
  readonly weights: Map<number, number>;
  /** Numbers that have lost their last member, perhaps to get another. */
  readonly emptied: Set<number>;
  /** Position of each number in the policy applied last, and the numbers of each; empty after adoption. */
  readonly positions: Map<number, number>;
  readonly atPosition: Map<number, number[]>;
  /** Positions that several numbers have. */
  readonly crowded: Set<number>;
  /** Numbers that were added since positions were last set. */
  readonly added: Set<number>;
}

export function newAxis(): Axis {
  return {
    numbers: new Numbers(1, CLASS_LIMIT),
    weights: new Map([[CLASS_UNKNOWN, 0]]),
    emptied: new Set(),
    positions: new Map(),
    atPosition: new Map(),
    crowded: new Set(),
    added: new Set(),
  };
}

/** A policy is applied: says what these numbers mean from now on; undefined: nothing. */
export function setPositions(axis: Axis, positions: ReadonlyMap<number, number | undefined>): void {
  axis.added.clear();
  for (const [number, position] of positions) place(axis, number, position);
}

/** A number's first meaning. */
export function addNumber(axis: Axis, number: number, position: number): void {
  axis.weights.set(number, 0);
  axis.emptied.add(number);
  axis.added.add(number);
  place(axis, number, position);
}

/** A number has no members any more. */
export function dropNumber(axis: Axis, number: number): void {
  axis.weights.delete(number);
  axis.added.delete(number);
  place(axis, number, undefined);
}

/** A number gets members, or loses some. */
export function addWeight(axis: Axis, number: number, weight: number): void {
  const now = (axis.weights.get(number) ?? 0) + weight;
  axis.weights.set(number, now);
  if (now === 0) axis.emptied.add(number);
}

function place(axis: Axis, number: number, position: number | undefined): void {
  const before = axis.positions.get(number);
  if (before === position) return;
  if (before !== undefined) {
    const numbers = axis.atPosition.get(before) ?? [];
    numbers.splice(numbers.indexOf(number), 1);
    if (numbers.length < 2) axis.crowded.delete(before);
    if (numbers.length === 0) axis.atPosition.delete(before);
    axis.positions.delete(number);
  }
  if (position === undefined) return;
  const numbers = axis.atPosition.get(position);
  if (numbers === undefined) axis.atPosition.set(position, [number]);
  else if (numbers.push(number) > 1) axis.crowded.add(position);
  axis.positions.set(number, position);
}
