/** Random pairs: a flow aimed at a world's rules, its way over the node, its frame, and what must come of it. */
import { formatIp } from '#kit/ip';
import { evaluate, type World } from '#oracle';
import { type Construct, constructsOf } from '../../unit/policy/constructs.ts';
import { type AddressFlow, COVERAGE, classify, randomFlow } from '../../unit/policy/flows.ts';
import { Random } from '../../unit/policy/random.ts';
import { type Routed, routeFlow, type Want, wantOf } from './route.ts';
import { frameOfFlow, randomShape, recordPorts, type Shape } from './shape.ts';

/** Kinds of pair that a run must not lack. */
export const KINDS = [...COVERAGE, 'extension header', 'fragment', 'both sides judge'] as const;
/** And that are rarer, at least so large a part of the pairs. */
export const RARE_KINDS = { audit: 0.02, staged: 0.005 } as const;
export type Kind = (typeof KINDS)[number] | keyof typeof RARE_KINDS;

export interface Pair {
  readonly seed: number;
  readonly routed: Routed;
  readonly shape: Shape;
  readonly want: Want;
  readonly frame: Uint8Array<ArrayBuffer>;
}

/** A flow of the world with its frame; undefined where there is none, or one like it was there before. */
export function randomPair(world: World, seed: number, seen: Set<string>): Pair | undefined {
  const random = new Random(seed + 1);
  const routed = routeFlow(world, flowWithHost(world, seed, random), random);
  if (routed === undefined) return undefined;
  const shape = randomShape(routed, random);
  const ports = recordPorts(routed, shape);
  if (ports !== undefined) {
    const ends = [`${formatIp(routed.source)} ${ports[0]}`, `${formatIp(routed.destination)} ${ports[1]}`];
    const key = `${routed.flow.protocol} ${ends.sort().join(' ')}`;
    if (seen.has(key)) return undefined;
    seen.add(key);
  }
  const want = wantOf(world, routed, shape.hopLimit);
  return { seed, routed, shape, want, frame: frameOfFlow(routed, shape, random) };
}

/** A random flow, of the node itself more often than the number of endpoints would make it. */
function flowWithHost(world: World, seed: number, random: Random): AddressFlow {
  const first = randomFlow(world, seed);
  if (!random.chance(35)) return first;
  const more = Array.from({ length: 8 }, (_, i) => randomFlow(world, seed + 31 * (i + 1)));
  return [first, ...more].find(({ subject }) => subject === 'host') ?? first;
}

/** Of which kinds it is, and which constructs of the language it has. */
export function coverageOf(
  world: World,
  { routed, shape, want }: Pair,
): { readonly kinds: readonly Kind[]; readonly constructs: ReadonlySet<Construct> } {
  const { flow } = routed;
  const came = evaluate(world, flow);
  const kinds: Kind[] = [...classify(world, flow, came)];
  if (shape.hasExtensions) kinds.push('extension header');
  if (shape.fragment !== 'none') kinds.push('fragment');
  const by = want.kind === 'judged' ? want.by : [];
  if (by.some(({ audited }) => audited)) kinds.push('audit');
  if (by.some(({ staged }) => staged !== undefined)) kinds.push('staged');
  if (by.length > 1) kinds.push('both sides judge');
  return { kinds, constructs: constructsOf(world, flow, came, kinds) };
}
