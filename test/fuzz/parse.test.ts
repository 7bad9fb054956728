/** The parser under libFuzzer, for a bounded number of inputs, beginning with frames of every kind. */
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
const KEPT = 'test/fuzz/corpus';
const RUNS = 200_000;
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

test.serial('parser – no input makes it read beyond the frame or contradict itself', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ml-fuzz-'));
  try {
    const corpus = join(folder, 'corpus');
    mkdirSync(corpus);
    for (const [i, bytes] of seeds.entries())
      writeFileSync(join(corpus, `seed-${i}`), Uint8Array.of(0, ...bytes));
    for (const name of readdirSync(KEPT)) writeFileSync(join(corpus, name), readFileSync(join(KEPT, name)));
    const { stdout: machine } = await run('cc', ['-print-multiarch']);
    const flags = [
      '-g',
      '-O1',
      '-fsanitize=fuzzer,address,undefined',
      '-fno-sanitize-recover=undefined',
      '-Ibpf',
      '-w',
    ];
    const program = join(folder, 'parse');
    await run('clang-19', [...flags, `-I/usr/include/${machine.trim()}`, 'test/fuzz/parse.c', '-o', program]);
    const { stderr } = await run(program, [
      `-runs=${RUNS}`,
      '-max_len=512',
      `-artifact_prefix=${folder}/`,
      corpus,
    ]);
    t.regex(stderr, /Done 200000 runs/);
    t.log(stderr.split('\n').find((line) => line.includes('Seed:')) ?? '');
  } catch (error) {
    const { stderr = String(error) } = error as { stderr?: string };
    t.fail(stderr.slice(-4000));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
