/** The program as a process: pipes, standard input, what cannot be written. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';

const MAIN = `${process.execPath} ${join(process.cwd(), 'src/cli/main.ts')}`;

interface End {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** What bash makes of a line in which `merlon` is the program of this tree. */
async function shell(line: string, input = ''): Promise<End> {
  const script = `set -o pipefail; merlon() { ${MAIN} "$@"; }; ${line}`;
  const child = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  child.stdin.end(input);
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, out, err };
}

const policy = (name: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ${name}, namespace: shop}
spec: {endpointSelector: {}, ingress: [{fromEndpoints: [{}]}]}
`;

test('pipe – a reader that ends early hides neither the answer nor shows an error', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-pipe-'));
  t.teardown(() => rm(folder, { recursive: true }));
  // More than a pipe holds, so that the rest is written when nobody reads any more.
  const twice = Array.from({ length: 900 }, (_, i) => policy(`p-${i % 2}`)).join('---\n');
  await writeFile(join(folder, 'twice.yaml'), twice);
  const { code, out, err } = await shell(`merlon policy validate ${folder}/twice.yaml | head -1`);
  t.regex(out, /^.*twice\.yaml:\d+:1: error: .*\n$/);
  t.is(err, '');
  t.is(code, 2, 'that of validate');
});

test('pipe – messages that nobody reads change no exit code', async (t) => {
  // The reader is gone long before the program has started.
  const { code } = await shell('{ merlon policy validate /nonexistent 2>&1 >&3 | true; } 3> /dev/null');
  t.is(code, 2);
});

test('output – what cannot be written is an error, however little it is', async (t) => {
  const { code, err } = await shell('merlon version > /dev/full');
  t.is(code, 1);
  t.regex(err, /^merlon: .*no space left.*\n$/);
});

test('standard input – is read as a file is', async (t) => {
  const { code, out } = await shell('merlon policy validate - -o json', policy('p'));
  t.is(code, 0);
  t.like(JSON.parse(out), { valid: true, objects: [{ file: 'standard input', name: 'p' }] });
});

test('standard input – is waited for, however long its writer takes', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-stdin-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'a.yaml'), policy('a'));
  // The program has read the named pipe to its end before anything comes by standard input.
  const late = `cat ${folder}/a.yaml > ${folder}/pipe; for i in {1..20}; do /bin/true; done; cat`;
  const line = `mkfifo ${folder}/pipe; { ${late}; } | merlon policy validate ${folder}/pipe -`;
  const { code, out, err } = await shell(line, policy('p'));
  t.is(code, 0, err);
  t.is(out, '2 objects, all valid\n');
});

for (const line of [
  'policy validate -',
  'policy lint -',
  'policy test -',
  'policy diff --from - /dev/null',
]) {
  test(`standard input – empty, it is an error: ${line}`, async (t) => {
    const { code, err } = await shell(`merlon ${line}`);
    t.is(code, 2);
    t.regex(err, /standard input is empty \(look at what stands before the pipe/);
  });
}

test('standard input – is there once', async (t) => {
  const { code, err } = await shell('merlon policy diff --from - -', policy('p'));
  t.is(code, 2);
  t.regex(err, /it can be read only once/);
});
