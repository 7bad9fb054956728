/** What the demo prints: a head for each scene, a table of its probes, and the events that explain them. */
import type { EventView } from '#api/client';
import { type Column, type Output, table } from '../output.ts';
import type { AuditRow } from './audit.ts';
import type { Observation } from './observe.ts';
import type { Scene } from './script.ts';

/** `(2) The L3/L4 policy` and its sentence. */
export function sceneHead(output: Output, n: number, scene: Scene): string {
  const files = scene.manifests.map((m) => m.split('/').at(-1)).join(', ');
  return `\n${output.paint('bold', `(${n}) ${scene.title}`)}${files === '' ? '' : `  + ${files}`}\n    ${scene.says}\n`;
}

/** Probes as a table: what was tried, what was expected, what the sockets saw, why. */
export function probeTable(output: Output, rows: readonly Observation[]): string {
  const columns: readonly Column<Observation>[] = [
    { title: 'PROBE', cell: (o) => what(o), wraps: true },
    { title: 'EXPECTED', cell: (o) => o.probe.expect },
    {
      title: 'OBSERVED',
      cell: (o) => output.paint(o.mismatch === '' ? 'green' : 'red', observed(o)),
    },
    { title: 'EVENT', cell: (o) => (o.event === undefined ? 'none' : verdict(o.event)) },
    { title: 'BECAUSE', cell: (o) => (o.event === undefined ? '' : because(o.event)), wraps: true },
  ];
  const text = table(rows, columns, { width: output.width - INDENT.length });
  const wrong = rows.filter((o) => o.mismatch !== '').map((o) => `    MISMATCH ${what(o)}: ${o.mismatch}\n`);
  return `${indent(text)}${output.paint('red', wrong.join(''))}`;
}

/** Connections that policy would refuse: what they met in audit, and what ended them. */
export function auditTable(output: Output, rows: readonly AuditRow[]): string {
  const columns: readonly Column<AuditRow>[] = [
    { title: 'CONNECTION', cell: (r) => r.what },
    { title: 'IN AUDIT', cell: (r) => (r.passed === undefined ? 'none' : verdict(r.passed)) },
    { title: 'WOULD BE', cell: (r) => (r.passed === undefined ? '' : because(r.passed)), wraps: true },
    {
      title: 'ENFORCED',
      cell: (r) =>
        output.paint(r.mismatch === '' ? 'green' : 'red', r.cut === undefined ? 'none' : verdict(r.cut)),
    },
  ];
  const text = table(rows, columns, { width: output.width - INDENT.length });
  const wrong = rows.filter((r) => r.mismatch !== '').map((r) => `    MISMATCH ${r.what}: ${r.mismatch}\n`);
  return `${indent(text)}${output.paint('red', wrong.join(''))}`;
}

function what({ probe, family }: Observation): string {
  const port = probe.port === undefined ? 'ping' : `${probe.proto}/${probe.port}`;
  return `${probe.from} → ${probe.to} ${port} IPv${family}${probe.what === undefined ? '' : ` (${probe.what})`}`;
}

function observed({ result }: Observation): string {
  return result.status === undefined ? result.outcome : `${result.outcome} ${result.status}`;
}

function verdict(event: EventView): string {
  return event.reason === undefined ? event.verdict : `${event.verdict} ${event.reason}`;
}

/** The rule with its place, or who else decided. */
function because(event: EventView): string {
  if (event.kind === 'failsafe') return 'failsafe';
  if (event.rules.length === 0) return 'no policy selects it';
  const place = (file: string | undefined, line: number | undefined): string =>
    file === undefined ? '' : ` (${file.split('/').at(-1)}:${line ?? 1})`;
  return event.rules.map((r) => `${r.id}${place(r.file, r.line)}`).join(', ');
}

const INDENT = '    ';

export function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, INDENT);
}
