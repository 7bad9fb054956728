/** The policy tools as commands: exit codes and formats, without an agent. */
import test from 'ava';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { until } from '#kit/async';
import { FINDINGS, PROBLEM_KINDS } from '#model';
import { buildProgram } from '../../../src/cli/program.ts';
import { examples, merlon, withFile } from './merlon.ts';

const isolation = `${examples}/namespace-isolation`;

const wrong = `name: wrong
endpoints: [{name: a/b}, {name: a/c}]
expect: [{from: a/b, to: a/c, port: 80, protocol: TCP, verdict: deny}]
`;

test('policy test – the examples come out as written', async (t) => {
  const { code, out } = await merlon('policy', 'test', examples);
  t.is(code, 0);
  t.regex(out, /^\d+ cases, \d+ expectations met, 0 failed\n$/);
});

test('policy test – a failed expectation is told with its place, and JUnit counts it', async (t) => {
  await withFile(wrong, async (file) => {
    const { code, out } = await merlon('policy', 'test', file);
    t.is(code, 1);
    t.true(out.includes(`${file}:3:`));
    t.true(out.includes('a/b → a/c TCP/80: wanted deny, got allow'));
    const junit = await merlon('policy', 'test', file, '-o', 'junit');
    t.is(junit.code, 1);
    t.regex(junit.out, /<testsuite name="wrong" tests="1" failures="1" errors="0" skipped="0">/);
  });
});

test('policy test – what is unsure never fails the run', async (t) => {
  await withFile(wrong.replace('verdict: deny', 'verdict: deny, unsure: true'), async (file) => {
    const { code, out } = await merlon('policy', 'test', file);
    t.is(code, 0);
    t.true(out.includes('1 unsure and different'));
  });
});

test('policy test – with --watch it runs again when a file changes, until it is stopped', async (t) => {
  await withFile(wrong, async (file) => {
    const stop = new AbortController();
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    let out = '';
    stdout.on('data', (chunk) => (out += String(chunk)));
    stderr.resume();
    const streams = { stdout, stderr } as unknown as Record<'stdout' | 'stderr', NodeJS.WriteStream>;
    const end = buildProgram({ env: {}, signal: stop.signal, ...streams }, [
      'policy',
      'test',
      '--watch',
      file,
    ]);
    const { signal } = new AbortController();
    await until(() => out.includes('1 failed'), { signal, timeoutMs: 60_000, what: 'the first run' });
    await writeFile(file, wrong.replace('deny', 'allow'));
    await until(() => out.includes('1 expectation met, 0 failed'), {
      signal,
      timeoutMs: 60_000,
      what: 'the second run',
    });
    stop.abort();
    t.is(await end, 0);
  });
});

test('policy test – with --watch it runs again when a policy file elsewhere changes', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-watch-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await Promise.all(['cases', 'policies'].map((name) => mkdir(join(folder, name))));
  const policy = (port: number) => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p, namespace: a}
spec: {endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: "${port}", protocol: TCP}]}]}]}
`;
  await writeFile(join(folder, 'policies/p.yaml'), policy(81));
  const file = join(folder, 'cases/one.case.yaml');
  const flow = '{from: a/b, to: a/c, port: 80, protocol: TCP, verdict: allow}';
  await writeFile(
    file,
    `name: elsewhere\nendpoints: [{name: a/b}, {name: a/c}]\npolicyFiles: [../policies/p.yaml]\nexpect: [${flow}]\n`,
  );
  const stop = new AbortController();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let out = '';
  stdout.on('data', (chunk) => (out += String(chunk)));
  stderr.resume();
  const streams = { stdout, stderr } as unknown as Record<'stdout' | 'stderr', NodeJS.WriteStream>;
  const end = buildProgram({ env: {}, signal: stop.signal, ...streams }, ['policy', 'test', '--watch', file]);
  const { signal } = new AbortController();
  await until(() => out.includes('1 failed'), { signal, timeoutMs: 20_000, what: 'the first run' });
  await writeFile(join(folder, 'policies/p.yaml'), policy(80));
  await until(() => out.includes('1 expectation met'), { signal, timeoutMs: 20_000, what: 'the second run' });
  stop.abort();
  t.is(await end, 0);
});

test('policy test – an unusable file is exit code 2, with its place', async (t) => {
  for (const [yaml, message] of [
    [`${wrong}colour: red\n`, /:4:1: colour: unknown field in a case/],
    [
      wrong.replace('to: a/c', 'to: a/d'),
      /:3:.*there is no endpoint "a\/d" \(did you mean a\/b\?|there is no endpoint/,
    ],
    [wrong.replace('expect:', 'policies: [{kind: What}]\nexpect:'), /there is no kind "What" here/],
  ] as const) {
    await withFile(yaml, async (file) => {
      const { code, err } = await merlon('policy', 'test', file);
      t.is(code, 2);
      t.regex(err, message);
    });
  }
});

test('explain – 0 allowed, 1 denied, with the field that failed', async (t) => {
  const world = ['--world', `${isolation}.case.yaml`];
  t.is((await merlon('explain', '--from', 'shop/web', '--to', 'shop/db:5432/TCP', ...world)).code, 0);
  const denied = await merlon(
    'policy',
    'trace',
    '--src',
    'wiki/web',
    '--dst-k8s-pod',
    'shop:web',
    '--dport',
    '80',
    ...world,
  );
  t.is(denied.code, 1);
  t.regex(denied.out, /fromEndpoints: needs k8s:io\.kubernetes\.pod\.namespace In \(shop\)/);
  const json = await merlon('explain', '--from', 'wiki/web', '--to', 'shop/web/icmp', '-o', 'json', ...world);
  t.is((JSON.parse(json.out) as { results: readonly { verdict: string }[] }).results[0]?.verdict, 'deny');
});

test('explain – a candidate may bring the group of prefixes that a policy names', async (t) => {
  const yaml = `name: groups
