/**
 * `merlon __complete WORDS…`: what may stand in the place of the last word. Verbs and flags come from the list
 * of verbs, names from the running agent; without one there are simply no names.
 */
import {
  call,
  type DeviceView,
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

type Names = (context: Context) => Promise<readonly string[]>;

/** Verbs whose argument is the name of something that lives in the agent. */
const LIVE: Readonly<Record<string, Names>> = {
  'endpoint get': endpoints,
  'endpoint config': async (c) => [
    ...(await endpoints(c)),
    ...AUDIT.map((word) => `PolicyAuditMode=${word}`),
  ],
  'hostfw mode': async () => ['enforce', 'audit', 'failsafe', 'off'],
  config: async () => ['PolicyAuditMode=true', 'PolicyAuditMode=false'],
  'endpoint remove': endpoints,
  'bpf policy get': async (c) => ['host', ...(await endpoints(c))],
  'identity get': identities,
  'policy show': generations,
  'policy diff': generationNames,
  'policy get': async (c) => (await call<readonly PolicyView[]>('/v1/policies', c)).map((p) => p.name),
};

/** Flags whose value is one of few words, or the name of something that lives in the agent. */
const VALUES: Readonly<Record<string, Names>> = {
  '--from': endpointPaths,
  '--to': endpointPaths,
  '--src-k8s-pod': endpointPaths,
  '--dst-k8s-pod': endpointPaths,
  '--src-endpoint': endpoints,
  '--dst-endpoint': endpoints,
  '--src-identity': identities,
  '--dst-identity': identities,
  '--dev': async (c) => (await call<readonly DeviceView[]>('/v1/devices', c)).map((d) => d.name),
  '--dir': async () => ['in', 'out'],
  '--direction': async () => ['ingress', 'egress'],
  '--protocol': async () => ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6', 'VRRP', 'IGMP'],
  '--verdict': async () => ['ALLOWED', 'DENIED', 'DROPPED', 'REVOKED', 'AUDIT', 'REDIRECTED'],
};

export const run: Run = async (context, words) => {
  const named = words.indexOf('--run-dir');
  const runDir = named >= 0 && named < words.length - 2 ? words[named + 1] : undefined;
  const asked = runDir === undefined ? context : { ...context, runDir };
  for (const word of await candidates(asked, words)) await context.output.line(word);
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
  const verb = verbOf(before.filter((w) => !w.startsWith('-')));
  const plain = before.filter((word, i) => !word.startsWith('-') && !takesValue(verb, before[i - 1] ?? ''));
  const flag = before.at(-1) ?? '';
  if (OUTPUT.includes(flag)) return [...FORMATS, ...(verb?.formats ?? [])];
  if (takesValue(verb, flag)) return live(context, VALUES[flag], verb);
  if (current.startsWith('-')) return flagsOf(verb);
  const below = PRESENT.filter((v) => startsWith(v.name.split(' '), plain));
  const next = below.map((v) => v.name.split(' ')[plain.length]).filter((w) => w !== undefined);
  if (next.length > 0) return next;
  return verb === undefined || hasAll(verb, plain) ? [] : live(context, LIVE[verb.name], verb);
}

const OUTPUT = ['-o', '--output'];
const PRESENT = VERBS.filter((verb) => verb.load !== undefined && verb.group !== 'hidden');

function verbOf(words: readonly string[]): Verb | undefined {
  for (let n = words.length; n > 0; n -= 1) {
    const found = PRESENT.find((v) => v.name === words.slice(0, n).join(' '));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether every argument of the verb is there. */
function hasAll({ name, args = '' }: Verb, plain: readonly string[]): boolean {
  if (args.includes('...')) return false;
  const most = args === '' ? 0 : args.split(' ').length;
  return plain.length - name.split(' ').length >= most;
}

function startsWith(name: readonly string[], words: readonly string[]): boolean {
  return name.length > words.length && words.every((w, i) => name[i] === w);
}

function flagsOf(verb: Verb | undefined): readonly string[] {
  const own = (verb?.options ?? []).flatMap((o) => /--[a-z-]+/.exec(o.flags) ?? []);
  return [...own, ...COMMON_FLAGS];
}

/** Whether the next word belongs to the flag: nothing else may stand there, at most a file. */
function takesValue(verb: Verb | undefined, flag: string): boolean {
  if (flag === '--run-dir' || OUTPUT.includes(flag)) return true;
  const flags = (verb?.options ?? []).filter(({ flags }) => flags.includes('<')).map(({ flags }) => flags);
  return flags.some((one) => one.split(/[ ,]+/).includes(flag));
}

async function live(context: Context, names: Names | undefined, verb: Verb | undefined) {
  // What `diff` compares with is a file or a generation.
  const asked = names === endpointPaths && verb?.name === 'policy diff' ? generationNames : names;
  try {
    return (await asked?.(context)) ?? [];
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

async function generationNames(context: Context): Promise<readonly string[]> {
  return (await generations(context)).map((name) => `gen:${name}`);
}

async function endpointPaths(context: Context): Promise<readonly string[]> {
  const rows = await call<readonly EndpointView[]>('/v1/endpoints', context);
  return rows.map(({ namespace, name }) => `${namespace}/${name}`);
}

async function identities(context: Context): Promise<readonly string[]> {
  return (await call<readonly IdentityView[]>('/v1/identities', context)).map((i) => String(i.id));
}
