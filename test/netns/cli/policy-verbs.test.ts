/**
 * The verbs that ask about policy, against a live agent: columns and fields, what they say of generations, of
 * flows and of events, and how they refuse.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { until } from '#kit/async';
import { type Finished, run, startAgent } from '#lab';
import { type Bed, configOf, operatorBed, POLICIES, PROGRAM } from '../operator/bed.ts';

let bed: Bed;
let folder: string;
const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);

test.before(async () => {
  bed = await operatorBed('clio');
  folder = await mkdtemp(join(tmpdir(), 'merlon-verbs-'));
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** A file beside the manifests: a candidate. */
async function candidate(name: string, yaml: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, yaml, { mode: 0o640 });
  return file;
}

/** Writes a manifest and has it enforced. */
async function enforce(name: keyof typeof POLICIES, yaml: string): Promise<void> {
  await writeFile(join(bed.net.hosts.node.dirs?.manifestsDir ?? '', name), yaml, { mode: 0o640 });
  const { code, stderr } = await merlon('reload');
  if (code !== 0) throw new Error(stderr);
}

const titles = (text: string): readonly string[] => (text.split('\n')[0] ?? '').split(/ {2,}/);

test.serial(
  'policy get, endpoint list, identity list, bpf policy get – the columns that people know',
  async (t) => {
    const columns: readonly [verb: string, titles: readonly string[], row: RegExp][] = [
      [
        'policy get',
        ['KIND', 'NAME', 'STATE', 'RULES', 'SELECTS', 'WHERE'],
        /^CNP +default\/web +applied +1 +1 .*web\.yaml:1/m,
      ],
      [
        'endpoint list',
        ['ENDPOINT', 'POLICY (ingress)', 'POLICY (egress)', 'IDENTITY', 'LABELS', 'IPv6', 'IPv4', 'STATUS'],
        /^\d+ +Enabled +Disabled +\d+ +k8s:app=web +fd00:1::10 +10\.1\.0\.10 +ready$/m,
      ],
      [
        'identity list',
        ['ID', 'LABELS', 'PREFIXES'],
        /^\d+ +k8s:app=web +10\.1\.0\.10\/32, fd00:1::10\/128$/m,
      ],
      [
        'bpf policy get host',
        ['POLICY', 'DIRECTION', 'IDENTITY', 'LABELS', 'PORT/PROTO', 'PROXY PORT', 'RULES'],
        /^Allow +Ingress +\d+ +cidr:192\.0\.2\.0\/24 +22\/TCP +NONE +host\/0\/ingress\/0 \(.*host\.yaml:10\)$/m,
      ],
      [
        'bpf policy get default/web',
        ['POLICY', 'DIRECTION', 'IDENTITY', 'LABELS', 'PORT/PROTO', 'PROXY PORT', 'RULES'],
        /^Allow +Ingress +\d+ +k8s:app=client +80\/TCP +NONE +default\/web\/0\/ingress\/0 \(.*web\.yaml:10\)$/m,
      ],
    ];
    for (const [verb, want, row] of columns) {
      const { code, stdout, stderr } = await merlon(...verb.split(' '));
      t.is(code, 0, stderr);
      t.deepEqual(titles(stdout), want, verb);
      t.regex(stdout, row, verb);
    }
  },
);

test.serial('endpoint get, identity get, policy get – by name and number, -o json', async (t) => {
  const web = await bed.agent.json<{ id: number; identity: number; name: string }>([
    'endpoint',
    'get',
    'web',
  ]);
  for (const name of ['default/web', String(web.id)]) {
    t.deepEqual(await bed.agent.json(['endpoint', 'get', name]), web);
  }
  const identity = await bed.agent.json<{ id: number; labels: readonly string[] }>([
    'identity',
    'get',
    String(web.identity),
  ]);
  t.true(identity.labels.includes('k8s:app=web'));
  const policies = await bed.agent.json<
    readonly { name: string; kind: string; line: number; status: object }[]
  >(['policy', 'get', 'default/web']);
  t.is(policies.length, 1);
  t.like(policies[0], {
    name: 'web',
    kind: 'CiliumNetworkPolicy',
    line: 1,
    status: { state: 'applied', selects: 1 },
  });
});

