/**
 * Who is missing may still come: a policy is often there moments before the pods that it speaks of, and for the
 * length of a restart nobody has their labels. Findings that say so count only once they have lasted.
 */
import type { Clock } from '#kit/clock';
import { type Finding, FINDINGS } from '#model';

/** How long somebody may be missing before it is told as a condition and a warning (policy.md §17, row 3). */
export const GRACE_MS = 60_000;

export class Grace {
  readonly #clock: Clock;
  /** Since when each has been so without a break. */
  #began: ReadonlyMap<string, number> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** All that is found in a state that has been in force since then: what is new began with it, the rest is over. */
  see(findings: Iterable<Finding>, sinceMs: number): void {
    const before = this.#began;
    this.#began = new Map(
      [...findings]
        .filter(({ code }) => FINDINGS[code].mayPass === true)
        .map((finding) => [nameOf(finding), before.get(nameOf(finding)) ?? sinceMs]),
    );
  }

  /** Whether what a finding misses may still come. */
  isOpen(finding: Finding): boolean {
    const began = this.#began.get(nameOf(finding));
    return began !== undefined && this.#clock.nowMs() - began < GRACE_MS;
  }
}

/** The hint may change while the same is missing. */
function nameOf({ policy, code, message }: Finding): string {
  return [policy, code, message].join('\n');
}
