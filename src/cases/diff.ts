/**
 * What two sets of policies differ in, exactly: both are compiled for the same addresses, told apart by the
 * prefixes of both; classes of one are cut by those of the other, and every pair of pieces is compared.
 */
import { formatAt } from '#kit/errors';
import { compareText } from '#kit/order';
import { type Direction, type Identity, isRefusal, originOf, originParts, type Policy } from '#model';
import { type Cell, type CompiledPolicy, type DirectionImage, type PortClass } from '#policy';
import { peerTexts, possibleIdentities } from './peer-text.ts';
import { portTexts } from './port-text.ts';
import { type NodeView, type NodeWorld, type Subject, viewOf } from './view.ts';

/** `audit`: it passes, and staged policies would refuse it. */
type Outcome = Cell['verdict'] | 'audit';

/** A verdict with who says so. */
export interface Decided {
  readonly verdict: Outcome;
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
  /** The same as numbers: subjects, identities before and after, and ranges of the flat index. */
  readonly exact: {
    readonly subjects: readonly Subject[];
    readonly peers: readonly Peer[];
    readonly ranges: readonly (readonly [number, number])[];
  };
}

/** One set of policies with what it refers to; what is absent is that of the world. */
export type Side = Pick<NodeWorld, 'policies'> & Partial<Pick<NodeWorld, 'facts' | 'nodeLabels'>>;

/** Compares two sets of policies in one node's world. Throws `POLICY_NO_ROOM`. */
export function diffPolicies(world: NodeWorld, before: Side, after: Side): readonly Difference[] {
  const [old, now] = [before, after].map((side) => ({ ...world, ...side }) as const);
  const views = { before: viewOf(old as NodeWorld, now), after: viewOf(now as NodeWorld, old) };
  const pair: Pair = { ...views, afterwards: renamed(views) };
  const peers = commonPeers(pair);
  const ports = commonPorts(pair.before.compiled.portClasses, pair.after.compiled.portClasses);
  return subjectGroups(world, pair).flatMap((subjects) =>
    (['ingress', 'egress'] as const).flatMap((direction) =>
      differences(pair, subjects, direction, peers, ports),
    ),
  );
}

/** Who somebody is before and after; undefined: whoever is unknown. */
type Peer = readonly [before: Identity | undefined, after: Identity | undefined];

interface Pair {
  readonly before: NodeView;
  readonly after: NodeView;
  /** Groups that changed give an address other labels, and so another identity. */
  readonly afterwards: ReadonlyMap<Identity, ReadonlySet<Identity>>;
}

/** Peers that both compilations treat alike; `a`, `b`: positions of their classes. */
interface PeerPiece {
  readonly a: number;
  readonly b: number;
  readonly peers: readonly Peer[];
}

function commonPeers(pair: Pair): readonly PeerPiece[] {
  const { before, after, afterwards } = pair;
  const placesA = places(before.compiled);
  const placesB = places(after.compiled);
  const pieces = new Map<string, { a: number; b: number; peers: Peer[] }>();
  for (const id of [...possibleIdentities(before), undefined]) {
    const a = placesA(id);
    for (const then of id === undefined ? [id] : (afterwards.get(id) ?? [id])) {
      const b = placesB(then);
      const piece = pieces.get(`${a},${b}`) ?? { a, b, peers: [] };
      piece.peers.push([id, then]);
      pieces.set(`${a},${b}`, piece);
    }
  }
  return [...pieces.values()];
}

/** Identity before → those after, by the prefixes of both. */
function renamed({ before, after }: Omit<Pair, 'afterwards'>): Pair['afterwards'] {
  const then = new Map(after.ipcache.map((row) => [row.prefix, row.identity]));
  const all = new Map<Identity, Set<Identity>>();
  for (const { prefix, identity } of before.ipcache) {
    const other = then.get(prefix);
    if (other !== undefined) all.set(identity, (all.get(identity) ?? new Set()).add(other));
  }
  return all;
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
  return image?.enforced === true || image?.staged === true ? image : undefined;
}