const refused: readonly [what: string, args: readonly string[], code: number, says: RegExp][] = [
  [
    'an endpoint that is not there',
    ['explain', '--from', 'default/wep', '--to', 'default/client:80'],
    2,
    /"default\/wep".*did you mean default\/web\?/,
  ],
  [
    'an endpoint that is far off',
    ['explain', '--from', 'warehouse', '--to', 'default/client:80'],
    2,
    /namespace\/name/,
  ],
  ['an endpoint of the kernel', ['bpf', 'policy', 'get', 'wep'], 1, /did you mean "web"/],
  ['a flow without a port', ['explain', '--from', '192.0.2.2', '--to', '192.0.2.1'], 2, /say which port/],
  ['nobody at all', ['explain'], 2, /--from and --to .*--last-drop/],
  ['an event that is gone', ['explain', '99999999'], 2, /event 99999999 is not kept: .*merlon events/],
  ['an event that is none', ['explain', 'yesterday'], 2, /"yesterday"/],
  [
    'a time before everything',
    ['explain', '--from', '192.0.2.2', '--to', '192.0.2.1:22', '--at', '2001-01-01T00:00:00Z'],
    2,
    /is not kept: the oldest kept is of .*merlon policy history/,
  ],
  [
    'a time that is none',
    ['explain', '--from', '192.0.2.2', '--to', '192.0.2.1:22', '--at', 'noon'],
    2,
    /--at noon is no time/,
  ],
  ['a generation that is none', ['policy', 'diff', 'gen:now'], 2, /"gen:now" is no generation/],
  ['two generations at once', ['policy', 'diff', 'gen:1', 'gen:2'], 2, /name it alone/],
  ['nothing to compare', ['policy', 'diff'], 2, /say what to compare/],
];
for (const [what, args, code, says] of refused) {
  test.serial(`refused – ${what}, in one sentence`, async (t) => {
    const ended = await merlon(...args);
    t.is(ended.code, code, ended.stderr);
    t.is(ended.stdout, '');
    t.regex(ended.stderr, /^merlon: [^\n]+\n$/);
    t.regex(ended.stderr, says);
  });
}

test.serial('refused – without an agent, one sentence and exit code 7', async (t) => {
  for (const args of [
    'policy get',
    'explain --last-drop',
    'explain 1',
    'endpoint list',
    'policy history',
    'bpf policy get 1',
  ]) {
    const { code, stderr } = await run([PROGRAM, ...args.split(' '), '--run-dir', '/nonexistent']);
    t.is(code, 7, args);
    t.regex(stderr, /^merlon: no agent at \/nonexistent\/merlon\.sock; [^\n]+\n$/);
  }
});

interface Explained {
  readonly results: readonly {
    readonly verdict: string;
    readonly path: readonly {
      readonly where: string;
      readonly stages: readonly { readonly stage: string }[];
    }[];
  }[];
}

test.serial(
  'endpoints – a name alone will do where one namespace has it, and else is refused everywhere',
  async (t) => {
    t.is((await merlon('explain', '--from', 'client', '--to', 'web:80')).code, 0);
    const netns = `ml-v${process.pid}`;
    t.is((await run(['ip', 'netns', 'add', netns])).code, 0);
    t.teardown(() => run(['ip', 'netns', 'delete', netns]));
    const add = ['--netns', netns, '--namespace', 'other', '--ip', '10.1.0.12'];
    t.is((await merlon('endpoint', 'add', 'web', ...add)).code, 0);
    t.teardown(() => merlon('endpoint', 'remove', 'other/web'));
    for (const [code, args] of [
      [1, ['endpoint', 'get', 'web']],
      [1, ['bpf', 'policy', 'get', 'web']],
      [1, ['endpoint', 'remove', 'web']],
      [2, ['explain', '--from', 'client', '--to', 'web:80']],
    ] as const) {
      const ended = await merlon(...args);
      t.is(ended.code, code, ended.stderr);
      t.regex(
        ended.stderr,
        /^merlon: "web" may be default\/web or other\/web \(name it with its namespace\)\n$/,
      );
    }
  },
);

test.serial('explain – the whole way over the node, up to the stage that decides', async (t) => {
  const allowed = await bed.agent.json<Explained>([
    'explain',
    '--from',
    '192.0.2.2',
    '--to',
    '192.0.2.1:22/TCP',
  ]);
  t.is(allowed.results[0]?.verdict, 'allow');
  t.is(allowed.results[0]?.path[0]?.where, 'tcx ingress of eth0');
  t.deepEqual(
    allowed.results[0]?.path[0]?.stages.map(({ stage }) => stage),
    ['frame', 'addresses', 'built-in', 'flow', 'failsafe', 'policy'],
  );
  const way = await merlon('explain', '--from', '203.0.113.7', '--to', '192.0.2.1:22/TCP');
  t.is(way.code, 0);
  t.regex(way.stdout, /^ {2}failsafe +entry 1 lets it pass whatever the policy: SSH: the way back in/m);
  t.regex(way.stdout, /^not asked: ingress of node:\S+; alone it says default-deny by host\/0$/m);
  t.regex(way.stdout, /^verdict: allow \(failsafe\)$/m);
});

