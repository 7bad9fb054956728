/** What a verb loads before it speaks to the agent: every invocation pays for it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

/** Tells at the end which of these were loaded: a package's file, a part of Node. */
const WATCH = `
import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
process.on('exit', () => {
  const heavy = [...loaded, ...process.moduleLoadList].filter((name) => /string-width|undici|\\byaml\\b|\\bajv\\b/.test(name));
  process.stdout.write(JSON.stringify(heavy));
});
`;

test('start – what asks the agent loads neither a web client nor parsers nor tables of letters', async (t) => {
  const args = ['--import', `data:text/javascript,${encodeURIComponent(WATCH)}`];
  const verb = [join(process.cwd(), 'src/cli/main.ts'), 'status', '--run-dir', '/nowhere'];
  const run = promisify(execFile)(process.execPath, [...args, ...verb]);
  const { stdout, stderr } = await run.catch((error: unknown) => error as Awaited<typeof run>);
  t.regex(stderr, /no agent at/);
  t.deepEqual(JSON.parse(stdout), []);
});
