/**
 * What a compiled policy asks of the kernel's present numbers and rule sets, before anything is stored:
 * which segments move, which rule set takes over which index, which of them need a new slot.
 */
import type { CellCache } from './cell-cache.ts';
import {
  type Base,
  itemsOf,
  overlayIdentities,
  overlayPorts,
  settleSegments,
  type PortRange,
  type Segment,
} from './classes.ts';
import type { IdentityTable, PortTable } from './class-tables.ts';
import { type Pairs, pairsOf, RowComparison } from './compare.ts';
import type { CompiledPolicy, DirectionImage, RuleSetImage } from './compiled.ts';
import { CLASS_UNKNOWN, RULESET_HOST } from './layout.ts';
import { ORIGIN_NONE } from './origins.ts';
import { dirTable, DIRECTIONS, type DirTable } from './ruleset.ts';
import type { LiveRuleset, RuleSets } from './rulesets.ts';
import type { Places, Tables, Unchanged } from './unchanged.ts';

/** A compiled rule set and what becomes of it. */
export interface PlannedRuleset extends Tables {
  readonly image: RuleSetImage;
  readonly key: string;
  /** The index it takes over; undefined when it gets a new one. */
  readonly index: number | undefined;
  /**
   * `keep`: the slot in memory says the same. `refill`: the same for everybody who has a number, but a row
   * for newcomers is missing: a new slot of the same generation. `switch`: a new slot, a new generation.
   */
  readonly change: 'keep' | 'refill' | 'switch';
  /** Of one that is kept: the row in memory for a position. */
  readonly rowFor: (dir: 0 | 1, position: number) => number | undefined;
}

export interface Plan {
  readonly defaultPosition: number;
  readonly identities: {
    readonly positions: Map<number, number>;
    readonly moving: readonly Segment<number>[];
    readonly added: readonly (readonly [identity: number, position: number])[];
    readonly gone: readonly number[];
  };
  readonly ports: {
    readonly positions: Map<number, number>;
    readonly moving: readonly Segment<PortRange>[];
  };
  readonly rulesets: readonly PlannedRuleset[];
  /** Endpoint id → key of its rule set. */
  readonly endpoints: ReadonlyMap<number, string>;
}

/** What the plan is made against. */
export interface Present {
  readonly identities: IdentityTable;
  readonly ports: PortTable;
  readonly rulesets: RuleSets;
  readonly cells: CellCache;
  /** Keeps an origin's number from being given another meaning meanwhile. */
  readonly hold: (id: number) => void;
  readonly unchanged: Unchanged;
  /** The policy applied last; undefined when somebody else has moved identities since. */
  readonly base: Base | undefined;
  /** Endpoint id → index of its rule set. */
  readonly endpoints: ReadonlyMap<number, number>;
  /** Indexes that nobody takes over. */
  readonly kept: ReadonlySet<number>;
}

export function planPolicy(compiled: CompiledPolicy, present: Present): Plan {
  const { identityClasses, portClasses } = compiled;
  const defaultPosition = identityClasses.findIndex((c) => c.name === '');
  const overlay = overlayIdentities(present.identities, identityClasses, present.base);
  const portSegments = overlayPorts(present.ports.ranges, portClasses);
  const settled = settleSegments(overlay.segments, new Map([[CLASS_UNKNOWN, defaultPosition]]));
  const unknown = { from: CLASS_UNKNOWN, to: defaultPosition };
  const places = present.unchanged.begin({
    identities: pairsOf([...overlay.segments, unknown]),
    ports: pairsOf(portSegments),
  });
  const moving = settled.moving.map((s) => ({
    ...s,
    items: [...itemsOf(s, identityClasses, present.identities.known)],
  }));
  const newcomers = new Set(overlay.added.map(([, position]) => position));
  const indexes = takenOver(compiled, present);
  const rulesets = [compiled.host, ...compiled.ruleSets].map((image, i): PlannedRuleset => {
    const taken = i === 0 ? { index: RULESET_HOST, isWhole: true } : indexes.get(image.key);
    const live = taken === undefined ? undefined : present.rulesets.live.get(taken.index);
    return keptRuleset(image, live, present) ?? heldRuleset(image, live, taken, places, newcomers, present);
  });
  return {
    defaultPosition,
    identities: { positions: settled.positions, moving, added: overlay.added, gone: overlay.gone },
    ports: settleSegments(portSegments),
    rulesets,
    endpoints: compiled.endpoints,
  };
}

