/**
 * What two sets of policies differ in, exactly: both are compiled for the same identities, told apart by the
 * prefixes of both; classes of one are cut by those of the other, and every pair of pieces is compared.
 */
import { formatAt } from '#kit/errors';
import { compareText } from '#kit/order';
import type { Direction, Identity, Policy } from '#model';
import { type Cell, type CompiledPolicy, type DirectionImage, type PortClass } from '#policy';
import { peerTexts, possibleIdentities } from './peer-text.ts';
import { portTexts } from './port-text.ts';
import { type NodeView, type NodeWorld, type Subject, viewOf } from './view.ts';

/** A verdict with who says so. */
export interface Decided {
  readonly verdict: Cell['verdict'];
  /** Rules or defaults, with their places where they have one. */
  readonly by: readonly string[];
}

/** Some subjects, one direction, some peers and ports that are now judged otherwise. */
export interface Difference {
  /** `changed`: open before and after, but in another way. */
  readonly kind: 'opened' | 'closed' | 'changed';
  readonly subjects: readonly string[];
  readonly direction: Direction;
  readonly peers: readonly string[];
  /** `peers` is `anyone` but these. */
  readonly exceptPeers?: readonly string[];
  readonly ports: readonly string[];
  readonly before: Decided;
  readonly after: Decided;
  /** The same as numbers: subjects, identities (undefined: whoever is unknown) and ranges of the flat index. */
  readonly exact: {
    readonly subjects: readonly Subject[];
    readonly identities: readonly (Identity | undefined)[];
    readonly ranges: readonly (readonly [number, number])[];
  };
}

/** Compares two sets of policies in one node's world. Throws `POLICY_NO_ROOM`. */
export function diffPolicies(
  world: NodeWorld,
  before: readonly Policy[],
  after: readonly Policy[],
): readonly Difference[] {
  const pair: Pair = {
    before: viewOf({ ...world, policies: before }, after),
    after: viewOf({ ...world, policies: after }, before),
  };
  const peers = commonPeers(pair);
  const ports = commonPorts(pair.before.compiled.portClasses, pair.after.compiled.portClasses);
  return subjectGroups(world, pair).flatMap((subjects) =>
    (['ingress', 'egress'] as const).flatMap((direction) =>
      differences(pair, subjects, direction, peers, ports),
    ),
  );
}

interface Pair {
  readonly before: NodeView;
  readonly after: NodeView;
}

/** Identities that both compilations treat alike; `a`, `b`: positions of their classes. */
interface PeerPiece {
  readonly a: number;
  readonly b: number;
  readonly identities: readonly (Identity | undefined)[];
}

function commonPeers({ before, after }: Pair): readonly PeerPiece[] {
  const placesA = places(before.compiled);
  const placesB = places(after.compiled);
  const pieces = new Map<string, { a: number; b: number; identities: (Identity | undefined)[] }>();
  for (const id of [...possibleIdentities(before), undefined]) {
    const a = placesA(id);
    const b = placesB(id);
    const piece = pieces.get(`${a},${b}`) ?? { a, b, identities: [] };
    piece.identities.push(id);
    pieces.set(`${a},${b}`, piece);
  }
  return [...pieces.values()];
}

function places({ identityClasses }: CompiledPolicy): (id: Identity | undefined) => number {
  const positions = new Map(
    identityClasses.flatMap((c, i) => c.members.map((member) => [member, i] as const)),
  );
  const unknown = identityClasses.findIndex((c) => c.name === '');
  return (id) => (id === undefined ? unknown : (positions.get(id) ?? unknown));
}

interface PortPiece {
  readonly a: number;
  readonly b: number;
  readonly ranges: readonly (readonly [number, number])[];
}

/** Both partitions of the flat index, cut by each other. */
function commonPorts(classesA: readonly PortClass[], classesB: readonly PortClass[]): readonly PortPiece[] {
  const [rangesA, rangesB] = [ordered(classesA), ordered(classesB)];
  const pieces = new Map<string, { a: number; b: number; ranges: [number, number][] }>();
  let j = 0;
  for (const { first, last, position: a } of rangesA) {
    while ((rangesB[j]?.last ?? Number.POSITIVE_INFINITY) < first) j++;
    for (let k = j; k < rangesB.length; k++) {
      const other = rangesB[k];
      if (other === undefined || other.first > last) break;
      const piece = pieces.get(`${a},${other.position}`) ?? { a, b: other.position, ranges: [] };
      piece.ranges.push([Math.max(first, other.first), Math.min(last, other.last)]);
      pieces.set(`${a},${other.position}`, piece);
    }
  }
  return [...pieces.values()];
}

function ordered(classes: readonly PortClass[]) {
  return classes
    .flatMap((c, position) => c.ranges.map(([first, last]) => ({ first, last, position })))
    .sort((x, y) => x.first - y.first);
}

/** Subjects that have the same rule set before and the same after. */
interface SubjectGroup {
  readonly names: readonly string[];
  readonly subjects: readonly Subject[];
}

function subjectGroups(world: NodeWorld, { before, after }: Pair): readonly SubjectGroup[] {
  const groups = new Map<string, { names: string[]; subjects: Subject[] }>();
  for (const { id, name, isElsewhere } of world.endpoints) {
    if (isElsewhere === true) continue;
    const key = JSON.stringify([before.compiled.endpoints.get(id), after.compiled.endpoints.get(id)]);
    const group = groups.get(key) ?? { names: [], subjects: [] };
    group.names.push(name);
    group.subjects.push(id);
    groups.set(key, group);
  }
  return [{ names: [`node:${world.node}`], subjects: ['host'] }, ...groups.values()];
}

const OPEN: Cell = { verdict: 'allow', origin: [], match: 'none', log: false };

