/** What the programs weigh: instructions as loaded and as verified, time, and memory of rule sets. */
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import {
  closeObject,
  loadObject,
  objectMaps,
  objectPrograms,
  openObject,
  progInfo,
  programFd,
  programLog,
  reuseMap,
  LOG_STATS,
} from '#native';
import { type MapName, MAPS } from '#wire/bpf';
import type { Bed } from './bed.ts';
import { table } from './report.ts';

/** One program. */
export interface CodeLine {
  readonly name: string;
  readonly object: string;
  readonly xlated_insns: number;
  readonly verified_insns: number;
  readonly verifier_ms: number;
  readonly jited_bytes: number;
  readonly tag: string;
  /** Tag of what hangs at the devices; programs that hang nowhere here have none. */
  readonly attached_tag?: string;
  /** Of the whole object. */
  readonly load_ms: number;
  readonly met: boolean;
}

const TARGET = { xlated: 2500, verified: 20_000, verifierMs: 20 };
const OBJECTS = ['host', 'pod', 'xdp', 'gc'];

const LOADS = 3;

/** Loads every object anew over the same maps, with the verifier's statistics; of its times the least counts. */
export function codeLines(bed: Bed, folder = 'build/bpf'): readonly CodeLine[] {
  const attached = bed.attachedTags();
  return OBJECTS.flatMap((object) => {
    const [first = [], ...more] = Array.from({ length: LOADS }, () =>
      linesOf(bed, `${folder}/${object}.bpf.o`, object, attached),
    );
    return first.map((line, i) => {
      const all = [line, ...more.map((lines) => lines[i] ?? line)];
      const verifier_ms = Math.min(...all.map((one) => one.verifier_ms));
      return {
        ...line,
        verifier_ms,
        load_ms: Math.min(...all.map((one) => one.load_ms)),
        met:
          line.xlated_insns <= TARGET.xlated &&
          line.verified_insns <= TARGET.verified &&
          verifier_ms <= TARGET.verifierMs,
      };
    });
  });
}

function linesOf(bed: Bed, path: string, name: string, attached: ReadonlyMap<string, string>): CodeLine[] {
  const object = openObject(path);
  try {
    for (const map of objectMaps(object))
      if (!map.isInternal && map.name in MAPS)
        reuseMap(object, map.name, bed.datapath.maps.fd(map.name as MapName));
    const { durationMs } = loadObject(object, { logLevel: LOG_STATS });
    return objectPrograms(object).map((program) => {
      const info = progInfo(programFd(object, program.name));
      const micros = /verification time (\d+) usec/.exec(programLog(object, program.name))?.[1];
      const verifierMs = Number(micros ?? Number.NaN) / 1000;
      const xlated = info.xlatedBytes / 8;
      const there = attached.get(info.name);
      return {
        name: program.name,
        object: name,
        xlated_insns: xlated,
        verified_insns: info.verifiedInstructions,
        verifier_ms: verifierMs,
        jited_bytes: info.jitedBytes,
        tag: info.tag,
        ...(there === undefined ? {} : { attached_tag: there }),
        load_ms: Number(durationMs.toFixed(1)),
        met: false,
      };
    });
  } finally {
    closeObject(object);
  }
}

const SEAM = /\/\* seam: ([^*]+?) \*\//g;

/** Stages that are still empty: marked in the source by a comment each, so that they have no instruction. */
export function emptyStages(folder = 'bpf'): readonly string[] {
  return globSync(`${folder}/*.bpf.c`).flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(SEAM)].map(([, what]) => `${basename(file, '.bpf.c')}: ${what}`),
  );
}

export function codeTable(lines: readonly CodeLine[]): string {
  const head = [
    'program',
    'xlated',
    'verified',
    'verifier ms',
    'jited bytes',
    'load ms',
    'tag',
    'attached',
    '',
  ];
  return table(
    head,
    lines.map((l) => [
      l.name,
      String(l.xlated_insns),
      String(l.verified_insns),
      l.verifier_ms.toFixed(2),
      String(l.jited_bytes),
      l.load_ms.toFixed(1),
      l.tag,
      l.attached_tag === undefined ? '' : l.attached_tag === l.tag ? 'same' : 'DIFFERS',
      l.met ? 'met' : 'MISSED',
    ]),
  );
}
