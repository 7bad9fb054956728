/**
 * What the programs weigh: instructions as loaded and as verified, and time. A hook's program goes on in stages
 * that are loaded once for all hooks: told of it alone, and of it with every stage that its packets can reach.
 */
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
  setAutoload,
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
  /** Of the whole object; of a sum, of the objects that the hook needs. */
  readonly load_ms: number;
  readonly met: boolean;
}

const TARGET = { xlated: 2500, verified: 20_000, verifierMs: 20 };
/** Objects, each with the programs that no device of the bench needs: they are loaded by themselves. */
const OBJECTS: readonly (readonly [object: string, part: 'usual' | 'layer 3'])[] = [
  ['flow', 'usual'],
  ['host', 'usual'],
  ['pod', 'usual'],
  ['xdp', 'usual'],
  ['gc', 'usual'],
  ['host', 'layer 3'],
];
const isLayer3 = (program: string) => program.endsWith('_l3');

const LOADS = 3;

/** Loads every object anew over the same maps, with the verifier's statistics; of its times the least counts. */
export function codeLines(bed: Bed, folder = 'build/bpf'): readonly CodeLine[] {
  const attached = bed.attachedTags();
  const lines = OBJECTS.flatMap(([object, part]) => {
    const [first = [], ...more] = Array.from({ length: LOADS }, () =>
      linesOf(bed, `${folder}/${object}.bpf.o`, object, part === 'layer 3', attached),
    );
    return first.map((line, i) => {
      const all = [line, ...more.map((lines) => lines[i] ?? line)];
      const verifier_ms = Math.min(...all.map((one) => one.verifier_ms));
      return {
        ...line,
        verifier_ms,
        load_ms: Math.min(...all.map((one) => one.load_ms)),
        met: isMet({ ...line, verifier_ms }),
      };
    });
  });
  return [...lines, ...HOOKS.map((hook) => sumOf(hook, lines))];
}

const HOOKS = ['host_ingress', 'host_egress', 'pod_ingress', 'pod_egress'] as const;

const isMet = (line: Pick<CodeLine, 'xlated_insns' | 'verified_insns' | 'verifier_ms'>) =>
  line.xlated_insns <= TARGET.xlated &&
  line.verified_insns <= TARGET.verified &&
  line.verifier_ms <= TARGET.verifierMs;

/** A hook's program and all that its packets can come to. */
function sumOf(hook: (typeof HOOKS)[number], lines: readonly CodeLine[]): CodeLine {
  const [object = ''] = hook.split('_');
  const parts = lines.filter(({ name }) => name === hook || name.startsWith('stage_'));
  const sum = (of: (line: CodeLine) => number) => parts.reduce((n, line) => n + of(line), 0);
  const total = {
    name: `${hook} and stages`,
    object,
    xlated_insns: sum((l) => l.xlated_insns),
    verified_insns: sum((l) => l.verified_insns),
    verifier_ms: sum((l) => l.verifier_ms),
    jited_bytes: sum((l) => l.jited_bytes),
    tag: '',
    load_ms: ['flow', object].reduce((n, o) => n + (lines.find((l) => l.object === o)?.load_ms ?? 0), 0),
  };
  return { ...total, met: isMet(total) };
}

function linesOf(
  bed: Bed,
  path: string,
  name: string,
  hasLayer3: boolean,
  attached: ReadonlyMap<string, string>,
): CodeLine[] {
  const object = openObject(path);
  try {
    for (const map of objectMaps(object))
      if (!map.isInternal && map.name in MAPS && map.name !== 'stages')
        reuseMap(object, map.name, bed.datapath.maps.fd(map.name as MapName));
    for (const program of objectPrograms(object))
      setAutoload(object, program.name, isLayer3(program.name) === hasLayer3);
    const { durationMs } = loadObject(object, { logLevel: LOG_STATS });
    const loaded = objectPrograms(object).filter((program) => program.isAutoload);
    return loaded.map((program) => {
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
  return globSync(`${folder}/lib/*.h`).flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(SEAM)].map(([, what]) => `${basename(file, '.h')}: ${what}`),
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
