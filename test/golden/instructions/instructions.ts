/**
 * How many instructions the floors of the benchmark and the datapath's programs have, as compiled and as this
 * kernel runs them: `node test/golden/instructions/instructions.ts --update` writes the goldens anew.
 */
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import {
  closeObject,
  loadObject,
  objectMaps,
  objectPrograms,
  openObject,
  progInfo,
  programFd,
  setMapMaxEntries,
} from '#native';
import { compileBpf, compileBpfFile } from '../../../deploy/compile.ts';

/** Program → its instructions. */
export interface Golden {
  /** The kernel that `loaded` is of: another one inlines otherwise. */
  readonly kernel: string;
  readonly compiled: Readonly<Record<string, number>>;
  readonly loaded: Readonly<Record<string, number>>;
}

/** Golden file → the objects that it is about. */
export const GOLDENS: Readonly<Record<string, readonly string[]>> = {
  floors: ['build/bench/floors.bpf.o'],
  datapath: ['flow', 'host', 'pod', 'xdp', 'gc'].map((name) => `build/bpf/${name}.bpf.o`),
};

const SMALL = 64;
const RINGBUF = 27;
const LEAST_RING = 4096;

/** Loads the objects with maps as small as can be. */
export function instructionsOf(paths: readonly string[]): Golden {
  const compiled: Record<string, number> = {};
  const loaded: Record<string, number> = {};
  for (const path of paths) {
    const object = openObject(path);
    try {
      for (const { name, type, maxEntries, isInternal } of objectMaps(object)) {
        const least = type === RINGBUF ? LEAST_RING : SMALL;
        // Arrays that programs index by constants keep their size: the verifier knows it.
        if (!isInternal && maxEntries > 2 ** 17) setMapMaxEntries(object, name, least);
      }
      loadObject(object);
      for (const { name, instructions } of objectPrograms(object)) {
        compiled[name] = instructions;
        loaded[name] = progInfo(programFd(object, name)).xlatedBytes / 8;
      }
    } finally {
      closeObject(object);
    }
  }
  return { kernel: release(), compiled, loaded };
}

/** Compiles what the goldens are about. */
export async function compileAll(): Promise<void> {
  await compileBpf();
  await compileBpfFile('test/bench/datapath/floors.bpf.c', 'build/bench/floors.bpf.o');
}

export const goldenFile = (name: string) => new URL(`${name}.ok`, import.meta.url);

if (import.meta.main) {
  await compileAll();
  for (const [name, paths] of Object.entries(GOLDENS))
    if (process.argv.includes('--update'))
      writeFileSync(goldenFile(name), `${JSON.stringify(instructionsOf(paths), null, 2)}\n`);
    else console.log(JSON.stringify(instructionsOf(paths)));
}
