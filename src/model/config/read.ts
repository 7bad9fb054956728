/**
 * NodeConfig: texts → one configuration (HF-10.6). Several files are one: later wins, maps are merged, lists
 * replaced. Everything wrong in any file is reported, and then nothing of it counts.
 */
import { isDeepStrictEqual } from 'node:util';
import type { SourceAt } from '#kit/errors';
import { nearest } from '#kit/nearest';
import {
  errorFromProblem,
  fail,
  parseTrees,
  type Place,
  placeAt,
  type Problem,
  quote,
  readAnyMap,
  readText,
  type Report,
  rootPlace,
} from '../document/index.ts';
import type { Warning } from '../findings.ts';
import type { Key } from './key.ts';
import { CONFIG_KEY_NAMES, CONFIG_KEYS, type ConfigKey, type ConfigValues } from './keys.ts';

/** Text of a configuration file. */
export interface ConfigText {
  readonly file: string;
  readonly text: string;
}

/** A key's value and who set it. */
export interface ConfigEntry {
  readonly key: ConfigKey;
  readonly value: unknown;
  /** The value as a person would write it. */
  readonly shown: unknown;
  /** Absent: the default. */
  readonly at: SourceAt | undefined;
}

/** The configuration of a node. */
export interface NodeConfig {
  /** Kubernetes mode = `sources.kubernetes` is there. */
  readonly mode: 'standalone' | 'kubernetes';
  readonly values: ConfigValues;
  /** Every key, in the order of the documentation. */
  readonly entries: readonly ConfigEntry[];
}

/** What reading came to: a configuration exactly when there are no problems. */
export interface ConfigResult {
  readonly config: NodeConfig | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}

interface Setting {
  readonly value: unknown;
  readonly at: SourceAt;
  readonly place: Place;
}

/** Spelling → key, for every key and alias. */
const SPELLINGS: ReadonlyMap<string, ConfigKey> = new Map(
  CONFIG_KEY_NAMES.flatMap((name) => [name, ...CONFIG_KEYS[name].aliases].map((s) => [s, name] as const)),
);
/** Maps that have keys in them: `hostfw`, `hostfw.ct`, … */
const GROUPS: ReadonlySet<string> = new Set(
  [...SPELLINGS.keys()].flatMap((s) => {
    const parts = s.split('.');
    return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'));
  }),
);

/** The configuration that these texts make, in this order. */
export function readNodeConfig(texts: readonly ConfigText[]): ConfigResult {
  const problems: Problem[] = [];
  const warnings: Warning[] = [];
  const settings = new Map<ConfigKey, Setting>();
  let isKubernetes = false;
  for (const { file, text } of texts) {
    for (const document of parseTrees(text, {
      file,
      syntaxCode: 'CONFIG_SYNTAX',
      tooLargeCode: 'CONFIG_SYNTAX',
    })) {
      if (document.problem !== undefined) problems.push(document.problem);
      if (document.tree === undefined) continue;
      const codes = { schema: 'CONFIG_SCHEMA', unknownKey: 'CONFIG_UNKNOWN_KEY' } as const;
      const report: Report = { file, codes, problems: [], warnings: [] };
      const found = readFile(rootPlace(document.tree, report));
      isKubernetes ||= found.isKubernetes;
      merge(settings, found.settings);
      problems.push(...report.problems);
      warnings.push(...report.warnings);
    }
  }
  const mode = isKubernetes ? 'kubernetes' : 'standalone';
  const entries = CONFIG_KEY_NAMES.map((key): ConfigEntry => {
    const setting = settings.get(key);
    const value = setting === undefined ? CONFIG_KEYS[key][mode] : setting.value;
    const { type } = CONFIG_KEYS[key];
    const shown = value === undefined ? value : (type.format?.(value) ?? value);
    return { key, value, shown, at: setting?.at };
  });
  problems.push(...unsupported(settings, mode), ...contradictions(settings));
  const values = Object.fromEntries(entries.map(({ key, value }) => [key, value])) as unknown as ConfigValues;
  const config = problems.length > 0 ? undefined : ({ mode, values, entries } as const);
  return { config, problems, warnings };
}

