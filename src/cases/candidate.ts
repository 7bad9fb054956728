/** Documents of files put into a world: an object replaces the one of its kind and name, or is added. */
import { NO_FACTS, type Policy, type PolicyFacts } from '#model';
import type { ManifestObject } from '#model/parse';

/** `active` with `given` applied, as the manifest directory would. */
export function applied(active: readonly Policy[], given: readonly Policy[]): readonly Policy[] {
  return replaced(active, given, (policy) => policy.key);
}

/** The same for what policies refer to. */
export function appliedFacts(active: PolicyFacts, given: PolicyFacts): PolicyFacts {
  return {
    ...active,
    cidrGroups: replaced(active.cidrGroups, given.cidrGroups, (group) => group.name),
    services: replaced(active.services, given.services, (service) => service.key),
    endpointSlices: replaced(active.endpointSlices, given.endpointSlices, (slice) => slice.key),
  };
}

function replaced<R>(active: readonly R[], given: readonly R[], keyOf: (row: R) => string): readonly R[] {
  const byKey = new Map([...active, ...given].map((row) => [keyOf(row), row]));
  return [...byKey.values()];
}

/** What the valid objects of files say. */
export function documentsOf(objects: readonly ManifestObject[]): {
  readonly policies: readonly Policy[];
  readonly facts: PolicyFacts;
} {
  const values = objects.flatMap(({ value }) => (value === undefined ? [] : [value]));
  return {
    policies: values.flatMap((value) => (value.kind === 'policy' ? [value.policy] : [])),
    facts: {
      ...NO_FACTS,
      cidrGroups: values.flatMap((value) => (value.kind === 'cidrGroup' ? [value.cidrGroup] : [])),
      services: values.flatMap((value) => (value.kind === 'service' ? [value.service] : [])),
      endpointSlices: values.flatMap((value) =>
        value.kind === 'endpointSlice' ? [value.endpointSlice] : [],
      ),
    },
  };
}
