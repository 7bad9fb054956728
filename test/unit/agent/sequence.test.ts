import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { reserveSequence } from '../../../src/agent/sequence.ts';

test('sequence – each start has a block of its own, and one that cannot be reserved is told, not fatal', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'merlon-sequence-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const told: unknown[] = [];
  const reserve = (folder: string) => reserveSequence(folder, (error) => told.push(error));
  t.is(await reserve(dir), 1);
  t.is(await reserve(dir), 1 + 2 ** 20);
  t.deepEqual(told, []);
  const blocked = join(dir, 'a-file');
  writeFileSync(blocked, '');
  t.is(await reserve(join(blocked, 'state')), 1);
  t.is(told.length, 1);
  t.like(told[0], { code: 'STATE_WRITE' });
});
