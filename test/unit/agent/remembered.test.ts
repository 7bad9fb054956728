import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { labelSet } from '#kit/labels';
import type { Policy } from '#model';
import { EMPTY_NUMBERING, renumber, type WantedIdentity } from '#policy';
import type { Enforced } from '../../../src/agent/control.ts';
import { Remembered } from '../../../src/agent/remembered.ts';

const wanted = (name: string): WantedIdentity => ({
  scope: 'local',
  labels: labelSet([{ source: 'k8s', key: 'app', value: name }]),
});
const come = (...all: WantedIdentity[]) => ({ come: all, gone: [] });
const enforced = (numbering: Enforced['numbering'], policies: number): Enforced =>
  ({ numbering, input: { policies: new Array<Policy>(policies), held: new Map() } }) as unknown as Enforced;

test('Remembered – a successor finds what was written, and what has not changed is not written again', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'merlon-remembered-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const open = () => Remembered.open(dir, (problem) => t.fail(problem.message));
  const first = await open();
  t.is(first.policies, undefined);
  const numbering = renumber(first.inherited.numbering, come(wanted('a'), wanted('b')));
  await first.write(enforced(numbering, 2));
  const inode = (name: string) => statSync(join(dir, name)).ino;
  const before = [inode('identities.json'), inode('policies.count')];
  await first.write(enforced(renumber(numbering, { come: [], gone: [] }), 2));
  t.deepEqual([inode('identities.json'), inode('policies.count')], before);
  const second = await open();
  t.is(second.policies, 2);
  t.deepEqual(second.inherited.numbering, numbering);
  await second.write(
    enforced(
      renumber(numbering, {
        come: [],
        gone: numbering.local.given.slice(1).map((row) => ({ scope: 'local', row })),
      }),
      1,
    ),
  );
  t.not(inode('identities.json'), before[0]);
  const third = await open();
  t.is(third.inherited.numbering.local.given.length, 1);
  t.is(third.policies, 1);
});

test('Remembered – what could not be written is written the next time, changed or not', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'merlon-remembered-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const blocked = join(dir, 'state');
  const one = await Remembered.open(join(blocked, 'not-a-folder'), () => {});
  const numbering = renumber(one.inherited.numbering, come(wanted('a')));
  writeFileSync(blocked, 'a file where the folder should be');
  await t.throwsAsync(one.write(enforced(numbering, 1)), { code: 'STATE_WRITE' } as never);
  rmSync(blocked);
  await one.write(enforced(numbering, 1));
  const next = await Remembered.open(join(blocked, 'not-a-folder'), (problem) => t.fail(problem.message));
  t.deepEqual(next.inherited.numbering, numbering);
});

const row = (id: number, name: string) => ({ id, labels: wanted(name).labels });
const scope = (given: unknown, next: number) => ({ given, resting: [7, 5], next });

test('Remembered – numbers that the first version of the file kept by labels are the same numbers', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'merlon-remembered-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const byLabels = { $map: [row(400, 'b'), row(300, 'a')].map((one) => [one.labels.key, one]) };
  const none = scope({ $map: [] }, 500);
  const content = { cluster: none, local: scope(byLabels, 401), 'remote-node': none };
  writeFileSync(join(dir, 'identities.json'), JSON.stringify({ version: 1, content }));
  const { inherited } = await Remembered.open(dir, (problem) => t.fail(problem.message));
  t.deepEqual(inherited.numbering.local, {
    given: [row(300, 'a'), row(400, 'b')],
    resting: [7, 5],
    next: 401,
  } as never);
  const next = renumber(inherited.numbering, come(wanted('c')));
  t.deepEqual(
    next.local.given.map(({ id }) => Number(id)),
    [300, 400, 401],
  );
});

const good = scope([], 300);
for (const [what, content] of [
  ['lacks a scope', { cluster: good, local: good }],
  ['has rows that are none', { cluster: scope([null], 300), local: good, 'remote-node': good }],
  ['has no next number', { cluster: { given: [], resting: [] }, local: good, 'remote-node': good }],
  ['is a list', []],
] as const) {
  test(`Remembered – a file of numbers that ${what} is put aside, and costs the numbers`, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'merlon-remembered-'));
    t.teardown(() => rmSync(dir, { recursive: true }));
    writeFileSync(join(dir, 'identities.json'), JSON.stringify({ version: 2, content }));
    const told: string[] = [];
    const { inherited } = await Remembered.open(dir, ({ code }) => told.push(code));
    t.deepEqual(told, ['STATE_CORRUPT']);
    t.deepEqual(inherited.numbering, EMPTY_NUMBERING);
    t.true(statSync(join(dir, 'identities.json.bad')).size > 0);
  });
}
