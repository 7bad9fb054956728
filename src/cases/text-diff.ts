/** What changed in the text of documents, in their canonical form: one line removed or added at a time. */
import { policyPath } from '#model';
import { printPolicy } from '#model/parse';
import type { Side } from './diff.ts';

export interface TextChange {
  readonly policy: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** Lines of the canonical form, with `+` or `-` before them; for changed policies only those that differ. */
  readonly lines: readonly string[];
}

/** Longest pair of texts that are aligned line by line; longer ones are shown whole. */
const MOST_LINES = 2000;

/** Policies and groups of prefixes, by kind and name, sorted. */
export function textChanges(before: Side, after: Side): readonly TextChange[] {
  const [old, now] = [texts(before), texts(after)];
  const keys = [...new Set([...old.keys(), ...now.keys()])].sort();
  return keys.flatMap((key): TextChange[] => {
    const a = old.get(key)?.();
    const b = now.get(key)?.();
    if (a === undefined && b !== undefined)
      return [{ policy: key, change: 'added', lines: b.map((l) => `+ ${l}`) }];
    if (b === undefined && a !== undefined)
      return [{ policy: key, change: 'removed', lines: a.map((l) => `- ${l}`) }];
    const lines = changedLines(a ?? [], b ?? []);
    return lines.length === 0 ? [] : [{ policy: key, change: 'changed', lines }];
  });
}

/** Lines of each document, made when they are wanted. */
function texts({ policies, facts }: Side): ReadonlyMap<string, () => readonly string[]> {
  const groups = facts?.cidrGroups ?? [];
  return new Map([
    ...policies.map(
      (policy) => [policyPath(policy), () => printPolicy(policy).trimEnd().split('\n')] as const,
    ),
    ...groups.map((group) => [`CiliumCIDRGroup/${group.name}`, () => group.cidrs] as const),
  ]);
}

/** By the longest common subsequence. */
function changedLines(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.join('\n') === b.join('\n')) return [];
  if (a.length * b.length > MOST_LINES * MOST_LINES)
    return [...a.map((line) => `- ${line}`), ...b.map((line) => `+ ${line}`)];
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++;
      j++;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) lines.push(`- ${a[i++]}`);
    else lines.push(`+ ${b[j++]}`);
  }
  return lines;
}
