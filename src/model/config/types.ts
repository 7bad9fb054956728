/** Types of configuration values: what they read, their range, and how a person sees them named. */
import { type Cidr, formatCidr, parseCidrOrIp } from '#kit/ip';
import { labelKeyProblem, labelValueProblem } from '#kit/labels';
import { re2 } from '#kit/re2';
import { formatDuration, parseDuration, parseSize } from '#kit/units';
import {
  describe,
  fail,
  type Place,
  quote,
  readAnyMap,
  readBoolean,
  readInteger,
  readList,
  readText,
  readTextOrNumber,
  readWord,
} from '../document/index.ts';
import { splitLabelFilterEntry } from '../labels.ts';

/** A type: reads a value or notes a problem and returns undefined. */
export interface Type<T> {
  /** As documents name it: type and range. */
  readonly name: string;
  readonly read: (place: Place) => T | undefined;
  /** Maps from several files are merged, all else is replaced. */
  readonly merges?: true;
  /** The value as a person would write it, where it is kept in another form. */
  format?(value: T): string;
}

const CODE = 'CONFIG_VALUE';

/** `true` or `false`. */
export const bool: Type<boolean> = { name: 'true or false', read: readBoolean };

/** Any text. */
export const text: Type<string> = { name: 'text', read: readText };

/** One of these words. */
export function word<const W extends string>(...words: readonly W[]): Type<W> {
  return { name: words.join(', '), read: (place) => readWord(place, words, CODE) };
}

/** A whole number, both bounds included. */
export function integer(min: number, max: number): Type<number> {
  return { name: `${min} to ${max}`, read: (place) => readInteger(place, min, max) };
}

/** Seconds as a plain number, where Cilium's option is one. */
export function seconds(min = 0, max = 2 ** 31 - 1): Type<number> {
  return { name: `seconds, ${min} to ${max}`, read: (place) => readInteger(place, min, max) };
}

/** A port; 0 where that means "chosen". */
export function port(min: 0 | 1 = 1): Type<number> {
  return { name: `port, ${min} to 65535`, read: (place) => readInteger(place, min, 65535) };
}