/** The configuration, or the first problem thrown. */
export function nodeConfigOf(texts: readonly ConfigText[]): NodeConfig {
  const { config, problems } = readNodeConfig(texts);
  const [problem] = problems;
  if (problem !== undefined) throw errorFromProblem(problem);
  return config as NodeConfig;
}

/** Names of the keys that differ, and of those among them that take effect at the next start only. */
export function configChanges(
  before: NodeConfig,
  after: NodeConfig,
): { readonly changed: readonly ConfigKey[]; readonly needsRestart: readonly ConfigKey[] } {
  const changed = CONFIG_KEY_NAMES.filter((key) => !isDeepStrictEqual(before.values[key], after.values[key]));
  return { changed, needsRestart: changed.filter((key) => CONFIG_KEYS[key].restart) };
}

function merge(settings: Map<ConfigKey, Setting>, found: ReadonlyMap<ConfigKey, Setting>): void {
  for (const [key, setting] of found) {
    const before = settings.get(key);
    const merges = CONFIG_KEYS[key].type.merges === true && before !== undefined;
    const value = merges ? { ...(before.value as object), ...(setting.value as object) } : setting.value;
    settings.set(key, { ...setting, value });
  }
}

function readFile(root: Place): { settings: Map<ConfigKey, Setting>; isKubernetes: boolean } {
  const settings = new Map<ConfigKey, Setting>();
  const entries = readAnyMap(root, 'a NodeConfig');
  if (entries === undefined) return { settings, isKubernetes: false };
  const isOurs = checkHeader(root, 'apiVersion', 'merlon.io/v1') && checkHeader(root, 'kind', 'NodeConfig');
  if (isOurs) readGroup(root, '', settings);
  const sources = entries.get('sources')?.value;
  const kubernetes =
    sources?.tree.kind === 'map' ? readAnyMap(sources, 'sources')?.get('kubernetes') : undefined;
  const isKubernetes = kubernetes !== undefined;
  if (isKubernetes && !settings.has('sources.kubernetes.kubeconfig')) {
    const hint = 'remove it; manifests come from sources.directory';
    fail(kubernetes.keyPlace, 'NOT_SUPPORTED_YET', 'reading from Kubernetes is not supported yet', hint);
  }
  return { settings, isKubernetes };
}

function checkHeader(root: Place, key: string, want: string): boolean {
  const place = readAnyMap(root, 'a NodeConfig')?.get(key)?.value;
  if (place === undefined) {
    fail(root, 'CONFIG_SCHEMA', `${key} is missing`, `write ${key}: ${want}`);
    return false;
  }
  const text = readText(place);
  if (text !== undefined && text !== want)
    fail(place, 'CONFIG_SCHEMA', `${quote(text)} is not ${want}`, `write ${key}: ${want}`);
  return text === want;
}

function readGroup(group: Place, prefix: string, settings: Map<ConfigKey, Setting>): void {
  for (const [name, { keyPlace, value }] of readAnyMap(group, 'settings') ?? []) {
    const spelling = prefix === '' ? name : `${prefix}.${name}`;
    if (prefix === '' && (name === 'apiVersion' || name === 'kind' || name === 'metadata')) continue;
    const key = SPELLINGS.get(spelling);
    const isGroup = GROUPS.has(spelling);
    if (key === undefined && !isGroup) unknownKey(keyPlace, name, prefix);
    else if (value === undefined) continue;
    else if (isGroup && (key === undefined || value.tree.kind === 'map'))
      readGroup(value, spelling, settings);
    else if (key !== undefined) readSetting(value, keyPlace, key, spelling, settings);
  }
}

