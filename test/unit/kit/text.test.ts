/** Small texts: units, bytes, nearest words, errors. */
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import {
  compareBytes,
  equalBytes,
  formatHex,
  parseHex,
  parseMac,
  readU16,
  readU32,
  writeU16,
  writeU32,
} from '#kit/bytes';
import { ERRORS, MerlonError, assertNever, errorCode, exitCode, formatError } from '#kit/errors';
import { deepEqual } from '#kit/equal';
import { editDistance, nearest } from '#kit/nearest';
import { formatDuration, formatSize, parseDuration, parseSize } from '#kit/units';

const durations: readonly [text: string, ms: number | undefined][] = [
  ['30s', 30_000],
  ['5m', 300_000],
  ['24h', 86_400_000],
  ['500ms', 500],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['7.5d', 648_000_000],
  ['0', 0],
  ['0s', 0],
  ['', undefined],
  ['5', undefined],
  ['-5s', undefined],
  ['5 s', undefined],
  ['30m1h', undefined],
  ['1s1s', undefined],
  ['1w', undefined],
  ['s', undefined],
];
for (const [text, ms] of durations) {
  test(`parseDuration – "${text}" is ${ms === undefined ? 'refused' : `${ms} ms`}`, (t) => {
    t.is(parseDuration(text), ms);
  });
}

test('formatDuration – reads back, hours the largest unit', (t) => {
  t.is(formatDuration(86_400_000), '24h');
  t.is(formatDuration(0), '0s');
  fc.assert(fc.property(fc.nat(10 ** 9), (ms) => t.is(parseDuration(formatDuration(ms)), ms)));
});

const sizes: readonly [text: string, bytes: number | undefined][] = [
  ['65536', 65536],
  ['64KiB', 65536],
  ['64 Ki', 65536],
  ['64k', 65536],
  ['64KB', 64000],
  ['1.5MiB', 1572864],
  ['2g', 2 ** 31],
  ['', undefined],
  ['KiB', undefined],
  ['1.5', undefined],
  ['-1', undefined],
  ['1 PiB', undefined],
];
for (const [text, bytes] of sizes) {
  test(`parseSize – "${text}" is ${bytes === undefined ? 'refused' : bytes}`, (t) =>
    t.is(parseSize(text), bytes));
}

test('formatSize – one digit at most', (t) => {
  t.deepEqual([0, 512, 1024, 1536, 1048575, 5 * 2 ** 30].map(formatSize), [
    '0 B',
    '512 B',
    '1 KiB',
    '1.5 KiB',
    '1 MiB',
    '5 GiB',
  ]);
});

test('bytes – hexadecimal text reads back', (t) => {
  fc.assert(fc.property(fc.uint8Array(), (b) => t.deepEqual(parseHex(formatHex(b)), b)));
  for (const bad of ['a', 'zz', '0x', '1g']) t.is(parseHex(bad), undefined);
});

test('bytes – hardware addresses with either separator, not a mixture', (t) => {
  t.deepEqual(parseMac('02:00:00:AA:bb:01'), Uint8Array.of(2, 0, 0, 0xaa, 0xbb, 1));
  t.deepEqual(parseMac('02-00-00-aa-bb-01'), Uint8Array.of(2, 0, 0, 0xaa, 0xbb, 1));
  for (const bad of ['02:00:00:aa:bb', '02:00-00:aa:bb:01', '020000aabb01', '02:00:00:aa:bb:01:02']) {
    t.is(parseMac(bad), undefined);
  }
});

test('bytes – integers are big-endian', (t) => {
  const bytes = new Uint8Array(8);
  writeU32(bytes, 1, 0xdeadbeef);
  writeU16(bytes, 5, 0x1234);
  t.is(formatHex(bytes, ':'), '00:de:ad:be:ef:12:34:00');
  t.is(readU32(bytes, 1), 0xdeadbeef);
  t.is(readU16(bytes, 5), 0x1234);
});

