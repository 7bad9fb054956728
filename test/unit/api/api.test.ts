import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { type Parts, serveApi } from '#api';
import { call, type EventView, stream } from '#api/client';
import { MerlonError } from '#kit/errors';

const signal = new AbortController().signal;

/** A server on a socket of its own; only the parts that the test uses are there. */
async function serve(t: ExecutionContext, parts: Partial<Parts>): Promise<string> {
  const runDir = mkdtempSync(join(tmpdir(), 'merlon-api-'));
  const path = join(runDir, 'merlon.sock');
  const server = await serveApi({ path, parts: parts as Parts, logger: pino({ level: 'silent' }) });
  t.teardown(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(runDir, { recursive: true });
  });
  return runDir;
}

test('call – the answer of a part, with parameters and body', async (t) => {
  const runDir = await serve(t, {
    addEndpoint: (request) => Promise.resolve({ ...request, id: 7 } as never),
    policyMap: (endpoint) => [{ endpoint }] as never,
  });
  const body = { name: 'web', netns: 'web', labels: ['app=web'], ips: [] };
  t.like(await call('/v1/endpoints', { runDir, signal, method: 'POST', body }), { id: 7, name: 'web' });
  t.deepEqual(await call('/v1/policy/map/a%2Fb', { runDir, signal }), [{ endpoint: 'a/b' }]);
});

test('call – a list of many rows comes in parts and whole, and so does an empty one', async (t) => {
  const rows = Array.from({ length: 5000 }, (_, i) => ({
    prefix: `10.0.${i >> 8}.${i & 255}/32`,
    labels: ['é,]'],
  }));
  const runDir = await serve(t, { ips: () => rows as never, policies: () => [] });
  t.deepEqual(await call('/v1/ips', { runDir, signal }), rows);
  t.deepEqual(await call('/v1/policies', { runDir, signal }), []);
});

test('call – an error keeps its code, place and hint on the way to the command line', async (t) => {
  const runDir = await serve(t, {
    status: () => {
      const at = { file: 'x.yaml', line: 3, column: 5 };
      throw new MerlonError('POLICY_PORT_RANGE', 'endPort 80 is below port 443', { at, hint: 'swap them' });
    },
  });
  const error = await t.throwsAsync(call('/v1/status', { runDir, signal }), { instanceOf: MerlonError });
  t.is(error?.code, 'POLICY_PORT_RANGE');
  t.is(error?.message, 'endPort 80 is below port 443');
  t.deepEqual(error?.at, { file: 'x.yaml', line: 3, column: 5 });
  t.is(error?.hint, 'swap them');
});

const bad: readonly [what: string, path: string, options: object, want: RegExp][] = [
  ['an unknown path', '/v1/nothing', {}, /no GET \/v1\/nothing/],
  ['a body that is no endpoint', '/v1/endpoints', { method: 'POST', body: { name: 'x' } }, /"netns"/],
  [
    'labels that are no list',
    '/v1/endpoints',
    { method: 'POST', body: { name: 'x', netns: 'y', labels: 'z' } },
    /"labels"/,
  ],
  ['a sequence that is none', '/v1/events?since=yesterday', {}, /sequence number/],
];
for (const [what, path, options, want] of bad) {
  test(`call – ${what} is refused in one sentence`, async (t) => {
    const runDir = await serve(t, {});
    const error = await t.throwsAsync(call(path, { runDir, signal, ...options }), {
      instanceOf: MerlonError,
    });
    t.is(error?.code, 'USAGE');
    t.regex(error?.message ?? '', want);
  });
}

test('call – without an agent one sentence names the socket and what to type', async (t) => {
  const error = await t.throwsAsync(call('/v1/status', { runDir: '/nonexistent', signal }), {
    instanceOf: MerlonError,
  });
  t.is(error?.code, 'AGENT_UNREACHABLE');
  t.regex(error?.message ?? '', /no agent at \/nonexistent\/merlon\.sock/);
});

test('stream – rows come as they are made, and leaving ends the part’s iteration', async (t) => {
  let isEnded = false;
  const runDir = await serve(t, {
    async *events(query, ending) {
      try {
        for (let seq = query.since ?? 0; !ending.aborted; seq += 1) {
          yield { seq } as EventView;
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        isEnded = true;
      }
    },
  });
  const seen: number[] = [];
  for await (const row of stream<EventView>('/v1/events?since=5&follow=true', { runDir, signal })) {
    seen.push(row.seq);
    if (seen.length === 3) break;
  }
  t.deepEqual(seen, [5, 6, 7]);
  while (!isEnded) await new Promise((resolve) => setImmediate(resolve));
  t.true(isEnded);
});

test('call – an agent that does not answer is given up in one sentence', async (t) => {
  let answer: (value: never) => void = () => {};
  const runDir = await serve(t, { status: () => new Promise<never>((resolve) => (answer = resolve)) });
  const error = await t.throwsAsync(call('/v1/status', { runDir, signal, timeoutMs: 50 }), {
    instanceOf: MerlonError,
  });
  t.is(error?.code, 'AGENT_UNREACHABLE');
  t.regex(error?.message ?? '', /merlon\.sock has not answered for 0\.05 s/);
  answer({} as never);
});
