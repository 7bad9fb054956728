/** Many DNS patterns, asked whether one of them means a name. */
import { canonicalName, fqdnTest, type NameTest } from '#model';

/** Most patterns with stars in other places than in front that are tried: findings are advice, not verdicts. */
const MOST_TRIED = 256;

export class Patterns {
  /** Names, and patterns with `*.` or `**.` in front of one. */
  readonly #plain: ReadonlySet<string>;
  readonly #others: readonly NameTest[];

  constructor(patterns: readonly string[]) {
    const all = new Set(patterns);
    this.#plain = all;
    const others = [...all].filter((pattern) => pattern.replace(/^\*{1,2}\./, '').includes('*'));
    this.#others = others.slice(0, MOST_TRIED).map(fqdnTest);
  }

  mean(name: string): boolean {
    const canonical = canonicalName(name);
    if (this.#plain.has(canonical)) return true;
    const labels = canonical.split('.');
    const isBelow = labels.some((_, i) => {
      const parent = labels.slice(i + 1).join('.');
      return this.#plain.has(`**.${parent}`) || (i === 0 && this.#plain.has(`*.${parent}`));
    });
    return isBelow || this.#others.some((isMeant) => isMeant(canonical));
  }
}
