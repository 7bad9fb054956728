/** `merlon ct list` and `merlon bpf ct list`: flow records, from the initiator's side. */
import { type FlowView, stream } from '#api/client';
import { MerlonError } from '#kit/errors';
import { type Column, size } from '../output.ts';
import { type Run, text } from '../verb.ts';

const end = (e: FlowView['initiator']): string =>
  e.port === undefined ? e.ip : `${e.ip.includes(':') ? `[${e.ip}]` : e.ip}:${e.port}`;

const columns: readonly Column<FlowView>[] = [
  { title: 'PROTO', cell: (f) => f.protocol },
  { title: 'DIR', cell: (f) => f.direction },
  { title: 'INITIATOR', cell: (f) => end(f.initiator) },
  { title: 'RESPONDER', cell: (f) => end(f.responder) },
  { title: 'STATE', cell: (f) => [f.state, ...f.flags].join(',') },
  { title: 'PACKETS', cell: (f) => `${f.packets.forward}/${f.packets.reply}`, align: 'right' },
  { title: 'BYTES', cell: (f) => size(f.bytes.forward + f.bytes.reply), align: 'right' },
  { title: 'RULES', cell: rules, wraps: true },
];

function rules(f: FlowView): string {
  const cells = Object.entries(f.verdicts).map(([direction, v]) => {
    const ids = v.rules.map((r) => r.id).join(' ');
    return `${direction} ${v.verdict}${ids === '' ? '' : ` ${ids}`}`;
  });
  return cells.join('; ');
}

export const run: Run = async (context, _args, options) => {
  const { output } = context;
  const port = portOf(text(options, 'port'));
  const wanted = (f: FlowView): boolean =>
    port === undefined || f.initiator.port === port || f.responder.port === port;
  const rows: FlowView[] = [];
  for await (const flow of stream<FlowView>('/v1/ct', context)) {
    if (!wanted(flow)) continue;
    if (output.isForPeople) rows.push(flow);
    else await output.row(flow, () => '');
  }
  if (output.isForPeople) {
    await output.rows(rows, columns, `no flow records${port === undefined ? '' : ` with port ${port}`}`);
  }
};

function portOf(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const port = Number(given);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw new MerlonError('USAGE', `--port takes a number from 0 to 65535, not "${given}"`);
}
