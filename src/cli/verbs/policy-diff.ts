/** `merlon policy diff`: what changes for whom, by the compiled forms of both sides, and the text. */
import {
  applied,
  appliedFacts,
  type Difference,
  diffPolicies,
  type DiffSide,
  documentsOf,
  type Generation,
  type NodeWorld,
  representativeWorlds,
  textChanges,
  type TextChange,
  type WorldEndpoint,
} from '#cases';
import { MerlonError } from '#kit/errors';
import { NO_FACTS, type PolicyConfig, STANDALONE_POLICY_CONFIG } from '#model';
import { DEFAULT_PARSE_OPTIONS } from '#model/parse';
import { expandPolicies } from '#policy';
import { fitting } from '../explain-text.ts';
import { isGeneration, type Keeper, keeperOf } from '../generations.ts';
import { readObjects, workloadsOf } from '../policy-files.ts';
import { type Options, type Run, text, type Context } from '../verb.ts';
import { worldOf } from '../world.ts';

interface Question {
  readonly worlds: readonly NodeWorld[];
  readonly before: DiffSide;
  readonly after: DiffSide;
  /** False: a sample of pods stands for all, since there are too many kinds. */
  readonly isComplete: boolean;
  /** Shorter lists of names that mean the same. */
  readonly summarise: (names: readonly string[]) => readonly string[];
  /** What a port is called instead. */
  readonly portNames?: ReadonlyMap<string, string>;
}

export const run: Run = async (context, files, options) => {
  const { worlds, before, after, isComplete, summarise, portNames } = await question(context, files, options);
  const found = worlds.flatMap((world) => diffPolicies(world, before, after));
  const semantic = joined(portNames === undefined ? found : found.map((one) => withNames(one, portNames)));
  const textual = textChanges(before, after);
  if (!isComplete)
    context.output.message(
      'too many kinds of pods for a complete comparison; --world or an agent makes it exact',
    );
  await context.output.value(
    { same: semantic.length === 0, complete: isComplete, differences: semantic, textual },
    () => {
      const texts = options['text'] === true ? textLines(textual) : textSummary(textual);
      const lines = [...semanticLines(semantic, summarise), ...texts].map((line) => `${line}\n`);
      return fitting(lines.join(''), context.output.width);
    },
  );
  return semantic.length === 0 ? 0 : 1;
};

async function question(context: Context, files: readonly string[], options: Options): Promise<Question> {
  const from = text(options, 'from');
  const named = [...(from === undefined ? [] : [from]), ...files];
  if (named.length === 0) {
    throw new MerlonError('USAGE', 'say what to compare: files, a directory or gen:NUMBER', {
      hint: 'for example `merlon policy diff new/`, or `merlon policy diff gen:previous`',
    });
  }
  if (named.some(isGeneration)) return generationQuestion(context, from, files, options);
  if (from !== undefined && files.length === 0) {
    throw new MerlonError('USAGE', `--from ${from}: say what to compare it with`);
  }
  if (from === undefined || text(options, 'world') !== undefined) {
    const world = await worldOf(context, options);
    const worlds = world.views().map((view) => view.world);
    const active = { policies: world.policies, facts: worlds[0]?.facts ?? NO_FACTS };
    const parse = { ...world.parse, signal: context.signal };
    const given = documentsOf(await readObjects(files, parse));
    const old = from === undefined ? undefined : documentsOf(await readObjects([from], parse));
    return {
      worlds,
      before: old === undefined ? active : onTopOf(active, old),
      after: old === undefined ? onTop(active, given) : onTopOf(active, given),
      isComplete: true,
      summarise: (names) => names,
    };
  }
  const parse = { ...DEFAULT_PARSE_OPTIONS, signal: context.signal };
  const old = await readObjects([from], parse);
  const now = await readObjects(files, parse);
  return onPaper(documentsOf(old), documentsOf(now), STANDALONE_POLICY_CONFIG, workloadsOf(now));
}

type Documents = Required<Pick<DiffSide, 'policies' | 'facts'>>;