function readSetting(
  place: Place,
  keyPlace: Place,
  key: ConfigKey,
  spelling: string,
  settings: Map<ConfigKey, Setting>,
): void {
  const before = settings.get(key);
  if (before !== undefined) {
    const line = before.at.line ?? 0;
    fail(
      keyPlace,
      'CONFIG_CONFLICT',
      `${spelling} and line ${line} set the same key ${key}`,
      'keep one of them',
    );
    return;
  }
  const count = place.report.problems.length;
  const value = CONFIG_KEYS[key].type.read(place);
  if (value === undefined || place.report.problems.length > count) return;
  settings.set(key, { value, at: placeAt(keyPlace), place: keyPlace });
}

/** Children of the group first, then every key by its whole name. */
function unknownKey(place: Place, name: string, prefix: string): void {
  const start = prefix === '' ? '' : `${prefix}.`;
  const here = new Set(
    [...SPELLINGS.keys(), ...GROUPS]
      .filter((s) => s.startsWith(start))
      .map((s) => s.slice(start.length).split('.')[0] ?? ''),
  );
  const near = nearest(name, here) ?? nearest(start + name, SPELLINGS.keys());
  const elsewhere = [...SPELLINGS.keys()].find((s) => s.endsWith(`.${name}`));
  const hint =
    near !== undefined
      ? `did you mean ${near}?`
      : elsewhere !== undefined
        ? `did you mean ${elsewhere}?`
        : 'see `merlon config view` for all keys';
  fail(place, 'CONFIG_UNKNOWN_KEY', `unknown key${prefix === '' ? '' : ` in ${prefix}`}`, hint);
}

/** One sentence for each key that is set to something that would do nothing. */
function unsupported(settings: ReadonlyMap<ConfigKey, Setting>, mode: NodeConfig['mode']): Problem[] {
  const out: Problem[] = [];
  for (const [key, { value, at }] of settings) {
    const known = CONFIG_KEYS[key];
    if (isSupported(known, value, mode)) continue;
    const isWord = typeof value === 'string' && known.support !== 'default';
    const what = isWord
      ? `${key}: ${value}`
      : known[mode] === undefined
        ? key
        : `${key}, set to anything but its default,`;
    out.push({
      code: 'NOT_SUPPORTED_YET',
      message: `${what} is not supported yet`,
      at,
      hint: supportHint(known, mode),
    });
  }
  return out;
}

function isSupported(known: Key<unknown>, value: unknown, mode: NodeConfig['mode']): boolean {
  if (known.support === 'all' || isDeepStrictEqual(value, known[mode])) return true;
  return known.support !== 'default' && known.support.some((v) => isDeepStrictEqual(v, value));
}

function supportHint(known: Key<unknown>, mode: NodeConfig['mode']): string {
  const value = known[mode];
  if (value === undefined) return 'remove it';
  const values =
    known.support === 'default' || known.support === 'all'
      ? [value]
      : [...new Set([value, ...known.support])];
  return `remove it, or write ${values.map((v) => JSON.stringify(v)).join(' or ')}`;
}

/** Settings that are each valid, but not together. */
function contradictions(settings: ReadonlyMap<ConfigKey, Setting>): Problem[] {
  const out: Problem[] = [];
  const entries = settings.get('failsafe.entries');
  const isEmpty = Array.isArray(entries?.value) && entries.value.length === 0;
  if (entries !== undefined && isEmpty && settings.get('failsafe.iUnderstand')?.value !== true) {
    out.push({
      code: 'CONFIG_CONFLICT',
      message: 'failsafe.entries is empty: nothing would keep a way in open',
      at: entries.at,
      hint: 'list entries, write auto, or set failsafe.iUnderstand: true',
    });
  }
  const v4 = settings.get('enable-ipv4');
  const v6 = settings.get('enable-ipv6');
  if (v4?.value === false && v6?.value === false) {
    out.push({
      code: 'CONFIG_CONFLICT',
      message: 'enable-ipv4 and enable-ipv6 are both false',
      at: v6.at,
      hint: 'keep one of them on',
    });
  }
  return out;
}
