/**
 * Killed at any moment of a change, or of the start after it, the agent leaves the old policy in force or the new one, for each subject all of
 * it: two sets of policies open and close the same ports the other way round, addresses change identity with them,
 * and whatever is asked while nobody is there is answered as by one of the two. A start makes it the new one.
 * The world is that of test/netns/proof/bed.ts.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import {
  address,
  bed,
  type Bed,
  FAMILIES,
  type HostName,
  hostPolicy,
  podPolicy,
  ports,
  PROGRAM,
} from '../netns/proof/bed.ts';
import { type Kind, traffic } from '../netns/proof/traffic.ts';

const ROUNDS = 6;
const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

/** What each of two sets opens; 80 is open in both, 85 in none. */
const SETS = [
  { name: 'odd', open: ['81/TCP', '83/TCP'], peers: ['192.0.2.0/24', '2001:db8::/64'] },
  { name: 'even', open: ['82/TCP', '84/TCP'], peers: ['192.0.2.0/30', '192.0.2.4/30', '2001:db8::/65'] },
] as const;
const PORTS = [81, 82, 83, 84];

const policiesOf = ({ open, peers }: (typeof SETS)[number]) => {
  const toPorts = ports('80/TCP', ...open);
  return [
    hostPolicy('node', {
      ingress: [{ fromCIDR: peers, toPorts }],
      egress: [{ toCIDR: peers, toPorts }],
    }),
    podPolicy(
      'red',
      { app: 'red' },
      {
        ingress: [{ fromEndpoints: [{ matchLabels: { app: 'blue' } }], toPorts }],
      },
    ),
  ];
};

const KINDS: readonly Kind[] = [
  { name: 'connection to the node', from: 'peer', to: 'node', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'connection of the node', from: 'node', to: 'peer', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'connection between pods', from: 'blue', to: 'red', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'new to the node', from: 'peer', to: 'node', kind: 'tcp-new', port: 80, expect: 'open' },
  { name: 'refused to the node', from: 'peer', to: 'node', kind: 'tcp-new', port: 85, expect: 'timeout' },
  { name: 'refused of the node', from: 'node', to: 'peer', kind: 'tcp-new', port: 85, expect: 'timeout' },
  { name: 'refused to the pod', from: 'blue', to: 'red', kind: 'tcp-new', port: 85, expect: 'timeout' },
  { name: 'nobody else to the node', from: 'far', to: 'node', kind: 'tcp-new', port: 80, expect: 'timeout' },
];

/** Who asks whom; what one subject decides has to be of one set. */
const SUBJECTS: readonly (readonly [subject: string, ways: readonly (readonly [HostName, HostName])[]])[] = [
  [
    'the node',
    [
      ['peer', 'node'],
      ['node', 'peer'],
    ],
  ],
  ['the pod', [['blue', 'red']]],
];

/** Which set decides for each subject; anything else is told as it is. */
async function decides(b: Bed): Promise<Readonly<Record<string, string>>> {
  const all = SUBJECTS.map(async ([subject, ways]) => {
    const asked = ways.flatMap(([from, to]) =>
      FAMILIES.flatMap((family) =>
        PORTS.map(async (port) => {
          const answer = await b.host(from).probeTcp(address(to, family), port, { timeoutMs: 3000 });
          const set = SETS.find(
            ({ open }) => open.some((one) => one === `${port}/TCP`) === (answer === 'open'),
          );
          return { text: `${from} to ${to} ${port} IPv${family} ${answer}`, set: set?.name ?? 'none' };
        }),
      ),
    );
    const answers = await Promise.all(asked);
    const sets = new Set(answers.map(({ set }) => set));
    const isOne = sets.size === 1;
    return [subject, isOne ? [...sets].join() : answers.map(({ text }) => text).join('; ')] as const;
  });
  return Object.fromEntries(await Promise.all(all));
}

/** The same numbers for the same seed, from 0 to 1. */
function* numbers(from: number): Generator<number, never> {
  for (let state = from >>> 0; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

async function serve(b: Bed): Promise<void> {
  for (const host of [b.node, b.peer, b.host('red')])
    await Promise.all([80, ...PORTS, 85].map((port) => host.serveTcp(port)));
}

/** Starts an agent over what is there and kills it after a while. */
async function startAndKill(b: Bed, afterMs: number): Promise<void> {
  const { configDir, stateDir, runDir, bpfRoot } = b.dirs;
  const config = ['--config', join(configDir, 'merlon.yaml'), '--state-dir', stateDir];
  const agent = b.node.spawn(PROGRAM, ['agent', ...config, '--run-dir', runDir, '--bpf-root', bpfRoot], {
    stdio: 'ignore',
  });
  const ended = once(agent, 'exit');
  await setTimeout(afterMs);
  agent.kill('SIGKILL');
  await ended;
}

const isEither = (t: ExecutionContext, found: Readonly<Record<string, string>>, when: string): void => {
  for (const [subject, what] of Object.entries(found))
    t.true(
      SETS.some(({ name }) => name === what),
      `${when}: ${subject}: ${what}`,
    );
};

test(`kill – at any moment of a change each subject has the old policy or the new one (seed ${seed})`, async (t) => {
  const [odd, even] = SETS;
  await using b = await bed({
    name: 'killchange',
    pods: ['red', 'blue'],
    manifests: { 'all.yaml': policiesOf(odd) },
  });
  await serve(b);
  const all = await traffic(b, KINDS);
  const since = performance.now();
  await all.through('a change', () => b.apply({ 'all.yaml': policiesOf(even) }), 1);
  const tookMs = performance.now() - since;
  t.deepEqual(await decides(b), { 'the node': 'even', 'the pod': 'even' });
  const started = performance.now();
  await all.through('a restart', async () => (await b.agent.stop(), b.start()), 1);
  const startMs = performance.now() - started;
  const random = numbers(seed);
  const seen: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const set = round % 2 === 0 ? odd : even;
    // The first moments are those in which most happens.
    const afterMs = Math.round(random.next().value ** 2 * tookMs);
    const when = `killed ${afterMs} ms into a change to ${set.name}`;
    const change = async (): Promise<void> => {
      const applied = b.apply({ 'all.yaml': policiesOf(set) }).catch(() => undefined); // it dies of it
      await Promise.race([applied, setTimeout(afterMs)]);
      await b.agent.kill('SIGKILL');
      await applied;
    };
    await all.through(when, change, 1);
    const dead = await decides(b);
    isEither(t, dead, when);
    const againMs = Math.round(random.next().value * startMs);
    const again = `${when}, and ${againMs} ms into the start after it`;
    await all.through(again, () => startAndKill(b, againMs), 1);
    const deadAgain = await decides(b);
    isEither(t, deadAgain, again);
    seen.push([afterMs, ...Object.values(dead), againMs, ...Object.values(deadAgain)].join(' '));
    await all.through(`start ${round}`, () => b.start(), 1);
    t.deepEqual(await decides(b), { 'the node': set.name, 'the pod': set.name }, `started after: ${again}`);
  }
  t.log(`a change took ${Math.round(tookMs)} ms, a start ${Math.round(startMs)}: ${seen.join(', ')}`);
  await all.judge(t);
});
