/**
 * The parser, and all ways from a frame to a packet against one another, under libFuzzer: for a bounded number of
 * inputs, beginning with frames of every kind and with what was kept.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import {
  authentication,
  destinationOptions,
  ethernet,
  fragment6,
  frame,
  hopByHop,
  icmp,
  ip,
  ipv4,
  ipv6,
  routing,
  sctp,
  tcp,
  udp,
  vlan,
} from '../packet/builder.ts';

const run = promisify(execFile);
const V4 = { src: '192.0.2.9', dst: '192.0.2.1' };
const V6 = { src: '2001:db8::9', dst: '2001:db8::1' };

const seeds: readonly Uint8Array[] = [
  frame(ethernet(), ip(V4), tcp({ src: 1, dst: 80, flags: 'S' })),
  frame(
    ethernet(),
    vlan(7, 0x88a8),
    vlan(8),
    ipv4({ ...V4, options: [148, 4, 0, 0, 131, 3, 4, 0] }),
    udp({ src: 1, dst: 53 }),
  ),
  frame(ethernet(), ipv4({ ...V4, more: true, id: 7 }), udp({ src: 1, dst: 53, data: 8 })),
  frame(
    ethernet(),
    ipv6(V6),
    hopByHop(),
    routing(2),
    destinationOptions(1),
    authentication(),
    fragment6({ more: true }),
    tcp({ src: 1, dst: 80 }),
  ),
  frame(ethernet(), ipv6(V6), icmp({ protocol: 58, type: 1 }), ip(V6), udp({ src: 1, dst: 2 })),
  frame(ethernet(), ip(V4), icmp({ protocol: 1, type: 8, id: 5 })),
  frame(ethernet(), ip(V6), sctp({ src: 1, dst: 2 })),
];

/** Source, what must hold, how many inputs, and the bytes of options before a frame. */
const HARNESSES: readonly (readonly [
  name: string,
  what: string,
  runs: number,
  options: (i: number) => number[],
])[] = [
  ['parse', 'no input makes it read beyond the frame or contradict itself', 200_000, () => [0]],
  ['paths', 'the fast path, the intake and the parser say the same of every input', 2_000_000, (i) => [1, i]],
];

for (const [name, what, runs, options] of HARNESSES)
  test.serial(`${name} – ${what}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ml-fuzz-'));
    try {
      const corpus = join(folder, 'corpus');
      const kept = `test/fuzz/corpus/${name}`;
      mkdirSync(corpus);
      for (const [i, bytes] of seeds.entries())
        writeFileSync(join(corpus, `seed-${i}`), Uint8Array.of(...options(i), ...bytes));
      for (const one of readdirSync(kept)) writeFileSync(join(corpus, one), readFileSync(join(kept, one)));
      const program = await compile(name, folder);
      const seed = process.env['MERLON_SEED'] ?? '0';
      const limits = [`-runs=${runs}`, `-seed=${seed}`, '-max_len=512'];
      const { stderr } = await run(program, [...limits, `-artifact_prefix=${folder}/`, corpus]);
      t.regex(stderr, new RegExp(`Done ${runs} runs`));
      t.log(stderr.split('\n').find((line) => line.includes('Seed:')) ?? '');
    } catch (error) {
      const { stderr = String(error) } = error as { stderr?: string };
      t.fail(stderr.slice(-4000));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

async function compile(name: string, folder: string): Promise<string> {
  const { stdout: machine } = await run('cc', ['-print-multiarch']);
  // Headers lie where frames put them, as on every machine that BPF runs on.
  const checks = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize=alignment'];
  const flags = ['-g', '-O1', ...checks, '-fno-sanitize-recover=undefined', '-Ibpf', '-w'];
  const program = join(folder, name);
  await run('clang-19', [...flags, `-I/usr/include/${machine.trim()}`, `test/fuzz/${name}.c`, '-o', program]);
  return program;
}
