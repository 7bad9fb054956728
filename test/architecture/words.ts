/** What must not stand in the tree, and the exceptions, each with its reason. */

/** One exception from one rule for one file. */
export interface Allowance {
  readonly rule: string;
  readonly path: string;
  readonly reason: string;
}

/** Every exception. A line that is no longer needed fails the test once its file is gone. */
export const ALLOWED: readonly Allowance[] = [
  { rule: 'impure', path: 'src/kit/clock.ts', reason: 'is the clock that others are handed' },
  { rule: 'impure', path: 'src/kit/async.ts', reason: 'waits, for callers that do not compute' },
  {
    rule: 'impure',
    path: 'src/kit/backoff.ts',
    reason: 'waits with jitter, for callers that do not compute',
  },
  { rule: 'length', path: 'bpf/types.h', reason: 'one truth for both sides; splitting it would hide half' },
  { rule: 'unfinished', path: 'test/architecture/words.ts', reason: 'names the words' },
  { rule: 'paths', path: 'test/architecture/words.ts', reason: 'names the paths' },
  { rule: 'hosts', path: 'test/architecture/words.ts', reason: 'names the hosts' },
];

/** Whether an exception covers the file. */
export function isAllowed(rule: string, path: string): boolean {
  return ALLOWED.some((one) => one.rule === rule && one.path === path);
}

/** Words that no committed file holds. */
export const FORBIDDEN_WORDS: readonly { rule: string; what: string; pattern: RegExp }[] = [
  { rule: 'unfinished', what: 'unfinished work', pattern: /\b(TODO|FIXME|XXX|HACK|TBD|placeholder)\b/ },
  {
    rule: 'paths',
    what: 'paths of one machine, or beside the clone',
    pattern: /(?<![\w.$}])\/(work|root|home)\/|\.\.\/shared\//,
  },
  {
    rule: 'hosts',
    what: 'hosts of package registries',
    pattern: /\b(registry\.npmjs|npmjs\.org|[\w-]+\.pkg\.dev|artifactory|deb\.debian\.org|proxy\.golang)\b/,
  },
];

/** What a pure file must not do. */
export const IMPURE: readonly { what: string; pattern: RegExp }[] = [
  { what: 'Date.now or new Date', pattern: /\bDate\.now\b|\bnew Date\(\)/ },
  { what: 'performance.now', pattern: /\bperformance\.now\b/ },
  { what: 'Math.random', pattern: /\bMath\.random\b/ },
  { what: 'random bytes', pattern: /\b(randomBytes|randomUUID|getRandomValues|randomInt)\b/ },
  { what: 'timers', pattern: /\bset(Timeout|Interval|Immediate)\(/ },
  { what: 'fetch', pattern: /\bfetch\(/ },
  { what: 'a logger', pattern: /\b(console|logger|log)\.(log|error|warn|info|debug)\(/ },
  { what: 'process', pattern: /\bprocess\.\w/ },
];