/** A duration with unit, in milliseconds. */
export function duration(minMs = 0, maxMs = 10 * 365 * 86_400_000): Type<number> {
  const range = `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return {
    name: `duration, ${range}`,
    format: formatDuration,
    read: (place) => {
      const written = readTextOrNumber(place);
      if (written === undefined) return undefined;
      const ms = parseDuration(written);
      if (ms === undefined)
        return fail(place, CODE, `${quote(written)} is no duration`, 'write it as 30s, 5m or 24h');
      if (ms >= minMs && ms <= maxMs) return ms;
      return fail(place, CODE, `${written} is not between ${range.replace(' to ', ' and ')}`);
    },
  };
}

/** Bytes: a number, or text with a unit. */
export const bytes: Type<number> = {
  name: 'bytes',
  read: (place) => {
    const written = readTextOrNumber(place);
    const size = written === undefined ? undefined : parseSize(written);
    if (written === undefined || size !== undefined) return size;
    return fail(place, CODE, `${quote(written)} is no size`, 'write it as 65536 or 64MiB');
  },
};

/** Text that fits a pattern. */
export function matching(name: string, pattern: RegExp, example: string): Type<string> {
  return {
    name,
    read: (place) => {
      const written = readText(place);
      if (written === undefined || pattern.test(written)) return written;
      return fail(place, CODE, `${quote(written)} is not ${name}`, `for example ${example}`);
    },
  };
}

/** An absolute path. */
export const path: Type<string> = matching('an absolute path', /^\/[^\0]*$/, '/etc/merlon/manifests.d');

/** Name of a network device. */
export const device: Type<string> = matching('a device name', /^[^\s/:,]{1,15}$/, 'eth0');

/** A pattern for device names; `*` any text, `+` at the end the same, `!` before it excludes. */
export const devicePattern: Type<string> = matching(
  'a device pattern',
  /^!?[^\s/,!]{1,20}$/,
  'eth+ or !eth3',
);

/** `host:port`, `:port`, or empty for off. */
export const listenAddress: Type<string> = matching(
  'an address with port',
  /^$|^(\[[0-9a-fA-F:.]+\]|[^\s:]*):\d{1,5}$/,
  ':4244',
);

/** A prefix or an address, as canonical text with length. */
export const cidr: Type<string> = {
  name: 'CIDR',
  read: (place) => {
    const written = readText(place);
    if (written === undefined) return undefined;
    const parsed: Cidr | undefined = parseCidrOrIp(written);
    if (parsed !== undefined) return formatCidr(parsed);
    return fail(place, CODE, `${quote(written)} is no CIDR`, 'write it as 10.0.0.0/8 or fd00::/8');
  },
};

/** One entry of the filter of identity labels. */
export const labelFilterEntry: Type<string> = {
  name: '[source:][!]regular expression',
  read: (place) => {
    const written = readText(place);
    if (written === undefined) return undefined;
    const { pattern } = splitLabelFilterEntry(written);
    const found = pattern === '' ? { fault: 'it names no key' } : re2(pattern);
    if (!('fault' in found)) return written;
    const message = `${quote(written)} is no entry of a label filter: ${found.fault}`;
    return fail(place, CODE, message, 'write it as k8s:app or !io\\.kubernetes');
  },
};

/** A list; an item that is wrong spoils it. */
export function list<T>(item: Type<T>): Type<readonly T[]> {
  return {
    name: `list of ${item.name}`,
    read: (place) => {
      const items = readList(place, item.name);
      const values = items?.map(item.read).filter((v) => v !== undefined);
      return values === undefined || values.length < (items?.length ?? 0) ? undefined : values;
    },
  };
}

/** A list that may also be written as one text with separators between, as in a ConfigMap. */
export function textList<T>(item: Type<T>, separator: RegExp): Type<readonly T[]> {
  const asList = list(item);
  return {
    name: asList.name,
    read: (place) => {
      const { tree } = place;
      if (tree.kind !== 'scalar' || typeof tree.value !== 'string') return asList.read(place);
      const parts = tree.value.split(separator).filter((part) => part !== '');
      const items = parts.map((part) => ({ kind: 'scalar' as const, at: tree.at, value: part, text: part }));
      return asList.read({ ...place, tree: { kind: 'list', at: tree.at, items } });
    },
  };
}

/** The first type that fits the value's shape. */
export function either<A, B>(a: Type<A>, isA: (place: Place) => boolean, b: Type<B>): Type<A | B> {
  return { name: `${a.name}, or ${b.name}`, read: (place) => (isA(place) ? a.read(place) : b.read(place)) };
}

/** Whether the value is written as plain text. */
export function isText(place: Place): boolean {
  return place.tree.kind === 'scalar' && typeof place.tree.value === 'string';
}

/** A map of Kubernetes labels. A list is the trap of Cilium's option of the same name. */
export const labelMap: Type<Readonly<Record<string, string>>> = {
  name: 'map of labels',
  merges: true,
  read: (place) => {
    if (place.tree.kind === 'list') {
      return fail(
        place,
        CODE,
        'expected the labels of the node (a map), found a list',
        'the filter of identity labels, which Cilium calls labels, is identityLabels here',
      );
    }
    const entries = readAnyMap(place, 'labels');
    if (entries === undefined) return undefined;
    const out: [string, string][] = [];
    for (const [key, { keyPlace, value }] of entries) {
      const label = value === undefined ? '' : readText(value);
      const fault = labelKeyProblem(key) ?? (label === undefined ? undefined : labelValueProblem(label));
      if (fault !== undefined)
        fail(keyPlace, CODE, `${quote(`${key}=${label ?? ''}`)} is no label: ${fault}`);
      else if (label !== undefined) out.push([key, label]);
    }
    return out.length === entries.size ? Object.fromEntries(out) : undefined;
  },
};

/** A value of a feature that does not exist yet: only its presence matters. */
export function later(name: string): Type<unknown> {
  return { name, read: (place) => describe(place.tree) };
}
