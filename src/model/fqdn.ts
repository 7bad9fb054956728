/** Names and patterns of DNS as policies spell them (policy.md §4.4, §6.3). */

/** Longest name or pattern. */
export const MAX_FQDN = 255;

/** A name as it is compared: lower case, without the dot at the end. */
export function canonicalName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

/** What is wrong with a `matchName`; undefined when nothing is. */
export function nameFault(text: string): string | undefined {
  if (text === '' || text.length > MAX_FQDN) return `a name has 1 to ${MAX_FQDN} characters`;
  return /^[-a-zA-Z0-9_.]+$/.test(text) ? undefined : 'letters, digits, - _ and . only';
}

/** What is wrong with a `matchPattern`; undefined when nothing is. */
export function patternFault(text: string): string | undefined {
  if (text === '' || text.length > MAX_FQDN) return `a pattern has 1 to ${MAX_FQDN} characters`;
  return /^[-a-zA-Z0-9_.*]+$/.test(text) ? undefined : 'letters, digits, - _ . and * only';
}

/**
 * The names that a canonical name or pattern means. A lone `*` is every name, `**.` in front one or more whole
 * labels, any other run of `*` a part of one label, perhaps an empty one.
 */
export function fqdnRegExp(pattern: string): RegExp {
  if (/^\*+$/.test(pattern)) return /^.*$/;
  const isDeep = pattern.startsWith('**.');
  const rest = isDeep ? pattern.slice(3) : pattern;
  const body = rest.replaceAll(/[^-a-z0-9_*]/g, '\\$&').replaceAll(/\*+/g, '[-a-z0-9_]*');
  return new RegExp(`^${isDeep ? '(?:[-a-z0-9_]+\\.)+' : ''}${body}$`);
}

/** Whether a canonical pattern means the name. */
export function fqdnMatches(pattern: string, name: string): boolean {
  return fqdnRegExp(pattern).test(canonicalName(name));
}