function imageOf({ compiled }: NodeView, subject: Subject, direction: Direction): DirectionImage | undefined {
  const key = subject === 'host' ? undefined : compiled.endpoints.get(subject);
  const ruleSet = subject === 'host' ? compiled.host : compiled.ruleSets.find((image) => image.key === key);
  const image = ruleSet?.directions[direction];
  return image?.enforced === true ? image : undefined;
}

function cellOf(image: DirectionImage | undefined, peer: number, port: number): Cell {
  if (image === undefined) return OPEN;
  const at = (image.rows[peer] ?? 0) * image.columnCount + (image.columns[port] ?? 0);
  return image.cells[image.matrix[at] ?? 0] ?? OPEN;
}

/** Pieces of one kind of difference while they are collected. */
interface Found {
  readonly kind: Difference['kind'];
  readonly before: Cell['verdict'];
  readonly after: Cell['verdict'];
  /** Peer piece → the port pieces that differ. */
  readonly ports: Map<PeerPiece, PortPiece[]>;
  readonly byBefore: Map<PeerPiece, Set<string>>;
  readonly byAfter: Map<PeerPiece, Set<string>>;
}

function differences(
  pair: Pair,
  { names, subjects }: SubjectGroup,
  direction: Direction,
  peers: readonly PeerPiece[],
  ports: readonly PortPiece[],
): readonly Difference[] {
  const [subject] = subjects;
  if (subject === undefined) return [];
  const imageA = imageOf(pair.before, subject, direction);
  const imageB = imageOf(pair.after, subject, direction);
  if (imageA === undefined && imageB === undefined) return [];
  const found = new Map<string, Found>();
  for (const peer of peers) {
    for (const port of ports) {
      const a = cellOf(imageA, peer.a, port.a);
      const b = cellOf(imageB, peer.b, port.b);
      const kind = kindOf(a, b);
      if (kind === undefined) continue;
      const key = `${kind} ${a.verdict} ${b.verdict}`;
      const one: Found = found.get(key) ?? {
        kind,
        before: a.verdict,
        after: b.verdict,
        ports: new Map(),
        byBefore: new Map(),
        byAfter: new Map(),
      };
      found.set(key, one);
      one.ports.set(peer, [...(one.ports.get(peer) ?? []), port]);
      one.byBefore.set(peer, new Set([...(one.byBefore.get(peer) ?? []), ...a.origin]));
      one.byAfter.set(peer, new Set([...(one.byAfter.get(peer) ?? []), ...b.origin]));
    }
  }
  return [...found.values()].flatMap((one) =>
    byPorts(one).map((group) => difference(pair, { names, subjects }, direction, one, group)),
  );
}

/** Peers with the same differing ports stand together. */
function byPorts(found: Found): readonly (readonly PeerPiece[])[] {
  const groups = new Map<string, PeerPiece[]>();
  for (const [peer, ports] of found.ports) {
    const key = ports.map((port) => `${port.a},${port.b}`).join(' ');
    groups.set(key, [...(groups.get(key) ?? []), peer]);
  }
  return [...groups.values()];
}

function kindOf(before: Cell, after: Cell): Difference['kind'] | undefined {
  const isOpen = ({ verdict }: Cell) => verdict !== 'deny' && verdict !== 'default-deny';
  if (isOpen(before) !== isOpen(after)) return isOpen(after) ? 'opened' : 'closed';
  const isSame = (['verdict', 'auth'] as const).every((key) => before[key] === after[key]);
  return isOpen(before) && !(isSame && before.proxy?.id === after.proxy?.id) ? 'changed' : undefined;
}

function difference(
  pair: Pair,
  { names, subjects }: SubjectGroup,
  direction: Direction,
  found: Found,
  peers: readonly PeerPiece[],
): Difference {
  const identities = peers.flatMap((peer) => peer.identities);
  const known = new Set(identities.filter((id) => id !== undefined));
  const [first] = peers;
  const pieces = (first && found.ports.get(first)) ?? [];
  const ranges = merged(pieces.flatMap((piece) => piece.ranges));
  const rules = (sets: Found['byBefore'], view: NodeView) => {
    const ids = new Set(peers.flatMap((peer) => [...(sets.get(peer) ?? [])]));
    return [...ids].sort(compareText).map((id) => placed(id, view.world.policies));
  };
  return {
    kind: found.kind,
    subjects: names,
    direction,
    ...peersOf(pair.before, known, identities.includes(undefined)),
    ports: portTexts(ranges),
    before: { verdict: found.before, by: rules(found.byBefore, pair.before) },
    after: { verdict: found.after, by: rules(found.byAfter, pair.after) },
    exact: { subjects, identities, ranges },
  };
}

/** Who it is, or who it is not, whichever is shorter. */
function peersOf(
  view: NodeView,
  known: ReadonlySet<Identity>,
  hasUnknown: boolean,
): Pick<Difference, 'peers' | 'exceptPeers'> {
  const peers = peerTexts(view, known, hasUnknown);
  const others = new Set(possibleIdentities(view).filter((id) => !known.has(id)));
  const except = peerTexts(view, others, false);
  const isShorter = hasUnknown && except.length > 0 && except.length < peers.length;
  return isShorter ? { peers: ['anyone'], exceptPeers: except } : { peers };
}

function merged(ranges: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const out: [number, number][] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const previous = out.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else out.push([first, last]);
  }
  return out;
}

/** `rule (file:line:column)`. */
function placed(id: string, policies: readonly Policy[]): string {
  for (const { specs } of policies) {
    const rule = specs.flatMap((spec) => spec.rules).find((one) => one.id === id);
    const at = rule === undefined ? '' : formatAt(rule.at);
    if (at !== '') return `${id} (${at})`;
  }
  return id;
}