test('bytes – order is that of Buffer.compare', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
      t.is(Math.sign(compareBytes(a, b)), Buffer.compare(a, b));
      t.is(equalBytes(a, b), Buffer.compare(a, b) === 0);
    }),
  );
});

test('nearest – a slip of the keyboard is found, another word is not', (t) => {
  const known = ['toPorts', 'toEndpoints', 'toEntities', 'toCIDR'];
  t.is(nearest('toPort', known), 'toPorts');
  t.is(nearest('topotrs', known), 'toPorts');
  t.is(nearest('toEnitties', known), 'toEntities');
  t.is(nearest('fromService', known), undefined);
  t.is(nearest('x', []), undefined);
});

test('editDistance – a metric on words: zero only for equals, symmetric, bounded by the longer', (t) => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const d = editDistance(a, b);
      t.is(d === 0, a === b);
      t.is(editDistance(b, a), d);
      t.true(d <= Math.max(a.length, b.length) && d >= Math.abs(a.length - b.length));
    }),
  );
});

test('formatError – place, sentence, remedy', (t) => {
  const at = { file: 'a.yaml', line: 3, column: 7, path: 'spec.ingress[0]' };
  t.is(formatError(new MerlonError('CONFIG_SCHEMA', 'no', { at, hint: 'do' })), 'a.yaml:3:7: no (do)');
  t.is(
    formatError(new MerlonError('POLICY_PORT', 'no', { at: { file: 'a.yaml', path: 'spec' } })),
    'a.yaml: spec: no',
  );
  t.is(formatError(new MerlonError('USAGE', 'no')), `no (${ERRORS.USAGE.hint})`);
  t.is(formatError('thrown text'), 'thrown text');
});

test('exitCode – that of the catalogue; 1 for errors that are not ours', (t) => {
  t.is(exitCode(new MerlonError('USAGE', '')), 2);
  t.is(exitCode(new MerlonError('AGENT_UNREACHABLE', '')), 7);
  t.is(exitCode(new MerlonError('TIMEOUT', '')), 124);
  t.is(exitCode(new Error('x')), 1);
  t.is(errorCode(new Error('x')), 'INTERNAL');
});

test('ERRORS – only exit codes that the manual lists, only gRPC statuses that exist', (t) => {
  const listed = new Set([0, 1, 2, 3, 4, 5, 7, 10, 11, 12, 13, 14, 15, 20, 124]);
  for (const [code, { exit, grpc }] of Object.entries(ERRORS)) {
    t.true(listed.has(exit), code);
    t.true(grpc >= 1 && grpc <= 16, code);
  }
});

test('assertNever – throws what it met', (t) => {
  t.throws(() => assertNever('odd' as never), { message: /"odd"/ });
});

test('deepEqual – agrees with isDeepStrictEqual on plain data', (t) => {
  const leaf = fc.oneof(
    fc.constantFrom(0, -0, Number.NaN, null, '', 1n, true),
    fc.uint8Array({ maxLength: 2 }),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('tree'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b'), tie('tree'), { noNullPrototype: true }),
      fc.array(fc.tuple(fc.constantFrom('a', 'b'), tie('tree')), { maxLength: 2 }).map((e) => new Map(e)),
      fc.array(fc.nat(2), { maxLength: 2 }).map((e) => new Set(e)),
    ),
  }));
  fc.assert(
    fc.property(tree, tree, (a, b) => {
      t.is(deepEqual(a, b), isDeepStrictEqual(a, b));
      t.true(deepEqual(a, structuredClone(a)));
    }),
    { numRuns: 1000 },
  );
});

test('deepEqual – absent is undefined, and a missing prototype is none', (t) => {
  t.true(deepEqual({ a: 1, b: undefined }, { a: 1 }));
  t.true(deepEqual({ a: 1 }, { a: 1, b: undefined }));
  t.false(deepEqual({ a: 1 }, { a: 1, b: null }));
  t.true(deepEqual(Object.assign(Object.create(null), { a: 1 }), { a: 1 }));
  t.false(deepEqual([], {}));
  t.false(deepEqual(Uint8Array.of(1), Int8Array.of(1)));
});
