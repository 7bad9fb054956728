/**
 * Goldens: what an input must become, as checked-in text. Without arguments compares and prints what differs;
 * with `--update` rewrites, and the difference is reviewed like code.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifestGolden } from '../test/golden/manifest/golden.ts';
import { policyGolden } from '../test/golden/policy/golden.ts';

interface Kind {
  readonly folder: string;
  readonly ending: string;
  readonly make: (text: string) => string | Promise<string>;
}

/** Folders of test/golden, each with how an input becomes its result. */
const kinds: Kind[] = [
  { folder: 'policy', ending: '.ok', make: policyGolden },
  { folder: 'manifest', ending: '.err', make: manifestGolden },
];
await using stack = new AsyncDisposableStack();
if (process.getuid?.() === 0) {
  const { Bed } = await import('../test/packet/oracle/bed.ts');
  const { loadedGolden } = await import('../test/golden/policy/loaded.ts');
  const bed = stack.use(await Bed.open({ ipv4: true, ipv6: true }));
  kinds.push({ folder: 'policy', ending: '.loaded', make: (text) => loadedGolden(bed, text) });
} else console.log('left out: what the kernel holds after loading, which needs root');

const root = join(import.meta.dirname, '..', 'test', 'golden');
const update = process.argv.includes('--update');
let different = 0;
let same = 0;
for (const { folder, ending, make } of kinds) {
  for (const file of readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.in.yaml'))
    .sort()) {
    const input = join(root, folder, file);
    const output = input.replace(/\.in\.yaml$/, ending);
    const want = await make(readFileSync(input, 'utf8'));
    if (readOrNothing(output) === want) {
      same++;
      continue;
    }
    different++;
    if (update) writeFileSync(output, want);
    if (!update)
      console.log(spawnSync('diff', ['-u', output, '-'], { input: want, encoding: 'utf8' }).stdout);
    console.log(
      `${update ? 'rewritten' : 'differs'}: test/golden/${folder}/${file.replace('.in.yaml', ending)}`,
    );
  }
}
console.log(`${same} as checked in, ${different} ${update ? 'rewritten' : 'different'}`);
if (different > 0 && !update) process.exitCode = 1;

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
