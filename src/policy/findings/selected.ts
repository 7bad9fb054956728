/** Whom a policy selects, by name, and what it makes of them. */
import { compareText } from '#kit/order';
import type { Direction, Policy } from '#model';
import type { SubjectId } from '../selection.ts';
import type { SpecAt } from './ground.ts';
import type { GroundNode } from './ground-node.ts';
import { endpointTitle } from './input.ts';

export interface SelectedSubjects {
  /** `namespace/name` of endpoints, sorted. */
  readonly endpoints: readonly string[];
  readonly nodes: readonly string[];
  /** How many of both it makes default deny. */
  readonly defaultDeny: Readonly<Record<Direction, number>>;
  /** How many of both keep older policies instead (policy.md §9.6). */
  readonly withheld: number;
}

export function selectedBy(policy: Policy, specs: readonly SpecAt[]): SelectedSubjects {
  const all = namesOf(specs, (_node, subjects) => subjects);
  const closed = (direction: Direction) =>
    namesOf(
      specs.filter(({ spec }) => spec.defaultDeny[direction]),
      (_node, subjects) => subjects,
    );
  const withheld = namesOf(specs, (node, subjects) => node.withheld(policy, subjects));
  const sorted = (isHost: boolean) =>
    [...all]
      .filter(([, subject]) => (subject === 'host') === isHost)
      .map(([name]) => name)
      .sort(compareText);
  return {
    endpoints: sorted(false),
    nodes: sorted(true),
    defaultDeny: { ingress: closed('ingress').size, egress: closed('egress').size },
    withheld: withheld.size,
  };
}

/** Subjects by their names; `choose` says which of those of a node. */
function namesOf(
  specs: readonly SpecAt[],
  choose: (node: GroundNode, subjects: readonly SubjectId[]) => readonly SubjectId[],
): ReadonlyMap<string, SubjectId> {
  const names = new Map<string, SubjectId>();
  for (const { node, subjects } of specs.flatMap((at) => at.selected)) {
    for (const subject of choose(node, subjects)) {
      const name = subject === 'host' ? (node.seen.world.node ?? 'host') : endpointName(node, subject);
      names.set(name, subject);
    }
  }
  return names;
}

function endpointName(node: GroundNode, id: number): string {
  const endpoint = node.endpoint(id);
  return endpoint === undefined ? String(id) : endpointTitle(endpoint);
}
