/** Generations as people name them: `gen:41`, `gen:previous`. The agent has them; without one its state directory. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { call, type GenerationView } from '#api/client';
import { type Generation, generationFromText, generationHead, historyOf } from '#cases';
import { errorMessage, MerlonError } from '#kit/errors';
import { type Context, type Options, text } from './verb.ts';

/** Where an agent that was not told otherwise keeps them. */
const STATE_DIR = '/var/lib/merlon';

const PREFIX = 'gen:';

export function isGeneration(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** Where generations are read. */
export interface Keeper {
  /** False: no agent runs, the files are read. */
  readonly agent: boolean;
  /** The newest first. */
  readonly list: () => readonly GenerationView[];
  readonly active: () => Promise<Generation>;
  /** Of `gen:NUMBER` or `gen:previous`. Throws `NOT_FOUND`, `USAGE`. */
  readonly named: (name: string) => Promise<Generation>;
}

/** The agent, or the files that the last one left. */
export async function keeperOf(context: Context, options: Options): Promise<Keeper> {
  const stateDir = text(options, 'stateDir');
  if (stateDir !== undefined) return files(context, join(stateDir, 'generations'));
  try {
    return agent(context, await call<readonly GenerationView[]>('/v1/generations', context));
  } catch (error) {
    if (!(error instanceof MerlonError) || error.code !== 'AGENT_UNREACHABLE') throw error;
    const keeper = files(context, join(STATE_DIR, 'generations'), error);
    context.output.message(`no agent answers; generations are read from ${STATE_DIR}`);
    return keeper;
  }
}

function agent(context: Context, list: readonly GenerationView[]): Keeper {
  const get = async (number: number): Promise<Generation> =>
    generationFromText(await call<string>(`/v1/generations/${number}`, context), 'the agent');
  const numbers = list.map((row) => row.generation);
  return {
    agent: true,
    list: () => list,
    active: () => get(list.find((row) => row.active)?.generation ?? 0),
    named: async (name) => get(numberOf(name, numbers)),
  };
}

/** `cause`: why there is no agent; it is thrown where there are no files either. */
function files(context: Context, folder: string, cause?: MerlonError): Keeper {
  const numbers = listed(folder).sort((a, b) => b - a);
  const [newest] = numbers;
  if (newest === undefined) {
    throw cause ?? new MerlonError('NOT_FOUND', `no generation is kept in ${folder}`);
  }
  const read = (number: number): Generation => {
    const file = join(folder, `${number}.json`);
    return generationFromText(readFileSync(file, 'utf8'), file);
  };
  return {
    agent: false,
    list: () => {
      const heads = numbers.toReversed().flatMap((number) => {
        const file = join(folder, `${number}.json`);
        try {
          return [generationHead(readFileSync(file, 'utf8'), file)];
        } catch (error) {
          context.output.message(errorMessage(error)); // the others can be listed all the same
          return [];
        }
      });
      return historyOf(heads, newest);
    },
    active: async () => read(newest),
    named: async (name) => {
      const wanted = numberOf(name, numbers);
      const found = numbers.find((number) => number <= wanted);
      if (found !== undefined) return read(found);
      throw new MerlonError('NOT_FOUND', `generation ${wanted} is not kept: the oldest is ${numbers.at(-1)}`);
    },
  };
}

function listed(folder: string): number[] {
  try {
    return readdirSync(folder).flatMap((name) => {
      const number = /^(\d{1,10})\.json$/.exec(name)?.[1];
      return number === undefined ? [] : [Number(number)];
    });
  } catch {
    return []; // nothing is kept there, which the caller says
  }
}

/** `numbers`: those that are kept, the newest first. */
function numberOf(name: string, numbers: readonly number[]): number {
  const word = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  if (/^\d{1,10}$/.test(word)) return Number(word);
  if (word !== 'previous') {
    throw new MerlonError('USAGE', `"${name}" is no generation`, {
      hint: 'write gen:NUMBER or gen:previous; `merlon policy history` lists the numbers',
    });
  }
  const previous = numbers[1];
  if (previous !== undefined) return previous;
  throw new MerlonError('NOT_FOUND', 'there is no generation before the active one');
}

/** What the agent enforced at a time: RFC 3339, or how long ago as `10m`. Throws `NOT_FOUND`, `USAGE`. */
export async function generationAt(context: Context, at: string): Promise<Generation> {
  const ago = /^(\d{1,6})([smhd])$/.exec(at);
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[ago?.[2] ?? ''] ?? 0;
  const time = ago === null ? Date.parse(at) : Date.now() - Number(ago[1]) * seconds * 1000;
  if (Number.isNaN(time)) {
    throw new MerlonError('USAGE', `--at ${at} is no time`, {
      hint: 'write it as 2026-11-21T13:36:00Z, or as how long ago: 10m, 2h, 1d',
    });
  }
  const list = await call<readonly GenerationView[]>('/v1/generations', context);
  const found = list.find(({ enforcedAt }) => Date.parse(enforcedAt) <= time);
  const oldest = list.at(-1);
  if (found === undefined) {
    const since =
      oldest === undefined ? 'nothing was enforced yet' : `the oldest kept is of ${oldest.enforcedAt}`;
    throw new MerlonError('NOT_FOUND', `what was enforced at ${at} is not kept: ${since}`, {
      hint: '`merlon policy history` lists what is',
    });
  }
  const text = await call<string>(`/v1/generations/${found.generation}`, context);
  return generationFromText(text, 'the agent');
}
