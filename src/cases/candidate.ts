/** Policies of files put into a world: an object replaces the one of its kind and name, or is added. */
import type { Policy } from '#model';

/** `active` with `given` applied, as the manifest directory would. */
export function applied(active: readonly Policy[], given: readonly Policy[]): readonly Policy[] {
  const byKey = new Map(active.map((policy) => [policy.key, policy]));
  for (const policy of given) byKey.set(policy.key, policy);
  return [...byKey.values()];
}
