/** What was enforced is kept: numbers, bounds, restarts, damage. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { MerlonError } from '#kit/errors';
import { labelSet } from '#kit/labels';
import { NO_FACTS, type Policy, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import { type Generation, generationFromText } from '#cases';
import { Generations, type GenerationsOptions } from '../../../src/agent/generations.ts';

/** The kernel's counter, as the datapath has it. */
class FakeCounter {
  generation = 1;
  nextGeneration(): number {
    return ++this.generation;
  }
  advanceTo(generation: number): void {
    this.generation = Math.max(this.generation, generation);
  }
}

interface Bed {
  readonly stateDir: string;
  readonly problems: MerlonError[];
  readonly counter: FakeCounter;
  readonly open: (limits?: GenerationsOptions['limits']) => Promise<Generations>;
  readonly files: () => Promise<readonly string[]>;
}

async function bedOf(t: ExecutionContext): Promise<Bed> {
  const stateDir = await mkdtemp(join(tmpdir(), 'merlon-generations-'));
  t.teardown(() => rm(stateDir, { recursive: true }));
  const counter = new FakeCounter();
  const problems: MerlonError[] = [];
  const rest = {
    stateDir,
    counter,
    now: () => 0,
    onProblem: (problem: MerlonError) => problems.push(problem),
  };
  return {
    stateDir,
    problems,
    counter,
    open: (limits) => Generations.open(limits === undefined ? rest : { ...rest, limits }),
    files: async () => (await readdir(join(stateDir, 'generations'))).toSorted(),
  };
}

function policies(port: number, file = 'a.yaml', before = ''): readonly Policy[] {
  const text = `${before}apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: host}
spec:
  nodeSelector: {}
  ingress: [{fromCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: "${port}", protocol: TCP}]}]}]
`;
  return parsePolicies(text, { file });
}

const input = (of: readonly Policy[]) => ({
  policies: of,
  nodes: [],
  endpoints: [],
  localAddresses: [],
  nodeLabels: labelSet([]),
  facts: NO_FACTS,
  config: STANDALONE_POLICY_CONFIG,
});

const kept = async (store: Generations, number: number): Promise<Generation> =>
  generationFromText(await store.get(number), 'the store');

/** A pass that switches this many rule sets. */
async function pass(store: Generations, bed: Bed, of: readonly Policy[], switched = 1): Promise<void> {
  for (let i = 0; i < switched; i++) bed.counter.nextGeneration();
  await store.enforced(input(of));
}

test('generations – a number between two kept ones belongs to the lower', async (t) => {
  const bed = await bedOf(t);
  const store = await bed.open();
  await pass(store, bed, policies(22), 3); // 2, 3, 4
  await pass(store, bed, policies(22), 2); // 5, 6: addresses alone
  await pass(store, bed, policies(80)); // 7
  t.deepEqual(await bed.files(), ['2.json', '7.json']);
  t.is(store.active, 7);
  for (const [asked, got] of [
    [2, 2],
    [4, 2],
    [6, 2],
    [7, 7],
  ] as const) {
    t.is((await kept(store, asked)).generation, got);
  }
  t.is(
    (await t.throwsAsync(store.get(1)))?.message,
    'generation 1 is not kept: the oldest is 2, the active one 7',
  );
  t.regex((await t.throwsAsync(store.get(99)))?.message ?? '', /^generation 99 is not kept/);
});

test('generations – what was kept is what was enforced', async (t) => {
  const bed = await bedOf(t);
  const store = await bed.open();
  const [policy] = policies(22);
  await pass(store, bed, policies(22));
  const then = await kept(store, store.active);
  t.is(then.enforcedAt, '1970-01-01T00:00:00.000Z');
  t.deepEqual(then.policies[0]?.specs, policy?.specs);
  t.deepEqual(then.config, STANDALONE_POLICY_CONFIG);
});

test('generations – documents that change no rule set have a number of their own', async (t) => {
  const bed = await bedOf(t);
  const store = await bed.open();
  await pass(store, bed, policies(22));
  await pass(store, bed, policies(23), 0);
  await pass(store, bed, policies(24));
  t.deepEqual(await bed.files(), ['2.json', '3.json', '4.json']);
  t.is(bed.counter.generation, 4);
});

