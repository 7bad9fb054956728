/** What is watched is noticed each time, however it changes. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Changes } from '../../../src/cli/changes.ts';

/** A change that is not noticed fails the test instead of hanging it. */
const soon = (): AbortSignal => AbortSignal.timeout(60_000);

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'merlon-changes-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** As editors save: another file takes the place. */
async function save(file: string, text: string): Promise<void> {
  await writeFile(`${file}.part`, text);
  await rename(`${file}.part`, file);
}

for (const named of ['its folder', 'the file'] as const) {
  test(`changes – a file that is replaced again and again, where ${named} is named`, async (t) => {
    const path = await folder(t);
    const file = join(path, 'a.yaml');
    await save(file, 'one');
    using changes = new Changes();
    changes.watch(named === 'the file' ? file : path);
    for (const text of ['two', 'three', 'four']) {
      await save(file, text);
      t.true(await changes.next(soon()), text);
    }
  });
}

test('changes – a folder below that is made later', async (t) => {
  const path = await folder(t);
  using changes = new Changes();
  changes.watch(path);
  await mkdir(join(path, 'sub'));
  t.true(await changes.next(soon()));
  await save(join(path, 'sub/a.yaml'), 'one');
  t.true(await changes.next(soon()));
});

test('changes – a folder that goes and comes back', async (t) => {
  const path = join(await folder(t), 'cases');
  await mkdir(path);
  using changes = new Changes();
  changes.watch(path);
  await rm(path, { recursive: true });
  t.true(await changes.next(soon()));
  await mkdir(path);
  t.true(await changes.next(soon()));
  await save(join(path, 'a.yaml'), 'one');
  t.true(await changes.next(soon()));
});

test('changes – none when it is stopped', async (t) => {
  using changes = new Changes();
  changes.watch(await folder(t));
  t.false(await changes.next(AbortSignal.abort()));
});