function cellOf(image: DirectionImage | undefined, peer: number, port: number): Cell {
  if (image === undefined) return OPEN;
  const at = (image.rows[peer] ?? 0) * image.columnCount + (image.columns[port] ?? 0);
  return image.cells[image.matrix[at] ?? 0] ?? OPEN;
}

/** Pieces of one kind of difference while they are collected. */
interface Found {
  readonly kind: Difference['kind'];
  readonly before: Outcome;
  readonly after: Outcome;
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
      const [before, after] = [outcomeOf(a), outcomeOf(b)];
      const key = `${kind} ${before} ${after}`;
      const one: Found = found.get(key) ?? {
        kind,
        before,
        after,
        ports: new Map(),
        byBefore: new Map(),
        byAfter: new Map(),
      };
      found.set(key, one);
      one.ports.set(peer, [...(one.ports.get(peer) ?? []), port]);
      one.byBefore.set(peer, new Set([...(one.byBefore.get(peer) ?? []), ...whoSays(a)]));
      one.byAfter.set(peer, new Set([...(one.byAfter.get(peer) ?? []), ...whoSays(b)]));
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

function outcomeOf({ verdict, staged }: Cell): Outcome {
  return verdict === 'allow' && isRefusal(staged?.verdict ?? '') ? 'audit' : verdict;
}

/** Of `audit` the rules that would refuse it. */
function whoSays(cell: Cell): readonly string[] {
  return outcomeOf(cell) === 'audit' ? originParts(originOf(cell)).rules : cell.origin;
}

function kindOf(before: Cell, after: Cell): Difference['kind'] | undefined {
  const isOpen = ({ verdict }: Cell) => !isRefusal(verdict);
  if (isOpen(before) !== isOpen(after)) return isOpen(after) ? 'opened' : 'closed';
  const isSame = outcomeOf(before) === outcomeOf(after) && before.auth === after.auth;
  return isOpen(before) && !(isSame && before.proxy?.id === after.proxy?.id) ? 'changed' : undefined;
}

function difference(
  pair: Pair,
  { names, subjects }: SubjectGroup,
  direction: Direction,
  found: Found,
  peers: readonly PeerPiece[],
): Difference {
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
    ...peersOf(
      pair,
      peers.flatMap((piece) => piece.peers),
    ),
    ports: portTexts(ranges),
    before: { verdict: found.before, by: rules(found.byBefore, pair.before) },
    after: { verdict: found.after, by: rules(found.byAfter, pair.after) },
    exact: { subjects, peers: peers.flatMap((piece) => piece.peers), ranges },
  };
}

/** Who it is, or who it is not, whichever is shorter. */
function peersOf(pair: Pair, peers: readonly Peer[]): Pick<Difference, 'peers' | 'exceptPeers'> {
  // One identity before and several after: only those after tell whom of them it is about.
  const isSplit = ([id]: Peer) => id !== undefined && (pair.afterwards.get(id)?.size ?? 1) > 1;
  const split = new Set(peers.filter(isSplit).flatMap(([, id]) => (id === undefined ? [] : [id])));
  const known = new Set(peers.filter((p) => !isSplit(p)).flatMap(([id]) => (id === undefined ? [] : [id])));
  const hasUnknown = peers.some(([id]) => id === undefined);
  const texts = peerTexts(pair.before, known, hasUnknown && split.size === 0);
  if (split.size > 0) return { peers: [...texts, ...peerTexts(pair.after, split, hasUnknown)] };
  const others = new Set(possibleIdentities(pair.before).filter((id) => !known.has(id)));
  const except = peerTexts(pair.before, others, false);
  const isShorter = hasUnknown && except.length > 0 && except.length < texts.length;
  return isShorter ? { peers: ['anyone'], exceptPeers: except } : { peers: texts };
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
