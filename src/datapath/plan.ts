/**
 * What a compiled policy asks of the kernel's present numbers and rule sets, before anything is stored:
 * which segments move, which rule set takes over which index, which of them need a new slot.
 */
import type { CellCache } from './cell-cache.ts';
import type { Axis } from './axis.ts';
import {
  type Base,
  itemsOf,
  type Overlay,
  overlayIdentities,
  overlayPorts,
  type PortRange,
  type Settlement,
  settleSegments,
  unsettledPorts,
} from './classes.ts';
import type { IdentityTable, PortTable } from './class-tables.ts';
import { type Pairs, pairsOf, RowComparison } from './compare.ts';
import type { CompiledPolicy, DirectionImage, PortClass, RuleSetImage } from './compiled.ts';
import { CLASS_UNKNOWN, RULESET_HOST } from './layout.ts';
import { ORIGIN_NONE } from './origins.ts';
import { dirTable, DIRECTIONS, type DirTable, type SlotView } from './ruleset.ts';
import type { RuleSets } from './rulesets.ts';
import type { Places, Said, Tables, Unchanged } from './unchanged.ts';

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
  readonly identities: Settlement<number> & {
    readonly added: readonly (readonly [identity: number, position: number])[];
    readonly gone: readonly number[];
  };
  readonly ports: Settlement<PortRange>;
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
  const strangers = { from: CLASS_UNKNOWN, to: defaultPosition, weight: 0, items: [] };
  const laid: Laid = {
    identities: { ...overlay, segments: [...overlay.segments, strangers] },
    ports: laidPorts(portClasses, present),
  };
  const settled = settleSegments(laid.identities, new Map([[CLASS_UNKNOWN, defaultPosition]]));
  const { known } = present.identities;
  const moving = settled.moving.map((s) => ({ ...s, items: [...itemsOf(s, identityClasses, known)] }));
  present.unchanged.begin(movedPlaces(laid, present));
  const newcomers = new Set(overlay.added.map(([, position]) => position));
  const indexes = takenOver(compiled, present);
  let places: Places | undefined;
  const rulesets = [compiled.host, ...compiled.ruleSets].map((image, i): PlannedRuleset => {
    const taken = i === 0 ? { index: RULESET_HOST, isWhole: true } : indexes.get(image.key);
    const said = saidOf(image, taken, present, () => (places ??= allPlaces(laid, present)));
    return plannedRuleset(image, taken, said, newcomers, present);
  });
  return {
    defaultPosition,
    identities: { ...settled, moving, added: overlay.added, gone: overlay.gone },
    ports: settleSegments(laid.ports),
    rulesets,
    endpoints: compiled.endpoints,
  };
}

/** How both axes lie over the numbers in use. */
interface Laid {
  readonly identities: Overlay<number>;
  readonly ports: Overlay<PortRange>;
}

function laidPorts(classes: readonly PortClass[], { ports, base }: Present): Overlay<PortRange> {
  if (base?.portClasses === classes) return { unsettled: new Set(), segments: [] };
  return unsettledPorts(overlayPorts(ports.ranges, classes), ports.axis.positions);
}

/** Every number in use with its positions. */
function allPlaces(laid: Laid, { identities, ports }: Present): Places {
  return {
    identities: pairsAmong(identities.axis.positions.keys(), identities.axis, laid.identities),
    ports: pairsAmong(ports.axis.positions.keys(), ports.axis, laid.ports),
  };
}

/** Those alone that may have another position than in the last plan that was carried out. */
function movedPlaces(laid: Laid, { identities, ports }: Present): Places {
  return {
    identities: pairsAmong(identities.axis.added, identities.axis, laid.identities),
    ports: pairsAmong(ports.axis.added, ports.axis, laid.ports),
  };
}

/** The segments, and of these numbers those that are settled where they are. */
function pairsAmong(
  numbers: Iterable<number>,
  { positions }: Axis,
  { unsettled, segments }: Overlay<unknown>,
): Pairs {
  const settled = [...numbers].filter((number) => !unsettled.has(number));
  return pairsOf([...segments, ...settled.map((from) => ({ from, to: positions.get(from) as number }))]);
}

/** How the slot that is in force for a rule set says the same; undefined: it does not, or is none. */
function saidOf(
  image: RuleSetImage,
  taken: TakenOver | undefined,
  present: Present,
  places: () => Places,
): Said | undefined {
  const { rulesets, unchanged } = present;
  const live = taken && rulesets.live.get(taken.index);
  if (live === undefined || rulesets.isDamaged(live)) return undefined;
  const known = unchanged.saidOf(live.active, image);
  if (known !== undefined) return known;
  const tables = tablesOf(image, present);
  const { identities, ports } = places();
  const comparisons = comparisonsOf(live.active, tables, unchanged.cellsOf(live.active), ports);
  const isSaid = comparisons.every((c, d) => c.equal(unchanged.identitiesOf(live.active, d, c, identities)));
  if (!isSaid) return undefined;
  const said = { tables, comparisons };
  unchanged.saysOf(live.active, image, said);
  return said;
}

function plannedRuleset(
  image: RuleSetImage,
  taken: TakenOver | undefined,
  said: Said | undefined,
  newcomers: ReadonlySet<number>,
  present: Present,
): PlannedRuleset {
  const tables = said?.tables ?? tablesOf(image, present);
  const rowFor = (dir: 0 | 1, position: number) => said?.comparisons[dir].rowFor(position);
  const hasRow = (position: number) => DIRS.every((dir) => rowFor(dir, position) !== undefined);
  const change = said === undefined ? 'switch' : [...newcomers].every(hasRow) ? 'keep' : 'refill';
  const index = change !== 'switch' || taken?.isWhole === true ? taken?.index : undefined;
  return { image, key: image.key, index, ...tables, change, rowFor };
}

const DIRS = [0, 1] as const;

/** A slot held against tables, direction by direction; `cells`: the matrices that it was made of. */
export function comparisonsOf(
  { dirs }: SlotView,
  tables: Tables,
  cells: readonly Uint32Array[],
  ports: Pairs,
): Said['comparisons'] {
  const hold = (d: 0 | 1) =>
    new RowComparison(dirs[d], tables.dirs[d], ports, cells[d] === tables.dirs[d].cells);
  return [hold(0), hold(1)];
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