/** A rule set whose slot is known to say the same. */
function keptRuleset(
  image: RuleSetImage,
  live: LiveRuleset | undefined,
  { rulesets, unchanged }: Present,
): PlannedRuleset | undefined {
  if (live === undefined || rulesets.isDamaged(live)) return undefined;
  const tables = unchanged.tablesOf(live.active, image);
  if (tables === undefined) return undefined;
  const rowFor = (dir: 0 | 1, position: number) => tables.dirs[dir].rows[position] ?? 0;
  return { image, key: image.key, index: live.index, ...tables, change: 'keep', rowFor };
}

/** Any other: its tables are held against the slot, cell by cell if need be. */
function heldRuleset(
  image: RuleSetImage,
  live: LiveRuleset | undefined,
  taken: TakenOver | undefined,
  places: Places,
  newcomers: ReadonlySet<number>,
  present: Present,
): PlannedRuleset {
  const { unchanged, rulesets } = present;
  const tables = tablesOf(image, present);
  const { dirs } = tables;
  const held =
    live === undefined ? undefined : holdAgainst(live, dirs, places.ports, unchanged.cellsOf(live.active));
  const change =
    live === undefined || held === undefined || rulesets.isDamaged(live)
      ? 'switch'
      : changeOf(held, places.identities, newcomers);
  if (live !== undefined && change === 'keep' && held?.every((c) => c.isOwn) === true)
    unchanged.saysOf(live.active, image, tables, places);
  const isFree = change !== 'switch' || taken?.isWhole === true;
  const index = isFree ? taken?.index : undefined;
  const rowFor = (dir: 0 | 1, position: number) => held?.[dir].rowFor(position);
  return { image, key: image.key, index, ...tables, change, rowFor };
}

function tablesOf(image: RuleSetImage, { cells, hold }: Present): Tables {
  const origins = new Set<number>();
  const tableOf = (direction: DirectionImage) => {
    const table = cells.encode(direction, hold);
    for (const id of table.origins) if (id !== ORIGIN_NONE) origins.add(id);
    return dirTable(direction, table);
  };
  const [egress, ingress] = DIRECTIONS.map((d) => tableOf(image.directions[d]));
  return { dirs: [egress as DirTable, ingress as DirTable], origins };
}

/** An index that a compiled rule set may take over. */
interface TakenOver {
  readonly index: number;
  /** All endpoints that remain go the same way, so that its word may be switched under them. */
  readonly isWhole: boolean;
}

/** Which present index each compiled rule set may take over: by its key, else from all its endpoints. */
function takenOver(compiled: CompiledPolicy, { rulesets, endpoints, kept }: Present): Map<string, TakenOver> {
  /** The one key that all endpoints of an index go to; undefined when they part. */
  const keyOf = new Map<number, string | undefined>();
  for (const [id, index] of endpoints) {
    const key = compiled.endpoints.get(id);
    if (key === undefined || index === RULESET_HOST || kept.has(index)) continue;
    keyOf.set(index, keyOf.has(index) && keyOf.get(index) !== key ? undefined : key);
  }
  const taken = new Map<string, TakenOver>();
  const used = new Set<number>();
  const wanted = new Set(compiled.ruleSets.map((r) => r.key));
  const take = (key: string, index: number) => {
    taken.set(key, { index, isWhole: !keyOf.has(index) || keyOf.get(index) === key });
    used.add(index);
  };
  for (const { index, key } of rulesets.live.values())
    if (index !== RULESET_HOST && !kept.has(index) && wanted.has(key) && !taken.has(key)) take(key, index);
  for (const [index, key] of keyOf) {
    if (used.has(index) || !rulesets.live.has(index)) continue;
    if (key !== undefined && wanted.has(key) && !taken.has(key)) take(key, index);
  }
  return taken;
}

function holdAgainst(
  { active }: LiveRuleset,
  dirs: PlannedRuleset['dirs'],
  ports: Pairs,
  cells: readonly Uint32Array[],
) {
  const hold = (d: 0 | 1) => new RowComparison(active.dirs[d], dirs[d], ports, cells[d] === dirs[d].cells);
  return [hold(0), hold(1)] as const;
}

/** Compares a live slot with compiled tables over all segments. */
function changeOf(
  comparisons: readonly RowComparison[],
  identities: Pairs,
  newcomers: ReadonlySet<number>,
): PlannedRuleset['change'] {
  if (!comparisons.every((c) => c.equal(identities))) return 'switch';
  const hasRow = (position: number) => comparisons.every((c) => c.rowFor(position) !== undefined);
  return [...newcomers].every(hasRow) ? 'keep' : 'refill';
}
