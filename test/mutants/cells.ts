/**
 * Seeded corruptions of compiled tables, each of one number: a cell of a matrix, the row of an identity class,
 * the column of a port class, the class of an identity, the edge of a port class. Every corruption changes
 * some verdict or its reason, so every one of them must be found by the probes.
 */
import type { Direction, Identity } from '#model';
import {
  type CompiledPolicy,
  compile,
  type DirectionImage,
  EMPTY_NUMBERING,
  prefixIdentities,
  type RuleSetImage,
} from '#policy';
import { randomWorld } from '../unit/policy/generate.ts';
import { Random } from '../unit/policy/random.ts';
import { firstMiss, probesOf } from './probes.ts';

/** What was done to the tables, in words. */
interface Corruption {
  readonly what: string;
  readonly compiled: CompiledPolicy;
}

export interface MutantReport {
  readonly seed: number;
  readonly found: number;
  /** Corruptions that no probe noticed: none, or the probes have a hole. */
  readonly survivors: readonly string[];
}

/** Corrupts `count` tables and looks for each corruption with the probes. */
export function cellMutants(count: number, seed: number): MutantReport {
  const survivors: string[] = [];
  let found = 0;
  for (let attempt = 0; found + survivors.length < count; attempt++) {
    const worldSeed = seed + 104729 * attempt;
    const world = randomWorld(worldSeed);
    const { identities } = prefixIdentities({ ...world, numbering: EMPTY_NUMBERING });
    const compiled = compile({ ...world, identities });
    const random = new Random(worldSeed);
    const corruption = corrupt(compiled, random);
    if (corruption === undefined) continue;
    const probes = probesOf(world, compiled, identities);
    const before = firstMiss(probes, compiled);
    if (before !== undefined) throw new Error(`world ${worldSeed}: tables are wrong before any corruption`);
    if (firstMiss(probes, corruption.compiled) === undefined)
      survivors.push(`world ${worldSeed}: ${corruption.what}`);
    else found++;
  }
  return { seed, found, survivors };
}

/** One corruption; undefined where the tables have nothing that could be changed to another meaning. */
function corrupt(compiled: CompiledPolicy, random: Random): Corruption | undefined {
  const kinds = [corruptCell, corruptCell, corruptRow, corruptColumn, corruptMember, corruptEdge];
  for (let attempt = 0; attempt < 20; attempt++) {
    const corruption = random.pick(kinds)(compiled, random);
    if (corruption !== undefined) return corruption;
  }
  return undefined;
}

/** A direction that is enforced, with what names it. */
interface Target {
  readonly image: RuleSetImage;
  readonly direction: Direction;
  readonly table: DirectionImage;
}

function targets(compiled: CompiledPolicy): readonly Target[] {
  return [compiled.host, ...compiled.ruleSets].flatMap((image) =>
    (['ingress', 'egress'] as const)
      .map((direction) => ({ image, direction, table: image.directions[direction] }))
      .filter(({ table }) => table.enforced),
  );
}

function withTable(
  compiled: CompiledPolicy,
  { image, direction }: Target,
  table: DirectionImage,
): CompiledPolicy {
  const changed = { ...image, directions: { ...image.directions, [direction]: table } };
  if (image === compiled.host) return { ...compiled, host: changed };
  return { ...compiled, ruleSets: compiled.ruleSets.map((other) => (other === image ? changed : other)) };
}

/** What a probe can see of a cell. */
function meaning(table: DirectionImage, row: number, column: number): string {
  const cell = table.cells[table.matrix[row * table.columnCount + column] ?? 0];
  return `${cell?.verdict} ${cell?.origin.join()}`;
}

function corruptCell(compiled: CompiledPolicy, random: Random): Corruption | undefined {
  const all = targets(compiled);
  if (all.length === 0) return undefined;
  const target = random.pick(all);
  const { table } = target;
  const at = random.below(table.matrix.length);
  const old = table.cells[table.matrix[at] ?? 0];
  const verdict = random.pick((['allow', 'deny', 'default-deny'] as const).filter((v) => v !== old?.verdict));
  if (old === undefined) return undefined;
  const matrix = Uint32Array.from(table.matrix);
  matrix[at] = table.cells.length;
  const cells = [...table.cells, { ...old, verdict }];
  const what = `${target.image.key} ${target.direction} cell ${at}: ${old.verdict} to ${verdict}`;
  return { what, compiled: withTable(compiled, target, { ...table, cells, matrix }) };
}

