/**
 * `merlon __complete WORDS…`: what may stand in the place of the last word. Verbs and flags come from the list
 * of verbs, names from the running agent; without one there are simply no names.
 */
import {
  call,
  type EndpointView,
  type GenerationView,
  type IdentityView,
  type PolicyView,
} from '#api/client';
import { FORMATS } from '../output.ts';
import type { Context, Run, Verb } from '../verb.ts';
import { VERBS } from '../verbs.ts';

const COMMON_FLAGS = ['--output', '--run-dir', '--help'];

const AUDIT = ['Enabled', 'Disabled'];

/** Verbs whose argument is the name of something that lives in the agent. */
const LIVE: Readonly<Record<string, (context: Context) => Promise<readonly string[]>>> = {
  'endpoint get': endpoints,
  'endpoint config': async (c) => [
    ...(await endpoints(c)),
    ...AUDIT.map((word) => `PolicyAuditMode=${word}`),
  ],
  'hostfw mode': async () => ['enforce', 'audit', 'failsafe', 'off'],
  config: async () => ['PolicyAuditMode=true', 'PolicyAuditMode=false'],
  'endpoint remove': endpoints,
  'bpf policy get': async (c) => ['host', ...(await endpoints(c))],
  'identity get': async (c) =>
    (await call<readonly IdentityView[]>('/v1/identities', c)).map((i) => String(i.id)),
  'policy show': generations,
  'policy get': async (c) => (await call<readonly PolicyView[]>('/v1/policies', c)).map((p) => p.name),
};

export const run: Run = async (context, words) => {
  for (const word of await candidates(context, words)) await context.output.line(word);
};

async function candidates(context: Context, words: readonly string[]): Promise<readonly string[]> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const found = await every(context, before, current);
  return [...new Set(found)].filter((w) => w.startsWith(current)).sort();
}

async function every(
  context: Context,
  before: readonly string[],
  current: string,
): Promise<readonly string[]> {
  if (['-o', '--output'].includes(before.at(-1) ?? '')) return FORMATS;
  const plain = before.filter((w) => !w.startsWith('-'));
  const verb = verbOf(plain);
  if (current.startsWith('-')) return flagsOf(verb);
  const below = VERBS.filter((v) => v.group !== 'hidden' && startsWith(v.name.split(' '), plain));
  const next = below.map((v) => v.name.split(' ')[plain.length]).filter((w) => w !== undefined);
  if (next.length > 0) return next;
  return verb === undefined ? [] : live(context, verb);
}

function verbOf(words: readonly string[]): Verb | undefined {
  for (let n = words.length; n > 0; n -= 1) {
    const found = VERBS.find((v) => v.name === words.slice(0, n).join(' '));
    if (found !== undefined) return found;
  }
  return undefined;
}

function startsWith(name: readonly string[], words: readonly string[]): boolean {
  return name.length > words.length && words.every((w, i) => name[i] === w);
}

function flagsOf(verb: Verb | undefined): readonly string[] {
  const own = (verb?.options ?? []).flatMap((o) => /--[a-z-]+/.exec(o.flags) ?? []);
  return [...own, ...COMMON_FLAGS];
}

async function live(context: Context, verb: Verb): Promise<readonly string[]> {
  try {
    return (await LIVE[verb.name]?.(context)) ?? [];
  } catch {
    // Completion has nobody to tell: without an agent there are no names.
    return [];
  }
}

async function endpoints(context: Context): Promise<readonly string[]> {
  return (await call<readonly EndpointView[]>('/v1/endpoints', context)).map((e) => e.name);
}

async function generations(context: Context): Promise<readonly string[]> {
  const rows = await call<readonly GenerationView[]>('/v1/generations', context);
  return ['previous', ...rows.map((row) => String(row.generation))];
}
