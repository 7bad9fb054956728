/** Reads every hostile document and prints a line for each: what it took and what it found. */
import { readCase } from '#cases';
import { decodeUtf8 } from '#kit/utf8';
import { readNodeConfig } from '#model/config';
import { DEFAULT_PARSE_OPTIONS, parseManifest } from '#model/parse';
import { HOSTILE } from './hostile.ts';

export interface Reading {
  readonly name: string;
  /** Of reading it as a manifest. */
  readonly cpuMs: number;
  /** Of the process so far. */
  readonly peakMegabytes: number;
  /** Faults without line and column. */
  readonly unplaced: readonly string[];
  /** Signs of the longest message. */
  readonly longest: number;
}

interface Fault {
  readonly at: { readonly line?: number; readonly column?: number };
  readonly message: string;
}

const file = 'hostile.yaml';

function manifestFaults(bytes: Uint8Array): readonly Fault[] {
  const decoded = decodeUtf8(bytes);
  if ('line' in decoded) return [{ at: decoded, message: 'the file is not UTF-8 text' }];
  const objects = parseManifest(decoded.text, { ...DEFAULT_PARSE_OPTIONS, file });
  return objects.flatMap((object) => object.problems);
}

function otherFaults(bytes: Uint8Array): readonly Fault[] {
  const decoded = decodeUtf8(bytes);
  if ('line' in decoded) return [];
  const { text } = decoded;
  const asCase = readCase(text, file, () => ({ file, text: '' })).problems;
  return [...asCase, ...readNodeConfig([{ file, text }]).problems];
}

for (const [name, make] of HOSTILE) {
  const bytes = make();
  const before = process.cpuUsage();
  const manifest = manifestFaults(bytes);
  const { user, system } = process.cpuUsage(before);
  const faults = [...manifest, ...otherFaults(bytes)];
  const reading: Reading = {
    name,
    cpuMs: Math.round((user + system) / 1000),
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1000),
    unplaced: faults.filter(({ at }) => !at.line || !at.column).map(({ message }) => message),
    longest: Math.max(0, ...faults.map(({ message }) => message.length)),
  };
  process.stdout.write(`${JSON.stringify(reading)}\n`);
}
