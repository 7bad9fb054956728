/**
 * Commander's commands out of the list of verbs: one tree, actions imported only when they run, and one
 * sentence with exit code 2 for a verb that this build does not have yet.
 */
import { Command, CommanderError, Option } from 'commander';
import { ERRORS, exitCode, MerlonError } from '#kit/errors';
import { nearest } from '#kit/nearest';
import { FORMATS, Output, parseFormat, wrap } from './output.ts';
import type { Context, Options, Verb, VerbOption } from './verb.ts';
import { GROUPS, VERBS } from './verbs.ts';

interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Where verbs write; the process's own streams when absent. */
  readonly stdout?: NodeJS.WriteStream;
  readonly stderr?: NodeJS.WriteStream;
}

/** Parses `argv`, runs its verb and resolves with the exit code. */
export async function buildProgram(environment: Environment, argv: readonly string[]): Promise<number> {
  const exit = { code: 0 };
  const program = commands((verb, args, options) => run(environment, verb, args, options, exit));
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    const isUsage = error instanceof MerlonError && error.code === 'USAGE' && error.hint === undefined;
    if (!isUsage && !(error instanceof CommanderError)) throw error;
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    throw usageOf(error.message, argv);
  }
  return exit.code;
}

/** What was wrong with a command line, and where its verb is explained. */
function usageOf(message: string, argv: readonly string[]): MerlonError {
  const [, what = message, meant] =
    /^(?:error: )?(.*?)\.?(?:\n\(Did you mean (.*)\?\))?$/s.exec(message) ?? [];
  const words = argv.join(' ');
  const isGiven = ({ name }: Verb): boolean => words === name || words.startsWith(`${name} `);
  const verb = VERBS.filter(isGiven).sort((a, b) => b.name.length - a.name.length)[0];
  const help = `see \`merlon help${verb === undefined ? '' : ` ${verb.name}`}\``;
  return new MerlonError('USAGE', what, { hint: meant === undefined ? help : `did you mean ${meant}?` });
}

type Action = (verb: Verb, args: readonly string[], options: Options) => Promise<void>;

/** The whole tree; every leaf calls `action`. */
export function commands(action: Action): Command {
  const program = quiet(new Command('merlon'))
    .description('Host firewall and multi-cluster mesh for bare-metal Linux')
    .usage('<verb> [options]')
    .helpCommand(false);
  program.action((_options: Options, command: Command) => {
    const [given] = command.args;
    if (given !== undefined) throw unknownVerb(given, '', VERBS);
    program.outputHelp();
  });
  program.allowExcessArguments(true);
  for (const verb of VERBS) addVerb(program, verb, action);
  program.addHelpText('after', () => `\n${groupList()}\nmerlon help VERB shows an example of each.\n`);
  program.configureHelp({ visibleCommands: () => [] });
  return program;
}

function addVerb(program: Command, verb: Verb, action: Action): void {
  const words = verb.name.split(' ');
  const leaf = words.pop() ?? '';
  const parent = words.reduce((at, word) => child(at, word), program);
  const command =
    parent.commands.find((c) => c.name() === leaf) ??
    parent.command(leaf, { hidden: verb.load === undefined || verb.group === 'hidden' });
  quiet(command).description(verb.what);
  for (const alias of verb.aliases ?? []) command.alias(alias);
  if (verb.args !== undefined) command.arguments(verb.args);
  for (const option of verb.options ?? []) command.addOption(asOption(option));
  if (verb.load === undefined) command.allowUnknownOption(true).allowExcessArguments(true);
  else command.allowExcessArguments(false);
  common(command, verb.formats);
  command.addHelpText('after', () => after(verb));
  command.action((...params: unknown[]) => {
    const self = params.at(-1) as Command;
    return action(verb, self.args, self.opts());
  });
}

/** The command `word` below `at`, made when it is only a group. */
function child(at: Command, word: string): Command {
  const found = at.commands.find((c) => c.name() === word);
  if (found !== undefined) return found;
  const made = quiet(at.command(word)).allowExcessArguments(true).usage('<verb> [options]');
  made.configureHelp({ visibleCommands: () => [] });
  made.addHelpText('after', () => `\n${groupHelp(`${fullName(made)} `)}`);
  made.action((_options: Options, self: Command) => {
    const below = VERBS.filter((v) => v.name.startsWith(`${fullName(self)} `));
    const given = self.args[0];
    if (given !== undefined) throw unknownVerb(given, `${fullName(self)} `, below);
    self.outputHelp();
  });
  return made;
}

function fullName(command: Command): string {
  const parent = command.parent;
  return parent === null || parent.parent === null ? command.name() : `${fullName(parent)} ${command.name()}`;
}

