/** Types of ICMPv6 that policy has no say in (HF-2.3). */

const NEIGHBOURS = [133, 134, 135, 136];
const LISTENERS = [130, 131, 132, 143];
const ERRORS = [1, 2, 3, 4];
const REDIRECT = 137;
const NODE_PASSES = new Set([
  ...ERRORS,
  ...NEIGHBOURS,
  ...LISTENERS,
  ...[138, 141, 142, 148, 149, 151, 152, 153],
]);

/** On a node that policy selects; undefined: policy decides. */
export function icmpv6OnNode(type: number, redirectPasses: boolean): 'pass' | 'forbidden' | undefined {
  if (type === 128 || type === 129) return undefined;
  return NODE_PASSES.has(type) || (type === REDIRECT && redirectPasses) ? 'pass' : 'forbidden';
}

/** On an endpoint's device. */
export function icmpv6OnPod(type: number): 'pass' | 'forbidden' | undefined {
  if (type === REDIRECT) return 'forbidden';
  return NEIGHBOURS.includes(type) || LISTENERS.includes(type) ? 'pass' : undefined;
}