test('generations – the same documents on other lines keep their number, and the lines are those of now', async (t) => {
  const bed = await bedOf(t);
  const store = await bed.open();
  await pass(store, bed, policies(22));
  await pass(store, bed, policies(22, 'b.yaml', '# moved\n'), 0);
  t.deepEqual(await bed.files(), ['2.json']);
  const { at } = (await kept(store, 2)).policies[0] ?? {};
  t.is(at?.file, 'b.yaml');
});

test('generations – a restart goes on where it was, also when the kernel counts anew', async (t) => {
  const bed = await bedOf(t);
  const first = await bed.open();
  await pass(first, bed, policies(22), 5);
  await pass(first, bed, policies(80), 5);
  bed.counter.generation = 1; // a boot
  const second = await bed.open();
  t.is(second.active, 7);
  await pass(second, bed, policies(80));
  t.is(second.active, 7, 'the same documents');
  await pass(second, bed, policies(81));
  t.is(second.active, 9);
  t.deepEqual(await bed.files(), ['2.json', '7.json', '9.json']);
  t.deepEqual(bed.problems, []);
});

test('generations – bounded in number and in size, the oldest go first', async (t) => {
  const bed = await bedOf(t);
  const few = await bed.open({ files: 3, bytes: 1e9 });
  for (let port = 1; port <= 5; port++) await pass(few, bed, policies(port));
  t.deepEqual(await bed.files(), ['4.json', '5.json', '6.json']);
  const small = await bed.open({ files: 50, bytes: 1 });
  await pass(small, bed, policies(99));
  t.deepEqual(await bed.files(), ['7.json'], 'the newest stays whatever its size');
});

test('generations – a file whose second line is not whole costs itself', async (t) => {
  const bed = await bedOf(t);
  const before = await bed.open();
  await pass(before, bed, policies(22));
  const file = join(bed.stateDir, 'generations/2.json');
  await writeFile(file, (await readFile(file, 'utf8')).slice(0, -20));
  const store = await bed.open();
  t.is(store.active, 0);
  t.regex(bed.problems[0]?.message ?? '', /2\.json holds no generation: it is not whole; it is put aside/);
});

for (const [what, content] of [
  ['cut off', '{"version":1,"content":{"generation":2'],
  ['of another release', '{"version":99}'],
  ['something else', '[]'],
  ['not even text', '\u0000\u0001'],
] as const) {
  test(`generations – a file that is ${what} costs itself, in one sentence`, async (t) => {
    const bed = await bedOf(t);
    const before = await bed.open();
    await pass(before, bed, policies(22));
    await pass(before, bed, policies(80));
    await writeFile(join(bed.stateDir, 'generations/3.json'), content);
    const store = await bed.open();
    t.is(store.active, 2, 'the one before it');
    t.is(bed.problems.length, 1);
    t.regex(
      bed.problems[0]?.message ?? '',
      /3\.json holds no generation: .*; it is put aside, what is enforced/,
    );
    t.deepEqual(await bed.files(), ['2.json', '3.json.bad']);
    t.is(await readFile(join(bed.stateDir, 'generations/3.json.bad'), 'utf8'), content);
    await pass(store, bed, policies(81));
    t.is((await kept(store, store.active)).policies.length, 1);
  });
}

test('generations – what was put aside goes with its time', async (t) => {
  const bed = await bedOf(t);
  const store = await bed.open({ files: 2, bytes: 1e9 });
  await pass(store, bed, policies(1));
  const folder = join(bed.stateDir, 'generations');
  await writeFile(join(folder, '1.json.bad'), '');
  await writeFile(join(folder, '1.json.3.tmp'), '');
  await pass(store, bed, policies(2));
  await pass(store, bed, policies(3));
  t.deepEqual(await bed.files(), ['3.json', '4.json']);
});

test('generations – where nothing can be written the change is told, and enforcement goes on', async (t) => {
  const bed = await bedOf(t);
  await writeFile(join(bed.stateDir, 'generations'), 'a file');
  const store = await bed.open();
  t.regex(bed.problems[0]?.message ?? '', /generations cannot be read: .*; generations are not kept$/);
  const error = await t.throwsAsync(pass(store, bed, policies(1)));
  t.is((error as MerlonError | undefined)?.code, 'STATE_WRITE');
});
