/**
 * Documents made to hurt are read in a process with little memory and a bounded time, as manifest, as case and as
 * NodeConfig, and each either has no fault or tells it with line and column. What they took is reported.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { HOSTILE } from './hostile.ts';
import type { Reading } from './read-documents.ts';

const run = promisify(execFile);
/** Megabytes for everything that lives, Node's own included; and for what has just been made. */
const HEAP = ['--max-old-space-size=160', '--max-semi-space-size=8'];
/** Runaways end here, on the slowest of machines. */
const LIMIT_MS = 15 * 60_000;
const reader = join(import.meta.dirname, 'read-documents.ts');

test.serial('documents – none ends the reader, and each fault has its place', async (t) => {
  t.timeout(LIMIT_MS, 'a mebibyte each');
  const { stdout } = await run(process.execPath, [...HEAP, reader], { timeout: LIMIT_MS });
  const readings = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Reading);
  t.deepEqual(
    readings.map(({ name }) => name),
    [...HOSTILE.keys()],
  );
  for (const { name, unplaced, longest } of readings) {
    t.deepEqual(unplaced, [], name);
    t.true(longest < 1000, `${name}: a message of ${longest} signs`);
  }
  const dearest = [...readings].sort((a, b) => b.cpuMs - a.cpuMs).slice(0, 5);
  t.log(`most CPU: ${dearest.map(({ name, cpuMs }) => `${cpuMs} ms (${name})`).join(', ')}`);
  t.log(`${readings.length} documents within ${readings.at(-1)?.peakMegabytes} MB, Node included`);
});
