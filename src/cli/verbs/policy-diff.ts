/** `merlon policy diff`: what changes for whom, by the compiled forms of both sides, and the text. */
import {
  applied,
  type Difference,
  diffPolicies,
  type NodeWorld,
  representativeWorlds,
  textChanges,
  type TextChange,
  type WorldEndpoint,
} from '#cases';
import { MerlonError } from '#kit/errors';
import { NO_FACTS, type Policy, type PolicyFacts, STANDALONE_POLICY_CONFIG } from '#model';
import { DEFAULT_PARSE_OPTIONS, type ManifestObject } from '#model/parse';
import { readObjects } from '../policy-files.ts';
import { type Options, type Run, text, type Context } from '../verb.ts';
import { worldOf } from '../world.ts';

interface Question {
  readonly worlds: readonly NodeWorld[];
  readonly before: readonly Policy[];
  readonly after: readonly Policy[];
  /** False: a sample of pods stands for all, since there are too many kinds. */
  readonly isComplete: boolean;
  /** Shorter lists of names that mean the same. */
  readonly summarise: (names: readonly string[]) => readonly string[];
}

export const run: Run = async (context, files, options) => {
  if (files.length === 0) throw new MerlonError('USAGE', 'name the files to compare');
  const { worlds, before, after, isComplete, summarise } = await question(context, files, options);
  const semantic = joined(worlds.flatMap((world) => diffPolicies(world, before, after)));
  const textual = textChanges(before, after);
  if (!isComplete)
    context.output.message(
      'too many kinds of pods for a complete comparison; --world or an agent makes it exact',
    );
  await context.output.value(
    { same: semantic.length === 0, complete: isComplete, differences: semantic, textual },
    () => [...semanticLines(semantic, summarise), ...textLines(textual)].map((line) => `${line}\n`).join(''),
  );
  return semantic.length === 0 ? 0 : 1;
};

async function question(context: Context, files: readonly string[], options: Options): Promise<Question> {
  const from = text(options, 'from');
  for (const file of [from ?? '', ...files]) {
    if (file.startsWith('gen:'))
      throw new MerlonError('NOT_SUPPORTED_YET', `${file}: generations are not kept yet`, {
        hint: 'name files or directories',
      });
  }
  if (from === undefined || text(options, 'world') !== undefined) {
    const world = await worldOf(context, options);
    const given = policiesOf(readObjects(files, world.parse));
    const before = from === undefined ? world.policies : policiesOf(readObjects([from], world.parse));
    const after = from === undefined ? applied(world.policies, given) : given;
    return {
      worlds: world.views().map((view) => view.world),
      before,
      after,
      isComplete: true,
      summarise: (names) => names,
    };
  }
  const [old, now] = [readObjects([from], DEFAULT_PARSE_OPTIONS), readObjects(files, DEFAULT_PARSE_OPTIONS)];
  const before = policiesOf(old);
  const after = policiesOf(now);
  const around = { config: STANDALONE_POLICY_CONFIG, facts: factsOf(now), endpoints: workloadsOf(now) };
  return { ...representativeWorlds([...before, ...after], around), before, after };
}

function policiesOf(objects: readonly ManifestObject[]): readonly Policy[] {
  return objects.flatMap(({ value }) => (value?.kind === 'policy' ? [value.policy] : []));
}

function factsOf(objects: readonly ManifestObject[]): PolicyFacts {
  const values = objects.flatMap(({ value }) => (value === undefined ? [] : [value]));
  return {
    ...NO_FACTS,
    cidrGroups: values.flatMap((value) => (value.kind === 'cidrGroup' ? [value.cidrGroup] : [])),
    services: values.flatMap((value) => (value.kind === 'service' ? [value.service] : [])),
    endpointSlices: values.flatMap((value) => (value.kind === 'endpointSlice' ? [value.endpointSlice] : [])),
  };
}

function workloadsOf(objects: readonly ManifestObject[]): readonly WorldEndpoint[] {
  const rows = objects.flatMap(({ value }) => (value?.kind === 'workload' ? [value.workload] : []));
  return rows.map(({ key, addresses, labels, namedPorts }, i) => ({
    name: key,
    id: i + 1,
    addresses,
    labels,
    ...(namedPorts === undefined ? {} : { namedPorts }),
  }));
}

/** Most names of one list that are shown to people. */
const MOST_NAMES = 6;

function shortened(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return more <= 0 ? names.join(', ') : `${names.slice(0, MOST_NAMES).join(', ')} and ${more} more`;
}

type Shown = Omit<Difference, 'exact'>;

/** What several nodes or subjects have in common stands once. */
function joined(differences: readonly Difference[]): readonly Shown[] {
  const byText = new Map<string, Shown>();
  for (const { exact: _, subjects, ...rest } of differences) {
    const key = JSON.stringify(rest);
    const known = byText.get(key)?.subjects ?? [];
    byText.set(key, { subjects: [...new Set([...known, ...subjects])], ...rest });
  }
  return [...byText.values()];
}

function semanticLines(differences: readonly Shown[], summarise: Question['summarise']): readonly string[] {
  if (differences.length === 0) return ['no verdict changes'];
  return differences.flatMap(({ kind, subjects, direction, peers, exceptPeers, ports, before, after }) => {
    const except = exceptPeers === undefined ? '' : ` except ${shortened(summarise(exceptPeers))}`;
    const peerNames = shortened(summarise(peers)) + except;
    const subjectNames = shortened(summarise(subjects));
    const way = direction === 'ingress' ? `${peerNames} → ${subjectNames}` : `${subjectNames} → ${peerNames}`;
    const said = (decided: Difference['before']) =>
      `${decided.verdict}${decided.by.length === 0 ? '' : ` by ${shortened(decided.by)}`}`;
    return [
      `${kind.padEnd(8)} ${direction.padEnd(8)} ${way}  ${shortened(ports)}`,
      `    ${said(before)}`,
      `  → ${said(after)}`,
    ];
  });
}

function textLines(changes: readonly TextChange[]): readonly string[] {
  return changes.flatMap(({ policy, change, lines }) => [
    '',
    `${change} ${policy}`,
    ...lines.map((line) => `  ${line}`),
  ]);
}