endpoints: [{name: shop/web, labels: {app: web}, ips: [10.0.0.1]}]
cidrGroups: [{name: office, cidrs: [192.0.2.0/24]}]
policies:
  - apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: p, namespace: shop}
    spec: {endpointSelector: {}, ingress: [{fromCIDRSet: [{cidrGroupRef: office}]}]}
expect: []
`;
  const group =
    'apiVersion: cilium.io/v2alpha1\nkind: CiliumCIDRGroup\nmetadata: {name: office}\nspec: {externalCIDRs: [203.0.113.0/24]}\n';
  await withFile(yaml, (world) =>
    withFile(group, async (candidate) => {
      const flow = ['explain', '--from', '203.0.113.9', '--to', 'shop/web:80', '--world', world];
      t.is((await merlon(...flow)).code, 1);
      const then = await merlon(...flow, '--candidate', candidate);
      t.is(then.code, 0, then.err);
      t.regex(then.out, /^deny → allow$/m);
    }),
  );
});

const traced: readonly [flags: readonly string[], code: number, title: string][] = [
  [
    ['--src-k8s-pod', 'shop/web', '--dst-k8s-pod', 'shop:db', '--dport', '5432/tcp'],
    0,
    'shop/web → shop/db TCP/5432',
  ],
  [['--src', 'k8s:app=web', '--dst', 'any:app=db', '--dport', '5432'], 0, 'shop/web → shop/db TCP/5432'],
  [
    ['-s', 'app=web', '-s', 'k8s:io.kubernetes.pod.namespace=wiki', '-d', 'app=db', '--dport', '53/UDP'],
    1,
    'wiki/web → shop/db UDP/53',
  ],
  [
    ['--src', 'reserved:world', '--dst-k8s-pod', 'shop/db', '--dport', '80'],
    1,
    'entity:world → shop/db TCP/80',
  ],
  [
    ['--src-identity', '2', '--dst-k8s-pod', 'shop/db', '--dport', '80', '-v'],
    1,
    'entity:world → shop/db TCP/80',
  ],
  [['--src', 'entity:host', '--dst', 'shop/db', '--dport', '80'], 0, 'entity:host → shop/db TCP/80'],
];
for (const [flags, code, title] of traced) {
  test(`policy trace – ${flags.join(' ')}`, async (t) => {
    const got = await merlon('policy', 'trace', ...flags, '--world', `${isolation}.case.yaml`);
    t.is(got.code, code, got.err);
    t.is(got.out.split('\n')[0], title);
  });
}

test('policy trace – two ports, or nobody, are refused', async (t) => {
  const world = ['--world', `${isolation}.case.yaml`];
  const two = await merlon('policy', 'trace', '-s', 'app=web', '-d', 'app=db', '--dport', '80,81', ...world);
  t.regex(two.err, /--dport 80,81: one port at a time/);
  t.regex(
    (await merlon('policy', 'trace', '--src', 'app=web', ...world)).err,
    /say who sends and who receives/,
  );
  const nobody = await merlon('policy', 'trace', '-s', 'app=x', '-d', 'app=db', '--dport', '80', ...world);
  t.is(nobody.code, 2);
  t.regex(nobody.err, /nobody has the labels app=x/);
});

test('explain – a party may be described by labels or by a name that was learnt', async (t) => {
  const flow = ['explain', '--from', 'labels:app=checkout', '--to', 'fqdn:api.payments.example:443/TCP'];
  const got = await merlon(...flow, '--world', `${examples}/external-apis.case.yaml`);
  t.is(got.code, 0);
  t.true(got.out.startsWith('shop/checkout → 198.51.100.10 TCP/443'));
  const nobody = ['explain', '--from', 'labels:app=nobody', '--to', '10.0.0.1:80'];
  t.is((await merlon(...nobody, '--world', `${examples}/external-apis.case.yaml`)).code, 2);
});

test('explain – a request is judged as the proxy would', async (t) => {
  const flow = ['explain', '--from', 'shop/frontend', '--to', 'shop/api:8080/TCP'];
  const world = ['--world', `${examples}/api-methods.case.yaml`];
  const got = await merlon(...flow, '--http', 'GET /v1/products/7', ...world);
  t.is(got.code, 0);
  t.regex(
    got.out,
    /to the proxy for http, which lets it pass:\n +match +GET \/v1\/products\S+\n +no match POST \/v1\/orders, header x-checkout: yes\n/,
  );
  const refused = await merlon(...flow, '--http', 'DELETE http://shop.example/v1/products/7', ...world);
  t.is(refused.code, 1);
  t.regex(refused.out, /which refuses it:\n +no match POST .*\n +no match GET .*\n/);
  const open = await merlon(...flow, ...world);
  t.regex(open.out, /which lets pass:\n +POST .*\n +GET .*\n/);
});

test('policy diff – 0 the same, 1 differs', async (t) => {
  t.is((await merlon('policy', 'diff', '--from', `${isolation}.yaml`, `${isolation}.yaml`)).code, 0);
  const { code, out } = await merlon(
    'policy',
    'diff',
    '--from',
    `${examples}/deny-metadata.yaml`,
    `${isolation}.yaml`,
  );
  t.is(code, 1);
  t.regex(out, /^opened +egress .*169\.254\.169\.254/m);
});

const invalid = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: a, namespace: shop}
spec:
  endpointSelector: {}
  ingress: [{fromEntities: [wrld]}]
  egress: [{toCIDR: [x]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: b, namespace: shop}
spec: {endpointSelector: {}, ingress: [{fromEntities: [world], toPorts: [{}]}]}
`;

