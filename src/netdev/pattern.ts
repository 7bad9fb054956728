/** Patterns for device names: `eth0`, `eth+` (what begins so), `br-*`, and `!` before one that excludes. */

/** One pattern, taken apart. */
export interface DevicePattern {
  readonly text: string;
  readonly excludes: boolean;
  matches(name: string): boolean;
}

/** Reads a pattern; never fails, since every character is one of a name. */
export function devicePattern(text: string): DevicePattern {
  const excludes = text.startsWith('!');
  const glob = (excludes ? text.slice(1) : text).replace(/\+$/, '*');
  const parts = glob.split('*').map((part) => part.replace(/[^a-zA-Z0-9_]/g, '\\$&'));
  const expression = new RegExp(`^${parts.join('.*')}$`);
  return { text, excludes, matches: (name) => expression.test(name) };
}

/** The first pattern that matches. */
export function firstMatch(patterns: readonly DevicePattern[], name: string): DevicePattern | undefined {
  return patterns.find((pattern) => pattern.matches(name));
}
