/** Debian's 6.1 kernel in QEMU: what `guest.ts` found there. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { build } from 'esbuild';
import { boot, type Run } from './boot.ts';
import { buildImage } from './image.ts';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');

async function runGuest(signal: AbortSignal): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'merlon-vm-'));
  try {
    const script = join(folder, 'guest.mjs');
    await build({
      absWorkingDir: root,
      entryPoints: [join(here, 'guest.ts')],
      outfile: script,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      logLevel: 'silent',
    });
    return await boot(buildImage({ root, folder, script }), signal);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the datapath on Debian’s 6.1 kernel – loads, attaches by clsact, judges VLAN and bond traffic', async (t) => {
  t.timeout(600_000);
  const { cases, exit, console: lines } = await runGuest(AbortSignal.timeout(590_000));
  for (const { name, ok, detail } of cases) {
    t.log(`${ok ? 'ok ' : 'NOT'} ${name}: ${detail}`);
    t.true(ok, `${name}: ${detail}`);
  }
  const tail = lines.slice(-40).join('\n');
  t.is(exit, 0, `the guest ended with ${exit}:\n${tail}`);
  t.true(cases.length >= 5, `the guest came to ${cases.length} cases only:\n${tail}`);
});