/** Errors are thrown to `main`, which prints them once and in one shape. */
function quiet(command: Command): Command {
  return (
    command
      .exitOverride()
      // A flag after `config view` is the verb's, also where `config` has one of that name.
      .enablePositionalOptions()
      .configureOutput({ writeErr: () => {} })
      .showSuggestionAfterError(true)
  );
}

function common(command: Command, formats: readonly string[] = []): void {
  command.addOption(new Option('-o, --output <format>', [...FORMATS, ...formats].join('|')).default('table'));
  command.addOption(new Option('--run-dir <dir>', 'the agent to speak to (or MERLON_RUN_DIR)'));
}

function asOption(option: VerbOption): Option {
  const made = new Option(option.flags, option.what);
  if (option.isRepeatable) {
    made.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
  }
  return made;
}

async function run(
  environment: Environment,
  verb: Verb,
  args: readonly string[],
  options: Options,
  exit: { code: number },
): Promise<void> {
  if (verb.load === undefined) {
    throw new MerlonError('NOT_SUPPORTED_YET', `this build has no \`merlon ${verb.name}\` yet`);
  }
  const asked = String(options['output'] ?? 'table');
  const isExtra = verb.formats?.includes(asked) === true;
  const format = isExtra ? 'table' : parseFormat(asked, verb.formats);
  const context: Context = {
    runDir: String(options['runDir'] ?? environment.env['MERLON_RUN_DIR'] ?? '/run/merlon'),
    format,
    ...(isExtra ? { extraFormat: asked } : {}),
    output: new Output(format, environment.stdout ?? process.stdout, environment.stderr ?? process.stderr),
    signal: environment.signal,
    env: environment.env,
  };
  const { run: runVerb } = await verb.load();
  try {
    exit.code = (await runVerb(context, args, options)) ?? 0;
  } catch (error) {
    throw verb.answers === true ? unanswered(error) : error;
  }
}

/** The same error, but never mistaken for the answer no. */
function unanswered(error: unknown): unknown {
  if (!(error instanceof MerlonError) || exitCode(error) !== 1) return error;
  const { message, at, hint = ERRORS[error.code].hint } = error;
  return new MerlonError('UNANSWERED', message, { cause: error, at, hint });
}

function unknownVerb(given: string, prefix: string, verbs: readonly Verb[]): MerlonError {
  const names = verbs.map((v) => v.name.slice(prefix.length).split(' ')[0] ?? '');
  const close = nearest(given, names);
  return new MerlonError('USAGE', `there is no verb "${prefix}${given}"`, {
    hint: close === undefined ? '`merlon help` lists the verbs' : `did you mean "${prefix}${close}"?`,
  });
}

function after(verb: Verb): string {
  const parts = [
    verb.load === undefined ? 'This build does not have this verb yet.' : '',
    verb.exits === undefined ? '' : `Exit codes: ${verb.exits}`,
    verb.example === undefined ? '' : `Example:\n  ${verb.example}`,
  ].filter((p) => p !== '');
  return parts.length === 0 ? '' : `\n${parts.join('\n\n')}\n`;
}

/** The verbs that begin with these words, and how many of them this build lacks. */
function groupHelp(prefix: string): string {
  const verbs = VERBS.filter((v) => v.name.startsWith(prefix));
  const present = verbs.filter((v) => v.load !== undefined);
  const later = verbs.length - present.length;
  const rest = later === 0 ? '' : `${present.length === 0 ? '' : '\n'}not in this build yet: ${later}\n`;
  return `${present.length === 0 ? '' : `${verbLines(present).join('\n')}\n`}${rest}`;
}

/** A terminal narrower than this breaks lines itself. */
const NARROWEST_HELP = 24;

function verbLines(verbs: readonly Verb[]): readonly string[] {
  const width = Math.max(...verbs.map((v) => v.name.length));
  const room = (process.stdout.columns ?? Number.POSITIVE_INFINITY) - width - 4;
  return verbs.map(({ name, what }) => {
    const lines = wrap(what, Math.max(room, NARROWEST_HELP));
    return `  ${name.padEnd(width)}  ${lines.join(`\n${' '.repeat(width + 4)}`)}`;
  });
}

/** The verbs by group, those that this build has; the others in one closing line. */
function groupList(): string {
  const lines: string[] = [];
  for (const group of GROUPS) {
    const verbs = VERBS.filter((v) => v.group === group && v.load !== undefined);
    if (verbs.length > 0) lines.push(`${group}:`, ...verbLines(verbs), '');
  }
  const later = VERBS.filter((v) => v.load === undefined).length;
  if (later > 0)
    lines.push(`${later} more verbs are known and answered with one sentence: not in this build yet.`);
  return `${lines.join('\n')}\n`;
}
