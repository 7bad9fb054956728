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
  if (!/^[-a-zA-Z0-9_.]+$/.test(text)) return 'letters, digits, - _ and . only';
  return hasEmptyLabel(text) ? 'between two dots, and before the first, stands a label' : undefined;
}

/** What is wrong with a `matchPattern`; undefined when nothing is. */
export function patternFault(text: string): string | undefined {
  if (text === '' || text.length > MAX_FQDN) return `a pattern has 1 to ${MAX_FQDN} characters`;
  if (!/^[-a-zA-Z0-9_.*]+$/.test(text)) return 'letters, digits, - _ . and * only';
  return hasEmptyLabel(text) ? 'between two dots, and before the first, stands a label or a *' : undefined;
}

/** No name of DNS has one, so what was written is not what was meant; a dot at the end is fine. */
const hasEmptyLabel = (text: string): boolean => text.startsWith('.') || text.includes('..');

/** Whether a canonical name is meant. */
export type NameTest = (name: string) => boolean;

/**
 * The names that a canonical name or pattern means. Nothing but `*` is every name; two or more with a dot in front
 * (`**.`) are one or more whole labels, any other run of `*` a part of one label, perhaps an empty one. A label is
 * compared in time that grows with its length times the pattern's: names come from strangers.
 */
export function fqdnTest(pattern: string): NameTest {
  if (/^\*+$/.test(pattern)) return () => true;
  if (!pattern.includes('*')) return (name) => name === pattern;
  const deep = /^\*{2,}\./.exec(pattern)?.[0] ?? '';
  const isDeep = deep !== '';
  const wanted = pattern.slice(deep.length).split('.');
  return (name) => {
    const labels = name.split('.');
    const more = labels.length - wanted.length;
    if (isDeep ? more < 1 || !labels.slice(0, more).every(isWholeLabel) : more !== 0) return false;
    return wanted.every((want, i) => labelMatches(want, labels[labels.length - wanted.length + i] ?? ''));
  };
}

const isWholeLabel = (label: string): boolean => /^[-a-z0-9_]+$/.test(label);

/** One label; on a mismatch the last run of `*` takes one sign more. */
function labelMatches(want: string, label: string): boolean {
  let [at, star, resume] = [0, -1, 0];
  for (let i = 0; i < label.length; ) {
    if (want[at] === '*') [star, resume] = [at++, i];
    else if (want[at] === label[i]) [at, i] = [at + 1, i + 1];
    else if (star < 0 || !isWholeLabel(label.charAt(resume))) return false;
    else [at, i] = [star + 1, ++resume];
  }
  return /^\**$/.test(want.slice(at));
}

/** Whether a canonical pattern means the name. */
export function fqdnMatches(pattern: string, name: string): boolean {
  return fqdnTest(pattern)(canonicalName(name));
}