function corruptRow(compiled: CompiledPolicy, random: Random): Corruption | undefined {
  const target = pickTarget(compiled, random, (table) => table.rowCount > 1);
  if (target === undefined) return undefined;
  const { table } = target;
  const position = random.below(table.rows.length);
  const old = table.rows[position] ?? 0;
  const row = (old + 1 + random.below(table.rowCount - 1)) % table.rowCount;
  const columns = Array.from({ length: table.columnCount }, (_, c) => c);
  if (columns.every((c) => meaning(table, old, c) === meaning(table, row, c))) return undefined;
  const rows = Uint16Array.from(table.rows);
  rows[position] = row;
  // A class without members stands nowhere that a packet could come from; only the unknown class may be empty.
  const isEmpty = compiled.identityClasses[position]?.members.length === 0;
  if (isEmpty && compiled.identityClasses[position]?.name !== '') return undefined;
  const what = `${target.image.key} ${target.direction} row of class ${position}: ${old} to ${row}`;
  return { what, compiled: withTable(compiled, target, { ...table, rows }) };
}

function corruptColumn(compiled: CompiledPolicy, random: Random): Corruption | undefined {
  const target = pickTarget(compiled, random, (table) => table.columnCount > 1);
  if (target === undefined) return undefined;
  const { table } = target;
  const position = random.below(table.columns.length);
  const old = table.columns[position] ?? 0;
  const column = (old + 1 + random.below(table.columnCount - 1)) % table.columnCount;
  const rows = Array.from({ length: table.rowCount }, (_, r) => r);
  if (rows.every((r) => meaning(table, r, old) === meaning(table, r, column))) return undefined;
  if (compiled.portClasses[position]?.ranges.length === 0) return undefined;
  const columns = Uint16Array.from(table.columns);
  columns[position] = column;
  const what = `${target.image.key} ${target.direction} column of class ${position}: ${old} to ${column}`;
  return { what, compiled: withTable(compiled, target, { ...table, columns }) };
}

function pickTarget(
  compiled: CompiledPolicy,
  random: Random,
  isFit: (table: DirectionImage) => boolean,
): Target | undefined {
  const fit = targets(compiled).filter(({ table }) => isFit(table));
  return fit.length === 0 ? undefined : random.pick(fit);
}

/** Puts an identity into another class that some direction treats otherwise. */
function corruptMember(compiled: CompiledPolicy, random: Random): Corruption | undefined {
  const classes = compiled.identityClasses;
  const from = random.below(classes.length);
  const to = random.below(classes.length);
  const members = classes[from]?.members ?? [];
  if (members.length === 0 || !differ(compiled, from, to)) return undefined;
  const member: Identity = random.pick(members);
  const identityClasses = classes.map((c, position) => {
    const rest = c.members.filter((other) => other !== member);
    return { ...c, members: position === to ? [...rest, member] : rest };
  });
  return { what: `identity ${member}: class ${from} to ${to}`, compiled: { ...compiled, identityClasses } };
}

function differ(compiled: CompiledPolicy, a: number, b: number): boolean {
  return targets(compiled).some(({ table }) =>
    Array.from({ length: table.columnCount }, (_, c) => c).some(
      (c) => meaning(table, table.rows[a] ?? 0, c) !== meaning(table, table.rows[b] ?? 0, c),
    ),
  );
}

/** Moves the border between two neighbouring ranges of the port index by one. */
function corruptEdge(compiled: CompiledPolicy, random: Random): Corruption | undefined {
  const borders = compiled.portClasses.flatMap((c, position) =>
    c.ranges.map(([first, last]) => ({ position, first, last })),
  );
  borders.sort((a, b) => a.first - b.first);
  if (borders.length < 2) return undefined;
  const number = 1 + random.below(borders.length - 1);
  const [left, right] = [borders[number - 1], borders[number]];
  if (left === undefined || right === undefined || right.first === right.last) return undefined;
  if (!differByPort(compiled, left.position, right.position)) return undefined;
  const portClasses = compiled.portClasses.map((c, position) => ({
    ...c,
    ranges: c.ranges.map(([first, last]): readonly [number, number] => {
      if (position === left.position && first === left.first) return [first, last + 1];
      if (position === right.position && first === right.first) return [first + 1, last];
      return [first, last];
    }),
  }));
  return { what: `border at ${right.first} moved by one`, compiled: { ...compiled, portClasses } };
}

function differByPort(compiled: CompiledPolicy, a: number, b: number): boolean {
  return targets(compiled).some(({ table }) =>
    Array.from({ length: table.rowCount }, (_, r) => r).some(
      (r) => meaning(table, r, table.columns[a] ?? 0) !== meaning(table, r, table.columns[b] ?? 0),
    ),
  );
}
