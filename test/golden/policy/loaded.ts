/**
 * From a small world (`N.in.yaml`) to what the kernel holds once a datapath enforces it (`N.loaded`): the ipcache read
 * out of its maps, the rule sets out of mapped memory, the way a packet reads them. Numbers are replaced by what they
 * stand for; identities and ports that meet the same stand together. Needs root.
 */
import { type CellReading, type DirectionReading, type PortRuns, RULESET_HOST } from '#datapath';
import { protocolName } from '#model';
import { portOfIndex } from '#policy';
import type { Bed } from '../../packet/oracle/bed.ts';
import { goldenWorld } from './golden.ts';

/** An identity that no table names: everybody else. */
const ANY_OTHER = 0xff_ff_ff;

/** The `.loaded` of an `.in.yaml`. One bed serves all; the process stands in its namespace. */
export async function loadedGolden(bed: Bed, text: string): Promise<string> {
  const world = goldenWorld(text);
  await bed.enforce(world);
  const { datapath } = bed;
  // The bed numbers on from world to world: what a number means now is asked of the labels of this one.
  const labels = new Map(bed.identities.map((row) => [row.id as number, row.labels.key]));
  const nameOf = (identity: number) => (identity === ANY_OTHER ? 'anybody else' : labels.get(identity));
  const { reading } = datapath.policy;
  const identities = [...labels.keys(), ANY_OTHER];
  const rulesOf = (origin: number) => datapath.origins.rulesOf(origin)?.join(', ') || '-';
  const direction = (one: DirectionReading): string[] => {
    if (!one.enforced) return ['    open'];
    const rows = identities.map(
      (id) => [nameOf(id) ?? '?', rowOf(one, id, reading.ports(), rulesOf)] as const,
    );
    const alike = Map.groupBy(rows, ([, row]) => row);
    return [...alike]
      .map(
        ([row, list]) =>
          `${list
            .map(([name]) => `    from or to ${name}`)
            .toSorted()
            .join('\n')}\n${row}`,
      )
      .toSorted();
  };
  const ruleset = (title: string, index: number | undefined): string[] => {
    const held = index === undefined ? undefined : reading.ruleset(index);
    if (held === undefined) return [title, '  nothing'];
    return [title, '  ingress', ...direction(held.ingress), '  egress', ...direction(held.egress)];
  };
  const ipcache = [...datapath.ipcache.read()].map(
    ([prefix, { identity }]) => `  ${prefix} ${nameOf(identity) ?? '?'}`,
  );
  const lines = ['ipcache', ...ipcache.toSorted(), ...ruleset('host', RULESET_HOST)];
  for (const { id } of world.endpoints)
    lines.push(...ruleset(`endpoint ${id}`, datapath.endpoints.rulesetInMemory(id)));
  return `${lines.join('\n')}\n`;
}

/** What an identity meets, port by port, ports that meet the same together. */
function rowOf(
  direction: DirectionReading,
  identity: number,
  runs: PortRuns,
  rulesOf: (origin: number) => string,
): string {
  const word = ({ verdict, staged, match, origin }: CellReading) =>
    `${verdict}${staged === 'none' ? '' : ` (staged: ${staged})`} ${match} - ${rulesOf(origin)}`;
  const cells = runs.map((run) => [run, word(direction.cell(identity, run[0]))] as const);
  // Where a class of ports ends that only an earlier world had, nothing ends here.
  const whole: [run: PortRuns[number], cell: string][] = [];
  for (const [run, cell] of cells) {
    const last = whole.at(-1);
    if (last?.[1] === cell) last[0] = [last[0][0], run[1]];
    else whole.push([run, cell]);
  }
  const alike = Map.groupBy(whole, ([, cell]) => cell);
  return [...alike]
    .map(([cell, list]) => `      ${list.map(([run]) => runText(run)).join(' ')}: ${cell}`)
    .toSorted()
    .join('\n');
}

function runText([first, last]: PortRuns[number]): string {
  const [from, to] = [portOfIndex(first), portOfIndex(last)];
  const text = ({ protocol, port }: typeof from) =>
    port === undefined ? `proto:${protocol}` : `${protocolName(protocol)}:${port}`;
  if (first === last) return text(from);
  return from.protocol === to.protocol && to.port !== undefined
    ? `${text(from)}-${to.port}`
    : `${text(from)}..${text(to)}`;
}
