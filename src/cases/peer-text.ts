/** Sets of identities, for people: endpoints by name, nodes, prefixes with what they leave out. */
import { type Cidr, cidrCovers, cidrSubtract, formatCidr, parseCidr, parseCidrOrIp } from '#kit/ip';
import { formatLabel } from '#kit/labels';
import { type Identity, RESERVED_IDENTITY } from '#model';
import { type NodeView, worldIdentity } from './view.ts';

/** A known prefix of the outside and who it is. */
interface Known {
  readonly cidr: Cidr;
  readonly identity: Identity;
}

/**
 * Identities that somebody can have here: of both forms of the world only the one in use, and no prefix of
 * which longer ones leave nothing.
 */
export function possibleIdentities(view: NodeView): readonly Identity[] {
  const { ipv4, ipv6 } = view.world.config;
  const unused: Identity[] =
    ipv4 && ipv6
      ? [RESERVED_IDENTITY.world]
      : [RESERVED_IDENTITY['world-ipv4'], RESERVED_IDENTITY['world-ipv6']];
  const without = new Set([...unused, ...emptyIdentities(outsidePrefixes(view))]);
  return view.identities.map((row) => row.id).filter((id) => !without.has(id));
}

/** Identities all of whose prefixes are wholly made of longer ones. */
function emptyIdentities(outside: readonly Known[]): readonly Identity[] {
  const parents = parentsOf(outside);
  const inside = new Map<Known, Cidr[]>();
  outside.forEach((known, i) => {
    const parent = parents[i];
    if (parent !== undefined) inside.set(parent, [...(inside.get(parent) ?? []), known.cidr]);
  });
  const isEmpty = (known: Known) => cidrSubtract(known.cidr, inside.get(known) ?? []).length === 0;
  const full = new Set(outside.filter((known) => !isEmpty(known)).map((known) => known.identity));
  return outside.map((known) => known.identity).filter((id) => !full.has(id));
}

/** For each prefix the nearest that encloses it; shorter prefixes stand before longer ones. */
function parentsOf(outside: readonly Known[]): readonly (Known | undefined)[] {
  return outside.map((known, i) =>
    outside.slice(0, i).findLast((other) => cidrCovers(other.cidr, known.cidr)),
  );
}

/** Names for a set of identities; `hasUnknown`: also whoever nobody knows. */
export function peerTexts(
  view: NodeView,
  ids: ReadonlySet<Identity>,
  hasUnknown: boolean,
): readonly string[] {
  const all = possibleIdentities(view);
  if (hasUnknown && all.every((id) => ids.has(id))) return ['anyone'];
  const { world } = view;
  const names = endpointNames(view);
  const outside = outsidePrefixes(view);
  const told = new Set<Identity>(outside.map((known) => known.identity));
  const texts = outsideTexts(outside, ids);
  for (const id of [...ids].sort((a, b) => a - b)) {
    if (told.has(id) || !all.includes(id)) continue;
    const own = names.get(id);
    const reserved = Object.entries(RESERVED_IDENTITY).find(([, number]) => number === id)?.[0];
    if (own !== undefined) texts.push(...own);
    else if (reserved !== undefined) texts.push(reserved === 'host' ? `node:${world.node}` : reserved);
    else texts.push(...nodeNames(view, id));
  }
  // A node has an identity for each family, and one name.
  return [...new Set(hasUnknown ? [...texts, 'unknown identities'] : texts)];
}

function endpointNames(view: NodeView): ReadonlyMap<Identity, readonly string[]> {
  const names = new Map<Identity, string[]>();
  for (const { name, addresses, identity } of view.world.endpoints) {
    const [address] = addresses;
    const ip = address === undefined ? undefined : parseCidrOrIp(address)?.ip;
    const id = identity ?? (ip === undefined ? undefined : view.identityOf(ip).identity);
    if (id === undefined) continue;
    names.set(id, [...(names.get(id) ?? []), name]);
  }
  return names;
}

function nodeNames(view: NodeView, id: Identity): readonly string[] {
  const rows = view.ipcache.filter((row) => row.identity === id && row.isNode);
  const names = view.world.nodes
    .filter((node) => rows.some((row) => node.addresses.some((a) => row.prefix.startsWith(`${a}/`))))
    .map((node) => `node:${node.name}`);
  if (names.length > 0) return names;
  return [view.labelsOf(id)?.labels.map(formatLabel).join(' ') ?? `identity ${id}`];
}

/** Prefixes outside the cluster, each family's whole first, shorter before longer. */
function outsidePrefixes(view: NodeView): readonly Known[] {
  const { config } = view.world;
  const whole = (['0.0.0.0/0', '::/0'] as const).flatMap((text): Known[] => {
    const cidr = parseCidr(text);
    const isOn = cidr?.ip.family === 4 ? config.ipv4 : config.ipv6;
    return cidr === undefined || !isOn ? [] : [{ cidr, identity: worldIdentity(cidr.ip.family, config) }];
  });
  const known = view.ipcache
    .filter((row) => !row.isEndpoint && !row.isNode && row.identity !== RESERVED_IDENTITY.host)
    .map((row) => ({ cidr: parseCidrOrIp(row.prefix), identity: row.identity }))
    .filter((row): row is Known => row.cidr !== undefined);
  return [...whole, ...known].sort((a, b) => a.cidr.length - b.cidr.length);
}

/** Each prefix of the set whose enclosing one is not in it, less the nearest inside that are not. */
function outsideTexts(outside: readonly Known[], ids: ReadonlySet<Identity>): string[] {
  const parents = parentsOf(outside);
  const isIn = (known: Known | undefined) => known !== undefined && ids.has(known.identity);
  const tops = outside.filter((known, i) => isIn(known) && !isIn(parents[i]));
  return tops.map((top) => {
    const except = outside.filter(
      (known, i) => !isIn(known) && isIn(parents[i]) && isBelow(parents[i], top, outside, parents, ids),
    );
    const texts = except.map((known) => formatCidr(known.cidr));
    const name =
      top.cidr.length === 0 ? (top.cidr.ip.family === 4 ? 'world-ipv4' : 'world-ipv6') : formatCidr(top.cidr);
    return texts.length === 0 ? name : `${name} except ${texts.join(', ')}`;
  });
}

/** Whether `known` hangs below `top` by members of the set only. */
function isBelow(
  known: Known | undefined,
  top: Known,
  outside: readonly Known[],
  parents: readonly (Known | undefined)[],
  ids: ReadonlySet<Identity>,
): boolean {
  for (let at = known; at !== undefined && ids.has(at.identity); at = parents[outside.indexOf(at)]) {
    if (at === top) return true;
  }
  return false;
}
