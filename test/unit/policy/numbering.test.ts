import test from 'ava';
import fc from 'fast-check';
import { labelSet } from '#kit/labels';
import {
  EMPTY_NUMBERING,
  type Numbering,
  numberingPast,
  renumber as change,
  type WantedIdentity,
} from '#policy';

/** The numbering in which exactly the wanted sets have numbers. */
function renumber(old: Numbering, wanted: readonly WantedIdentity[]): Numbering {
  const keyOf = ({ scope, labels }: WantedIdentity): string => `${scope} ${labels.key}`;
  const had = (['cluster', 'local', 'remote-node'] as const).flatMap((scope) =>
    old[scope].given.map((row) => ({ scope, row, labels: row.labels })),
  );
  const before = new Set(had.map(keyOf));
  const now = new Map(wanted.map((one) => [keyOf(one), one]));
  return change(old, {
    gone: had.filter((one) => !now.has(keyOf(one))),
    come: [...now.values()].filter((one) => !before.has(keyOf(one))),
  });
}

const numberOf = (numbering: Numbering, { scope, labels }: WantedIdentity) =>
  numbering[scope].given.find((row) => row.labels.key === labels.key)?.id;

const wanted = (name: string, scope: WantedIdentity['scope'] = 'cluster'): WantedIdentity => ({
  scope,
  labels: labelSet([{ source: 'k8s', key: 'app', value: name }]),
});

test('numbering – each scope has numbers of its own', (t) => {
  const all = [wanted('a'), wanted('a', 'local'), wanted('a', 'remote-node')];
  const numbering = renumber(EMPTY_NUMBERING, all);
  t.deepEqual(
    all.map((one) => numberOf(numbering, one)),
    [256, 16777216, 33554432].map((n) => n as never),
  );
});

test('numbering – a label set keeps its number whatever comes and goes beside it', (t) => {
  const first = renumber(EMPTY_NUMBERING, [wanted('b'), wanted('c')]);
  const second = renumber(first, [wanted('a'), wanted('c')]);
  t.is(numberOf(second, wanted('c')), numberOf(first, wanted('c')));
  t.is(numberOf(second, wanted('b')), undefined);
});

test('numbering – of what is freed, the one that was freed first has rested longest', (t) => {
  const [a, b] = [wanted('a'), wanted('b')];
  const both = renumber(EMPTY_NUMBERING, [a, b]);
  t.deepEqual(
    [numberOf(both, a), numberOf(both, b)],
    [256, 257].map((n) => n as never),
  );
  t.deepEqual(renumber(renumber(both, [a]), []).cluster.resting, [257, 256]);
});

test('numbering – the order of what is wanted does not matter', (t) => {
  const some = [wanted('x'), wanted('y'), wanted('z')];
  t.deepEqual(renumber(EMPTY_NUMBERING, some), renumber(EMPTY_NUMBERING, [...some].reverse()));
});

test('numbering – nothing new and nothing freed is the same numbering', (t) => {
  const first = renumber(EMPTY_NUMBERING, [wanted('a')]);
  t.is(renumber(first, [wanted('a')]).cluster, first.cluster);
});

test('numberingPast – numbers up to those in use are not given, each in its scope', (t) => {
  const all = [wanted('a'), wanted('a', 'local'), wanted('a', 'remote-node')];
  const past = numberingPast(EMPTY_NUMBERING, [1, 300, 16777216]);
  t.deepEqual(
    all.map((one) => numberOf(renumber(past, all), one)),
    [301, 16777217, 33554432].map((n) => n as never),
  );
  const given = renumber(EMPTY_NUMBERING, all);
  t.deepEqual(numberingPast(given, [2, 256, 16777216, 33554432]), given, 'those given are known');
});

const many = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => wanted(`${name}${i}`, 'local'));
const idsOf = (numbering: Numbering) => [...numbering.local.given.values()].map((row) => row.id);

test('numbering – freed numbers rest until 16,384 others were freed after them, oldest first', (t) => {
  const first = renumber(EMPTY_NUMBERING, many('a', 16_385));
  const second = renumber(first, []);
  const third = renumber(second, many('b', 2));
  t.deepEqual(
    idsOf(third),
    [16777216, 16777216 + 16_385].map((n) => n as never),
    'the oldest, then a new one',
  );
});

test('numbering – what one change frees, the same change never gives', (t) => {
  const first = renumber(EMPTY_NUMBERING, many('a', 40_000));
  const second = renumber(first, many('b', 40_000));
  const before = new Set(idsOf(first));
  t.true(idsOf(second).every((id) => !before.has(id)));
});

test('numbering – the cluster scope ends at 65535, then what rests is given, then it is exhausted', (t) => {
  const full = Array.from({ length: 65280 }, (_, i) => wanted(String(i)));
  const numbering = renumber(EMPTY_NUMBERING, full);
  t.is(Math.max(...[...numbering.cluster.given.values()].map((row) => row.id)), 65535);
  t.throws(() => renumber(numbering, [...full, wanted('one more')]), { message: /cluster scope/ });
  const replaced = renumber(renumber(numbering, full.slice(1)), [...full.slice(1), wanted('one more')]);
  t.is(numberOf(replaced, wanted('one more')), numberOf(numbering, wanted('0')));
});

test('numbering – wanted sets have numbers, all different, and no others have', (t) => {
  const names = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(names, { maxLength: 8 }), (steps) => {
      let numbering: Numbering = EMPTY_NUMBERING;
      for (const step of steps) {
        numbering = renumber(
          numbering,
          step.map((name) => wanted(name)),
        );
        const given = [...numbering.cluster.given.values()];
        const ids = new Set(given.map((row) => row.id));
        if (ids.size !== new Set(step).size || given.length !== ids.size) return false;
        if (numbering.cluster.resting.some((id) => ids.has(id as never))) return false;
      }
      return true;
    }),
  );
  t.pass();
});