test.serial('policy trace – the old tool’s flags, live', async (t) => {
  const flags = ['--src-k8s-pod', 'default:client', '--dst-k8s-pod', 'default:web', '--dport', '80/tcp'];
  const { code, stdout, stderr } = await merlon('policy', 'trace', ...flags);
  t.is(code, 0, stderr);
  t.regex(stdout, /^verdict: allow$/m);
  t.is((await merlon('policy', 'trace', ...flags.with(-1, '81'))).code, 1);
});

test.serial(
  'explain EVENT, --last-drop – the packet, the rules of its time, and what has changed since',
  async (t) => {
    const { peer, node, client } = bed.net.hosts;
    await peer.attempt({ proto: 'tcp', to: node.ipv4, port: 23, timeoutMs: 300 });
    await client.attempt({ proto: 'tcp', to: '10.1.0.10', port: 81, timeoutMs: 300 });
    interface Answer {
      readonly event: {
        readonly seq: number;
        readonly verdict: string;
        readonly destination: { readonly port: number };
      };
      readonly notes: readonly string[];
      readonly result: { readonly verdict: string };
      readonly policy: string;
      readonly now?: { readonly verdict: string };
    }
    const signal = AbortSignal.timeout(20_000);
    const ask = async (...args: readonly string[]): Promise<Answer | undefined> => {
      const { stdout } = await merlon('explain', ...args, '-o', 'json');
      return stdout === '' ? undefined : (JSON.parse(stdout) as Answer);
    };
    const drop = await until(
      async () => {
        const answer = await ask('--last-drop', '--from', '10.1.0.11');
        return answer?.event.destination.port === 81 ? answer : undefined;
      },
      { signal, timeoutMs: 10_000, what: 'the event' },
    );
    t.like(drop, { event: { verdict: 'DENIED' }, notes: [], result: { verdict: 'deny' }, now: undefined });
    t.regex(drop.policy, /^policy is still what it was \(generation \d+, since /);
    const host = await merlon('explain', '--last-drop', '--from', '192.0.2.2');
    t.is(host.code, 1);
    t.regex(host.stdout, /^event \d+ at \S+: DENIED POLICY_DENIED\. No rule allows it\.$/m);
    t.regex(host.stdout, /toPorts: TCP\/23 is not TCP\/22/);
    await enforce('web.yaml', POLICIES['web.yaml'].replace('"80"', '"81"'));
    const later = await ask(String(drop.event.seq));
    t.is(later?.result.verdict, 'deny', 'by the rules of that time');
    t.is(later?.now?.verdict, 'allow');
    t.regex(
      later?.policy ?? '',
      /^policy has changed since .* such a packet would now get allow\n`merlon policy diff --from gen:\d+ gen:\d+`/,
    );
    const then = await merlon(
      'explain',
      '--from',
      'default/client',
      '--to',
      'default/web:80',
      '--at',
      '2100-01-01T00:00:00Z',
    );
    t.is(then.code, 1);
    t.regex(then.stdout, /^by generation \d+, enforced at \S+; identities are those of now/m);
    await enforce('web.yaml', POLICIES['web.yaml']);
  },
);

test.serial(
  'explain – a rule for a proxy is refused while none serves it, and says what it would be',
  async (t) => {
    const http = POLICIES['web.yaml'].replace(
      'protocol: TCP\n',
      'protocol: TCP\n          rules: {http: [{method: GET}]}\n',
    );
    await enforce('web.yaml', http);
    const { code, stdout } = await merlon(
      'explain',
      '--from',
      'default/client',
      '--to',
      'default/web:80',
      '--http',
      'GET /',
    );
    t.is(code, 1);
    t.regex(stdout, /no proxy serves it yet, so it is refused \(L7_PROXY_UNAVAILABLE\); with one: allow$/m);
    t.regex(stdout, /^verdict: deny \(L7_PROXY_UNAVAILABLE\)$/m);
    t.is(
      await bed.net.hosts.client.probeTcp('10.1.0.10', 80, { timeoutMs: 300 }),
      'timeout',
      'so says the kernel',
    );
    await enforce('web.yaml', POLICIES['web.yaml']);
  },
);

test.serial(
  'policy diff – a file that says the same is the same, one that does not names who and where',
  async (t) => {
    const same = await merlon('policy', 'diff', await candidate('same.yaml', POLICIES['web.yaml']));
    t.is(same.code, 0, same.stderr);
    t.is(same.stdout, 'no verdict changes\n');
    const other = await candidate('other.yaml', POLICIES['web.yaml'].replace('"80"', '"81"'));
    const found = await merlon('policy', 'diff', other);
    t.is(found.code, 1, found.stderr);
    t.regex(found.stdout, /^opened {3}ingress {2}default\/client → default\/web {2}TCP\/81$/m);
    t.regex(found.stdout, /^closed {3}ingress {2}default\/client → default\/web {2}TCP\/80$/m);
    t.regex(found.stdout, /--text shows the lines/);
    const text = await merlon('policy', 'diff', other, '--text');
    t.regex(text.stdout, /^ {2}- +- port: "80"$/m);
  },
);

test.serial(
  'policy history, show, diff gen: – what was enforced before can be seen and compared with',
  async (t) => {
    await enforce('web.yaml', POLICIES['web.yaml'].replace('"80"', '"81"'));
    const list = await bed.agent.json<
      readonly { generation: number; active: boolean; policies: number; changes?: { changed: string[] } }[]
    >(['policy', 'history']);
    t.like(list[0], { active: true, policies: 2, changes: { changed: ['default/web'] } });
    const before = list[1]?.generation ?? 0;
    const table = await merlon('policy', 'history');
    t.deepEqual(titles(table.stdout), ['GENERATION', 'ENFORCED AT', 'POLICIES', 'CHANGES']);
    t.regex(table.stdout, / ~default\/web$/m);
    // Back to what was is the reverse of what was done, whichever way it is asked.
    for (const args of [
      [`gen:${before}`],
      ['gen:previous'],
      ['--from', 'gen:' + list[0]?.generation, 'gen:previous'],
    ]) {
      const { code, stdout, stderr } = await merlon('policy', 'diff', ...args);
      t.is(code, 1, stderr);
      t.regex(stdout, /^opened {3}ingress {2}default\/client → default\/web {2}TCP\/80$/m);
    }
    t.is((await merlon('policy', 'diff', '--from', 'gen:previous')).code, 1);
    t.is((await merlon('policy', 'diff', `gen:${list[0]?.generation}`)).code, 0);
    const shown = await merlon('policy', 'show', 'previous');
    t.regex(shown.stdout, /^# .*web\.yaml:1$/m);
    const file = await candidate('old.yaml', shown.stdout);
    t.is((await merlon('policy', 'validate', file)).code, 0);
    t.is(
      (await merlon('policy', 'diff', '--from', 'gen:previous', file)).code,
      0,
      'what is shown is what was',
    );
  },
);

test.serial(
  'policy history, diff gen: – a restart of the agent keeps them, and a damaged file costs itself',
  async (t) => {
    const numbers = async (): Promise<readonly number[]> =>
      (await bed.agent.json<readonly { generation: number }[]>(['policy', 'history'])).map(
        (g) => g.generation,
      );
    await enforce('web.yaml', POLICIES['web.yaml'].replace('"80"', '"82"'));
    const kept = await numbers();
    const stateDir = bed.net.hosts.node.dirs?.stateDir ?? '';
    t.is(await bed.agent.stop(), 0);
    bed.agent = await startAgent(bed.net.hosts.node, { program: PROGRAM, config: configOf(bed.net) });
    t.deepEqual(await numbers(), kept);
    const oldest = kept.at(-1) ?? 0;
    await writeFile(join(stateDir, 'generations', `${oldest}.json`), '{"version":1,');
    t.deepEqual(await numbers(), kept.slice(0, -1));
    const status = await bed.agent.json<{ degraded: readonly { code: string; message: string }[] }>([
      'status',
    ]);
    t.deepEqual(
      status.degraded.map(({ code }) => code),
      ['STATE_CORRUPT'],
    );
    const gone = await merlon('policy', 'diff', 'gen:1');
    t.is(gone.code, 2);
    t.regex(
      gone.stderr,
      /^merlon: generation 1 is not kept: the oldest is \d+, the active one \d+ \(.*history.*\)\n$/,
    );
    // Without an agent the files answer.
    const history = await run([PROGRAM, 'policy', 'history', '--state-dir', stateDir, '-o', 'json']);
    t.deepEqual(
      (JSON.parse(history.stdout) as { generation: number }[]).map((g) => g.generation),
      await numbers(),
    );
    const offline = [PROGRAM, 'policy', 'diff', 'gen:previous', '--state-dir', stateDir];
    const { code, stdout, stderr } = await run(offline);
    t.is(code, 1, stderr);
    t.regex(stdout, /^opened {3}ingress {2}default\{app=client\} → default\{app=web\} {2}TCP\/81$/m);
  },
);