test('policy lint – advice alone is 0, with --deny-warnings 1; notes never fail', async (t) => {
  await withFile(invalid.split('---\n')[1] ?? '', async (file) => {
    t.is((await merlon('policy', 'lint', file)).code, 0);
    t.is((await merlon('policy', 'lint', '--deny-warnings', file)).code, 1);
  });
  t.is((await merlon('policy', 'lint', '--deny-warnings', `${examples}/deny-metadata.yaml`)).code, 0);
  const noted = await merlon('policy', 'lint', '--deny-warnings', `${examples}/default-deny.yaml`);
  t.is(noted.code, 0);
  t.regex(noted.out, /: note: shop\/default-deny: .*\[empty-rule\]\n/);
  t.is(
    (await merlon('policy', 'lint', '--deny-warnings', '--quiet', `${examples}/default-deny.yaml`)).out,
    '',
  );
});

test('policy validate and lint – all errors of a file, sorted, with place and field; exit code 2', async (t) => {
  await withFile(invalid, async (file) => {
    for (const verb of ['validate', 'lint']) {
      const { code, out } = await merlon('policy', verb, file);
      t.is(code, 2);
      const lines = out.split('\n').filter((line) => line.startsWith(file));
      t.regex(
        lines[0] ?? '',
        /:6:29: error: shop\/a: .*spec\.ingress\[0\]\.fromEntities\[0\]: .*\[POLICY_ENTITY\]$/,
      );
      t.regex(lines[1] ?? '', /:7:22: error: shop\/a: .*spec\.egress\[0\]\.toCIDR\[0\]: .*\[POLICY_CIDR\]$/);
      t.regex(lines[2] ?? '', /:12:\d+: warning: shop\/b: .*\[port-rule-without-ports\]$/);
    }
    const { out } = await merlon('policy', 'validate', file);
    t.regex(out, /\n2 objects, 2 errors, 1 warning\n$/);
    const json = JSON.parse((await merlon('policy', 'validate', file, '-o', 'json')).out) as {
      valid: boolean;
      errors: readonly { at: { line: number; path: string } }[];
    };
    t.false(json.valid);
    t.is(json.errors[1]?.at.path, 'spec.egress[0].toCIDR[0]');
  });
});

