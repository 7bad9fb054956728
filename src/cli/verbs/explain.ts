/** `merlon explain`: why a flow gets its verdict, on both sides, in a world on paper or on this node; or why an event did. */
import {
  applied,
  type CaseFlow,
  documentsOf,
  flowText,
  type FlowResult,
  type FlowWorld,
  type Generation,
  SnapshotRun,
} from '#cases';
import { call, type EventView, type FlowView, stream } from '#api/client';
import { MerlonError } from '#kit/errors';
import { protocolName } from '#model';
import { explainEvent, lastDrop } from '../explain-event.ts';
import { flowOf, sourcePortOf } from '../explain-question.ts';
import { fitting, resultText, resultView, verdictsText } from '../explain-text.ts';
import { generationAt } from '../generations.ts';
import { readObjects } from '../policy-files.ts';
import { type Context, list, type Options, type Run, text } from '../verb.ts';
import { worldOf } from '../world.ts';

export const run: Run = async (context, [event], options) => {
  const from = text(options, 'from');
  const to = text(options, 'to');
  checkTime(event, options);
  if (options['lastDrop'] === true) return explainEvent(context, await lastDrop(context, from));
  if (event !== undefined) {
    return explainEvent(context, await call<EventView>(`/v1/events/${encodeURIComponent(event)}`, context));
  }
  if (from === undefined || to === undefined) {
    throw new MerlonError('USAGE', 'say who sends and who receives: --from and --to', {
      hint: 'or which event: `merlon explain --last-drop`, `merlon explain 1843`',
    });
  }
  const asked = { ...options, ...(text(options, 'dport') === undefined ? {} : { port: options['dport'] }) };
  return explainFlow(context, from, to, asked);
};

/** Only an agent has events and a past. */
function checkTime(event: string | undefined, options: Options): void {
  const words = ['--last-drop', '--at', event === undefined ? '' : `event ${event}`];
  const asked = [options['lastDrop'] === true, text(options, 'at') !== undefined, event !== undefined];
  const word = words.find((_, i) => asked[i]);
  if (word === undefined || text(options, 'world') === undefined) return;
  throw new MerlonError('USAGE', `${word}: the world of a case file has neither events nor a past`, {
    hint: 'leave out --world to ask the agent',
  });
}

/** Explains one flow. Exit code 0 allowed, 1 denied; with a candidate, what would come of it then. */
export async function explainFlow(
  context: Context,
  from: string,
  to: string,
  options: Options,
): Promise<number> {
  const asked = await worldOf(context, options);
  const at = text(options, 'at');
  const then = at === undefined ? undefined : await generationAt(context, at);
  const world = then !== undefined && asked instanceof SnapshotRun ? asked.at(then) : asked;
  const flow = flowOf(world, from, to, options);
  const details = world instanceof SnapshotRun ? await detailsOf(context, world, flow, options) : {};
  const judge = (one: typeof world): readonly FlowResult[] =>
    one instanceof SnapshotRun ? one.results(flow, details) : one.results(flow);
  const now = judge(world).map(resultView);
  const files = list(options, 'candidate');
  const candidate = files.length === 0 ? undefined : await withFiles(context, world, files);
  const after = candidate && judge(candidate).map(resultView);
  const title = flowText(flow);
  const answer = {
    flow: title,
    ...(then === undefined ? {} : { generation: then.generation, enforcedAt: then.enforcedAt }),
    results: now,
    ...(after === undefined ? {} : { candidate: after }),
  };
  await context.output.value(answer, () => {
    const head = then === undefined ? title : `${title}\n${thenText(then)}`;
    const parts =
      after === undefined
        ? [head, ...now.map(resultText)]
        : [
            `${head}\n\nNOW`,
            ...now.map(resultText),
            `\nWITH ${files.join(', ')}`,
            ...after.map(resultText),
            `\n${verdictsText(now)} → ${verdictsText(after)}\n`,
          ];
    return fitting(
      parts.map((part) => (part.endsWith('\n') ? part : `${part}\n`)).join(''),
      context.output.width,
    );
  });
  return (after ?? now).some((result) => result.verdict === 'deny') ? 1 : 0;
}

/** The world with the objects of files added, or in the place of those of their names. */
async function withFiles(
  { signal }: Context,
  world: FlowWorld,
  files: readonly string[],
): Promise<FlowWorld> {
  const { policies, facts } = documentsOf(await readObjects(files, { ...world.parse, signal }));
  return world.with(applied(world.policies, policies), facts.cidrGroups);
}

/** Of the time that `--at` names only documents are kept. */
function thenText({ generation, enforcedAt }: Generation): string {
  return `by generation ${generation}, enforced at ${enforcedAt}; identities are those of now, since who had which address then is not kept`;
}

/** The device that was named, and what the flow table has between the two ends. */
async function detailsOf(context: Context, world: SnapshotRun, flow: CaseFlow, options: Options) {
  const device = text(options, 'dev');
  if (device !== undefined && !world.devices.includes(device)) {
    const all = world.devices.join(', ') || 'none has';
    throw new MerlonError('USAGE', `no program of merlon is on the device "${device}"`, {
      hint: `on ${all}`,
    });
  }
  const [source, destination] = world.addresses(flow);
  const record =
    source === undefined || destination === undefined
      ? undefined
      : await recordText(context, [source, destination], flow);
  const sourcePort = sourcePortOf(text(options, 'from') ?? '');
  return {
    ...(device === undefined ? {} : { device }),
    ...(record === undefined ? {} : { record }),
    ...(sourcePort === undefined ? {} : { sourcePort }),
  };
}

/** What established packets of such connections go by; a new one is judged anew all the same. */
async function recordText(
  context: Context,
  ends: readonly [string, string],
  { port, protocol }: CaseFlow,
): Promise<string | undefined> {
  const found: FlowView[] = [];
  for await (const flow of stream<FlowView>(`/v1/ct?between=${ends.join(',')}`, context)) {
    const isAsked = flow.responder.ip === ends[1] && (flow.responder.port ?? port) === port;
    if (isAsked && flow.protocol === protocolName(protocol)) found.push(flow);
  }
  const [first] = found;
  if (first === undefined) return undefined;
  const words = Object.entries(first.verdicts).map(
    ([direction, { verdict, rules, generation }]) =>
      `${direction} ${verdict}${rules.length === 0 ? '' : ` by ${rules.map((rule) => rule.id).join(', ')}`} under generation ${generation}`,
  );
  const count = found.length === 1 ? 'there is a record' : `there are ${found.length} records; the first`;
  const since = first.created.replace(/\.\d+Z$/, 'Z');
  return `${count} (${[first.state, `since ${since}`, ...words].join(', ')}); a new connection is judged as new`;
}
