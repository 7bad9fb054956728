/**
 * `merlon bpf policy get`: one subject's policy as the kernel holds it, a row for each identity and range of
 * ports that is decided alike, in the columns that Cilium users know.
 */
import type { PolicyMapView } from '#api';
import { MerlonError } from '#kit/errors';
import { type Direction, protocolName } from '#model';
import { type CompiledPolicy, type DirectionImage, portOfIndex, type RuleSetImage } from '#policy';
import type { ViewContext } from './context.ts';
import type { NumberNames } from './names.ts';

/** Rows of the host or of one endpoint, by id or name. Error: NOT_FOUND. */
export function policyMap(
  context: ViewContext,
  names: NumberNames,
  endpoint: string,
): readonly PolicyMapView[] {
  const compiled = context.loop.enforced?.compiled;
  if (compiled === undefined) return [];
  const image = imageOf(context, compiled, endpoint);
  return (['ingress', 'egress'] as const).flatMap((direction) =>
    image === undefined ? [] : directionRows(compiled, image.directions[direction], direction, names),
  );
}

function imageOf(
  { tables }: ViewContext,
  compiled: CompiledPolicy,
  endpoint: string,
): RuleSetImage | undefined {
  if (endpoint === 'host') return compiled.host;
  const row = [...tables.endpoints.all()].find(
    (e) => String(e.id) === endpoint || e.name === endpoint || `${e.namespace}/${e.name}` === endpoint,
  );
  if (row === undefined) {
    throw new MerlonError('NOT_FOUND', `no endpoint "${endpoint}"`, {
      hint: '`merlon endpoint list` shows them',
    });
  }
  return compiled.ruleSets.find((r) => r.key === compiled.endpoints.get(row.id));
}

/** Identities of one class look alike, so the class stands for them with each of its members a row. */
function directionRows(
  compiled: CompiledPolicy,
  table: DirectionImage,
  direction: Direction,
  names: NumberNames,
): readonly PolicyMapView[] {
  if (!table.enforced) return [];
  const rows: PolicyMapView[] = [];
  for (const [position, identityClass] of compiled.identityClasses.entries()) {
    const row = table.rows[position] ?? 0;
    for (const [column, ranges] of columnRanges(compiled, table)) {
      const cell = table.cells[table.matrix[row * table.columnCount + column] ?? 0];
      if (cell === undefined || cell.verdict === 'default-deny') continue;
      for (const identity of identityClass.name === '' ? [0] : identityClass.members) {
        rows.push({
          policy: cell.verdict === 'deny' ? 'Deny' : 'Allow',
          direction: direction === 'ingress' ? 'Ingress' : 'Egress',
          identity,
          labels: identity === 0 ? ['(any other identity)'] : names.labels(identity),
          portProto: portsText(ranges),
          proxyPort: 'NONE',
          rules: cell.origin.map((id) => names.rule(id)),
        });
      }
    }
  }
  return rows;
}

type Ranges = readonly (readonly [first: number, last: number])[];

function columnRanges(compiled: CompiledPolicy, table: DirectionImage): ReadonlyMap<number, Ranges> {
  const found = new Map<number, Ranges>();
  for (const [position, portClass] of compiled.portClasses.entries()) {
    const column = table.columns[position] ?? 0;
    found.set(column, [...(found.get(column) ?? []), ...portClass.ranges]);
  }
  return found;
}

/** `80/TCP,8080-8090/TCP`; `ANY` when nothing is left out. */
function portsText(ranges: Ranges): string {
  const total = ranges.reduce((n, [first, last]) => n + last - first + 1, 0);
  const ALL = 197_376;
  if (total >= ALL - 3 * 65_536 && ranges.some(([first]) => first === 0) && total > 190_000) return 'ANY';
  const parts = [...ranges].sort(([a], [b]) => a - b).map(([first, last]) => rangeText(first, last));
  return parts.length > 8 ? `${parts.slice(0, 8).join(',')},… (${parts.length})` : parts.join(',');
}

function rangeText(first: number, last: number): string {
  const a = portOfIndex(first);
  const b = portOfIndex(last);
  const name = protocolName(a.protocol);
  if (a.port === undefined || b.port === undefined) return name;
  return a.port === b.port ? `${a.port}/${name}` : `${a.port}-${b.port}/${name}`;
}