test('policy validate – warnings are 0, with --deny-warnings 1; directories, and one name twice', async (t) => {
  const warned = invalid.split('---\n')[1] ?? '';
  await withFile(warned, async (file) => {
    t.is((await merlon('policy', 'validate', file)).code, 0);
    t.is((await merlon('policy', 'validate', '--deny-warnings', file)).code, 1);
  });
  t.is((await merlon('policy', 'validate', '--quiet', `${examples}/default-deny.yaml`)).out, '');
  await withFile(`${warned}---\n${warned}`, async (file) => {
    const { code, out } = await merlon('policy', 'validate', file);
    t.is(code, 2);
    t.regex(out, /\[MANIFEST_DUPLICATE\]/);
  });
  await withFile(warned, async (file) => {
    // Named twice it is read once.
    t.is((await merlon('policy', 'validate', file, join(file, '..', 'one.case.yaml'))).code, 0);
  });
});

test('policy lint – in a world it says what becomes default deny', async (t) => {
  const { code, out } = await merlon(
    'policy',
    'lint',
    `${examples}/default-deny.yaml`,
    '--world',
    `${isolation}.case.yaml`,
  );
  t.is(code, 0);
  t.regex(out, /^\d+ endpoints? becomes? default deny at egress: /m);
  const own = await merlon('policy', 'lint', `${isolation}.yaml`, '--world', `${isolation}.case.yaml`);
  t.regex(own.out, /^\d+ endpoints? becomes? default deny at ingress: /m);
});

test('policy lint – what else a chart renders is left out, a mistyped kind is not', async (t) => {
  const other = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\n';
  await withFile(`${other}---\n${invalid.split('---\n')[1] ?? ''}`, async (file) => {
    const { code, out } = await merlon('policy', 'lint', file);
    t.is(code, 0);
    t.regex(out, /\n1 policy, 1 warning; 1 of other kinds left out\n$/);
    t.is((await merlon('policy', 'validate', file)).code, 2);
  });
  await withFile(invalid.replaceAll('CiliumNetworkPolicy', 'CiliumNetworkPolcy'), async (file) => {
    const { code, out } = await merlon('policy', 'lint', file);
    t.is(code, 2);
    t.regex(out, /did you mean CiliumNetworkPolicy\?/);
  });
});

test('policy lint – workloads among the files are the world', async (t) => {
  const workload = `apiVersion: merlon.io/v1
kind: Workload
metadata: {name: web, namespace: shop}
spec: {hostDevice: v0, labels: {app: web}, addresses: [10.0.0.1]}
`;
  const selecting = (app: string, name: string) => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ${name}, namespace: shop}
spec: {endpointSelector: {matchLabels: {app: ${app}}}, ingress: [{fromEntities: [world]}]}
`;
  const host = `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: host}
spec: {nodeSelector: {matchLabels: {role: worker}}, ingress: [{fromEntities: [cluster]}]}
`;
  const policies = [selecting('web', 'right'), selecting('wbe', 'wrong'), host];
  await withFile(policies.join('---\n'), async (file) => {
    t.is((await merlon('policy', 'lint', file, '--deny-warnings')).code, 0);
  });
  await withFile([workload, ...policies].join('---\n'), async (file) => {
    const { out } = await merlon('policy', 'lint', '--quiet', file);
    t.regex(out, /^[^\n]*: warning: shop\/wrong: [^\n]*\[selects-nothing\]\n$/);
  });
});

test('policy lint – --codes lists every code', async (t) => {
  const { code, out } = await merlon('policy', 'lint', '--codes');
  t.is(code, 0);
  for (const word of [...Object.keys(FINDINGS), ...Object.keys(PROBLEM_KINDS)])
    t.true(out.includes(`\n${word} `));
});

test('without an agent – explain and diff say so with exit code 7', async (t) => {
  for (const args of [
    ['explain', '--from', '10.0.0.1', '--to', '10.0.0.2:80'],
    ['policy', 'diff', `${isolation}.yaml`],
  ]) {
    t.is((await merlon(...args, '--run-dir', '/nonexistent')).code, 7);
  }
});
