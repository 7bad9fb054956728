/** `merlon status`: what is enforced, what is not, and what is degraded, worst last where eyes end up. */
import { call, type StatusView } from '#api/client';
import { until } from '#kit/async';
import { MerlonError } from '#kit/errors';
import { age, type Output, type Style, size } from '../output.ts';
import { type Context, type Run, text } from '../verb.ts';

export const run: Run = async (context, _args, options) => {
  const wait = text(options, 'waitReady');
  const view = wait === undefined ? await read(context) : await waitReady(context, seconds(wait));
  await context.output.value(view, () => render(view, context.output, options['verbose'] === true));
  return view.ready ? 0 : 1;
};

function read(context: Context, timeoutMs?: number): Promise<StatusView> {
  return call<StatusView>('/v1/status', { ...context, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

/** An agent that is still starting has no socket yet: that is a reason to wait, not to fail. */
function waitReady(context: Context, timeoutMs: number): Promise<StatusView> {
  const check = async (): Promise<StatusView | undefined> => {
    try {
      const view = await read(context, timeoutMs);
      return view.ready ? view : undefined;
    } catch (error) {
      if (error instanceof MerlonError && error.code === 'AGENT_UNREACHABLE') return undefined;
      throw error;
    }
  };
  return until(check, { signal: context.signal, timeoutMs, what: 'a ready agent', intervalMs: 50 });
}

function seconds(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value * 1000;
  throw new MerlonError('USAGE', `--wait-ready takes a number of seconds, not "${text}"`);
}

const COLOURS: Readonly<Record<string, Style>> = {
  enforce: 'green',
  audit: 'yellow',
  failsafe: 'yellow',
  off: 'red',
  disabled: 'dim',
};

function render(view: StatusView, out: Output, isVerbose: boolean): string {
  const word = (w: string): string => out.paint(COLOURS[w] ?? 'reset', w);
  const { hostfw, timeToEnforceMs: tte } = view;
  const selected = view.devices.filter((d) => d.selected && d.kind !== 'pod');
  const lines: [string, string][] = [
    [
      'Agent',
      `${view.ready ? out.paint('green', 'ready') : out.paint('red', 'not ready')}, ${view.version}, pid ${view.pid}, up ${age(view.uptimeSeconds)}`,
    ],
    ['Node', `${view.node}, kernel ${view.kernel}`],
    [
      'Host firewall',
      hostfw.enabled
        ? `${word(hostfw.mode)}, generation ${hostfw.generation}, ${count(hostfw.policies, 'host policy', 'host policies')}`
        : word('off'),
    ],
    ['', `ingress ${word(hostfw.direction.ingress)}, egress ${word(hostfw.direction.egress)}`],
    [
      'Devices',
      selected.length === 0 ? out.paint('yellow', 'none selected') : selected.map((d) => d.name).join(', '),
    ],
    ['Endpoints', `${view.endpoints.total} (${view.endpoints.ready} ready${audited(view)})`],
    ['Policies', `${view.policies.total}, generation ${view.policies.generation}${doubts(view, out)}`],
    ...view.sources.map((s): [string, string] => [
      `Source ${s.name}`,
      s.synced ? s.message : out.paint('yellow', `not synced: ${s.message}`),
    ]),
    [
      'Enforced in',
      tte.count === 0
        ? 'no change yet'
        : `${ms(tte.last)} last, ${ms(tte.p50)} median, ${ms(tte.p99)} p99 of ${tte.count}`,
    ],
    [
      'Events',
      `${view.events.sent} sent, ${view.events.suppressed} suppressed, ${view.events.lost} lost; the last is number ${view.events.seq}`,
    ],
    ...(isVerbose ? details(view) : []),
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  const body = lines.map(
    ([name, value]) => `${name === '' ? ' '.repeat(width) : `${name}:`.padEnd(width)}${value}`,
  );
  return `${[...body, ...problems(view, out)].join('\n')}\n`;
}

/** Where to look when policies may not mean what was meant. */
function doubts({ policies: { doubtful } }: StatusView, out: Output): string {
  if (doubtful === 0) return '';
  return `; ${out.paint('yellow', `${doubtful} with warnings`)}: \`merlon policy get\``;
}

function details(view: StatusView): [string, string][] {
  const { datapath } = view;
  return [
    ['Instance', view.instance],
    ['Attached by', datapath.attach],
    [
      'Kernel memory',
      `${size(datapath.memoryBytes)}; arena ${size(datapath.arena.usedBytes)} of ${size(datapath.arena.sizeBytes)}`,
    ],
    ...datapath.flowTables.map((t): [string, string] => [`Table ${t.name}`, `${t.capacity} records at most`]),
    ...datapath.features.map((f): [string, string] => [
      `Feature ${f.name}`,
      f.present ? 'present' : `absent: ${f.cost}`,
    ]),
    ...view.devices.flatMap((d) =>
      d.hooks.map((h): [string, string] => [
        `Hook ${d.name}`,
        `${h.hook} ${h.program} (program ${h.programId})`,
      ]),
    ),
  ];
}

function problems(view: StatusView, out: Output): string[] {
  const lines: string[] = [];
  if (view.notEnforced.length > 0) lines.push('', out.paint('yellow', 'Not enforced:'));
  lines.push(...view.notEnforced.map((n) => `  ${n.what}: ${n.why}`));
  if (view.degraded.length > 0) lines.push('', out.paint('red', 'Degraded:'));
  for (const d of view.degraded) {
    const at = d.file === undefined ? '' : `${d.file}:${d.line ?? 1}: `;
    lines.push(`  ${at}${d.message} [${d.code}]`);
  }
  return lines;
}

/** How many endpoints let pass what their policy refuses. */
function audited({ endpoints }: StatusView): string {
  return endpoints.audited === 0 ? '' : `, ${endpoints.audited} in audit`;
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