/** Objects of files are added to what is there, or replace it. */
function onTop(active: Documents, given: Documents): Documents {
  return {
    policies: applied(active.policies, given.policies),
    facts: appliedFacts(active.facts, given.facts),
  };
}

/** All policies are those of the files; what they refer to may stand in the world. */
function onTopOf({ facts }: Documents, given: Documents): Documents {
  return { policies: given.policies, facts: appliedFacts(facts, given.facts) };
}

/** Without a world: pods stand for every combination of labels. */
function onPaper(
  before: Documents,
  after: Documents,
  config: PolicyConfig,
  endpoints: readonly WorldEndpoint[],
): Question {
  const policies = [before, after].flatMap((side) => expandPolicies(side.policies, side.facts));
  const around = { config, facts: NO_FACTS, endpoints };
  return { ...representativeWorlds(policies, around), before, after };
}

/** At least one side is a generation; a side that nobody names is what is active. */
async function generationQuestion(
  context: Context,
  from: string | undefined,
  files: readonly string[],
  options: Options,
): Promise<Question> {
  if (files.length > 1 && files.some(isGeneration)) {
    throw new MerlonError('USAGE', 'a generation is a whole set of policies: name it alone');
  }
  const keeper = await keeperOf(context, options);
  const world = keeper.agent ? await worldOf(context, options) : undefined;
  const parse = { ...(world?.parse ?? DEFAULT_PARSE_OPTIONS), signal: context.signal };
  const before = await sideOf(from === undefined ? [] : [from], keeper, parse);
  const after = await sideOf(files, keeper, parse);
  for (const { config, name } of [before, after]) {
    const now = world?.views()[0]?.world.config;
    if (config !== undefined && now !== undefined && JSON.stringify(config) !== JSON.stringify(now))
      context.output.message(`${name} had other settings; both sides are compared under those of now`);
  }
  if (world === undefined) {
    const config = before.config ?? after.config ?? STANDALONE_POLICY_CONFIG;
    return onPaper(before.side, after.side, config, []);
  }
  return {
    worlds: world.views().map((view) => view.world),
    before: before.side,
    after: after.side,
    isComplete: true,
    summarise: (names) => names,
  };
}

interface NamedSide {
  readonly name: string;
  readonly side: Documents & Pick<DiffSide, 'nodeLabels'>;
  readonly config?: Generation['config'];
}

async function sideOf(
  names: readonly string[],
  keeper: Keeper,
  parse: Parameters<typeof readObjects>[1],
): Promise<NamedSide> {
  const [name] = names;
  if (name !== undefined && !isGeneration(name))
    return { name, side: documentsOf(await readObjects(names, parse)) };
  const kept = await (name === undefined ? keeper.active() : keeper.named(name));
  const { policies, facts, nodeLabels, config } = kept;
  return {
    name: `generation ${kept.generation}`,
    side: keeper.agent ? { policies, facts, nodeLabels } : { policies, facts },
    config,
  };
}

/** Most names of one list that are shown to people. */
const MOST_NAMES = 6;

function shortened(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return more <= 0 ? names.join(', ') : `${names.slice(0, MOST_NAMES).join(', ')} and ${more} more`;
}

type Shown = Omit<Difference, 'exact'>;

/** Pods on paper have numbers of their own for the ports that policies name. */
function withNames(difference: Difference, names: ReadonlyMap<string, string>): Difference {
  const named = (text: string) => text.replaceAll(/\w+\/\d+(?![-\d])/g, (port) => names.get(port) ?? port);
  return { ...difference, ports: difference.ports.map(named) };
}

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

/** Of a change that opens and closes nothing, too, people want to know. */
function textSummary(changes: readonly TextChange[]): readonly string[] {
  if (changes.length === 0) return [];
  const names = changes.map(({ policy, change }) => `${policy} (${change})`);
  return ['', `text: ${shortened(names)}; --text shows the lines`];
}

function textLines(changes: readonly TextChange[]): readonly string[] {
  return changes.flatMap(({ policy, change, lines }) => [
    '',
    `${change} ${policy}`,
    ...lines.map((line) => `  ${line}`),
  ]);
}
