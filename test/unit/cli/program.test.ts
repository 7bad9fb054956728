import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { MerlonError } from '#kit/errors';
import { buildProgram, commands } from '../../../src/cli/program.ts';
import { GROUPS, VERBS } from '../../../src/cli/verbs.ts';

const environment = { env: {}, signal: new AbortController().signal };

const present = VERBS.filter((v) => v.load !== undefined);
const later = VERBS.filter((v) => v.load === undefined);

/** The verbs of the interface that others rely on; the list of the manual's first page. */
const PROMISED = [
  'agent',
  'status',
  'config',
  'devices',
  'reload',
  'uninstall',
  'endpoint add',
  'endpoint remove',
  'endpoint list',
  'endpoint get',
  'identity list',
  'ip list',
  'policy validate',
  'policy get',
  'policy status',
  'manifests status',
  'bpf policy get',
  'bpf ct list',
  'bpf ipcache list',
  'bpf metrics list',
  'ct list',
  'counters',
  'events',
  'failsafe list',
  'hostfw devices',
  'version',
  'help',
  'demo',
];

test('verbs – those that are promised are there', (t) => {
  const names = present.map((v) => v.name);
  t.deepEqual(
    PROMISED.filter((name) => !names.includes(name)),
    [],
  );
});

test('verbs – each name once, in a group that exists', (t) => {
  t.is(new Set(VERBS.map((v) => v.name)).size, VERBS.length);
  const groups = [...GROUPS, 'hidden'] as readonly string[];
  for (const { name, group } of VERBS) t.true(groups.includes(group), name);
});

for (const { name } of later) {
  test(`verbs – ${name} is known, and answered with one sentence`, async (t) => {
    const error = await t.throwsAsync(
      buildProgram(environment, [...name.split(' '), 'x', '--flag', '-o', 'json']),
      {
        instanceOf: MerlonError,
      },
    );
    t.is(error?.code, 'NOT_SUPPORTED_YET');
    t.is(error?.message, `this build has no \`merlon ${name}\` yet`);
  });
}

/** The help of a verb, as people read it. */
function helpOf(name: string): string {
  let at = commands(async () => {});
  for (const word of name.split(' ')) {
    const next = at.commands.find((c) => c.name() === word);
    if (next === undefined) throw new Error(`no command ${name}`);
    at = next;
  }
  let text = '';
  at.configureOutput({ writeOut: (more) => (text += more) });
  at.outputHelp();
  return text;
}

for (const { name, what, options, example, group } of present.filter((v) => v.group !== 'hidden')) {
  test(`help – ${name} says what it does, its flags, and an example that names it`, (t) => {
    const text = helpOf(name).replaceAll(/\s+/g, ' ');
    t.true(text.includes(what), text);
    for (const option of options ?? [])
      t.true(text.includes(option.what.replaceAll(/\s+/g, ' ')), option.flags);
    t.truthy(example, `${name} of ${group} has no example`);
    t.true(example?.startsWith(`merlon ${name}`), example);
    t.true(text.includes(example?.replaceAll(/\s+/g, ' ') ?? ''));
    t.true(text.includes('--run-dir') && text.includes('--output'));
  });
}

test('help – a group lists its verbs and counts those to come', (t) => {
  const text = helpOf('bpf');
  for (const name of ['bpf policy get', 'bpf ct list', 'bpf ipcache list']) t.true(text.includes(name));
  t.regex(text, /not in this build yet: \d+/);
});

test('flags – after a verb that has verbs below they are the lower verb’s own', async (t) => {
  const seen: unknown[] = [];
  const program = commands(async (verb, _args, options) => {
    seen.push([verb.name, options['output']]);
  });
  await program.parseAsync(['config', 'view', '-o', 'json'], { from: 'user' });
  await program.parseAsync(['config', '-o', 'yaml'], { from: 'user' });
  t.deepEqual(seen, [
    ['config view', 'json'],
    ['config', 'yaml'],
  ]);
});

/** Command lines of the documents: verbs and flags in them exist. */
const DOCUMENTS = ['README.md', 'docs/operating.md', 'docs/cli.md', 'docs/merlon.8.md'];
const FENCE = /```(?:sh|console|text)?\n([^]*?)```/g;

function linesOf(document: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, '../../..', document), 'utf8');
  const fenced = [...text.matchAll(FENCE)].flatMap(([, block = '']) => block.split('\n'));
  const inline = [...text.matchAll(/`(merlon [^`\n]+)`/g)].map(([, line = '']) => line);
  return [...fenced, ...inline]
    .map((line) =>
      line
        .replace(/^[$#] /, '')
        .replace(/\s+#.*$/, '')
        .replace(/ [|>&].*$/, '')
        .trim(),
    )
    .filter((line) => /^(sudo )?(\.\/)?merlon [a-z]/.test(line));
}

for (const document of DOCUMENTS) {
  test(`documents – the command lines of ${document} have verbs and flags that exist`, (t) => {
    const lines = linesOf(document);
    t.true(lines.length > 0);
    for (const line of lines) {
      const words = line.replace(/^(sudo )?(\.\/)?merlon /, '').split(/\s+/);
      const verb = VERBS.filter((v) => v.name.split(' ').every((w, i) => words[i] === w)).sort(
        (a, b) => b.name.length - a.name.length,
      )[0];
      if (verb === undefined) {
        // Verbs of a clone are scripts beside the launcher, and a group stands for its verbs.
        const isClone = ['test', 'ok', 'unit', 'build', 'gen', 'bench', 'golden'].includes(words[0] ?? '');
        const isGroup = VERBS.some((v) => v.name.startsWith(`${words.join(' ')} `));
        t.true(isClone || isGroup, `${document}: ${line}`);
        continue;
      }
      const known = [...(verb.options ?? []).map((o) => o.flags), '-o, --output', '--run-dir', '--help'].join(
        ' ',
      );
      for (const flag of words.filter((w) => /^--?[a-z]/.test(w)))
        t.true(known.split(/[ ,]+/).includes(flag.replace(/=.*/, '')), `${document}: ${line}: ${flag}`);
    }
  });
}
