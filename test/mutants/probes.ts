/**
 * Flows that together ask every cell of compiled tables, and every entry that leads to one: each identity in
 * each class, and one that nobody knows; the first and last entry of each range of each port class.
 */
import type { Direction, IdentityRow } from '#model';
import { evaluate, type Evaluation, type Flow, type World } from '#oracle';
import { type Cell, type CompiledPolicy, judgeOf, portOfIndex } from '#policy';

/** A flow with the look-up it stands for and what must come of it. */
export interface Probe {
  readonly flow: Flow;
  readonly identity: IdentityRow['id'];
  readonly want: Evaluation;
}

/** All probes of a world, answered by the oracle; nothing of the compiled rows is believed but their edges. */
export function probesOf(
  world: World,
  compiled: CompiledPolicy,
  identities: readonly IdentityRow[],
): readonly Probe[] {
  const edges = [...new Set(compiled.portClasses.flatMap((c) => c.ranges.flatMap((range) => [...range])))];
  const ports = edges.map(portOfIndex);
  const unknown = { id: 0 as IdentityRow['id'], peer: 'unknown' as const };
  const peers = [unknown, ...identities.map((row) => ({ id: row.id, peer: row.labels }))];
  const subjects: readonly Flow['subject'][] = ['host', ...world.endpoints.map((endpoint) => endpoint.id)];
  const directions: readonly Direction[] = ['ingress', 'egress'];
  return subjects.flatMap((subject) =>
    directions.flatMap((direction) =>
      peers.flatMap(({ id, peer }) =>
        ports.map(({ protocol, port }) => {
          const flow: Flow = { subject, direction, peer, protocol, port };
          return { flow, identity: id, want: evaluate(world, flow) };
        }),
      ),
    ),
  );
}

/** A probe that the tables answer wrongly. */
export interface Miss {
  readonly probe: Probe;
  readonly got: Cell;
}

/** The first probe that the tables answer otherwise than the oracle. */
export function firstMiss(probes: readonly Probe[], compiled: CompiledPolicy): Miss | undefined {
  const judge = judgeOf(compiled);
  for (const probe of probes) {
    const { subject, direction, protocol, port } = probe.flow;
    const got = judge(subject, direction, probe.identity, protocol, port);
    if (
      got.verdict !== probe.want.verdict ||
      got.origin.join() !== probe.want.rules.join() ||
      got.staged?.verdict !== probe.want.staged?.verdict
    )
      return { probe, got };
  }
  return undefined;
}
