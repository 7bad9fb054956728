import test from 'ava';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatError, formatAt } from '#kit/errors';
import { type FileStat, type FileSystem, loadNodeConfig, nodeFileSystem } from '#files';
import { DEFAULT_PARSE_OPTIONS, errorFromProblem, parseManifest } from '#model/parse';

const examples = join(import.meta.dirname, '../../../deploy/examples');
const files = readdirSync(examples, { recursive: true, encoding: 'utf8' }).filter((f) =>
  /\.(yaml|yml|json)$/.test(f),
);

test('examples – there are policies, workloads and a configuration', (t) => {
  t.true(files.includes('merlon.yaml') && files.includes('workloads.yaml'));
  t.true(files.filter((f) => f.startsWith('policies/')).length >= 4);
});

const manifests = files.filter(
  (f) => f !== 'merlon.yaml' && !f.startsWith('broken/') && !f.endsWith('.case.yaml'),
);
for (const file of manifests) {
  test(`examples – ${file} is accepted as it is, without a warning`, (t) => {
    const objects = parseManifest(readFileSync(join(examples, file), 'utf8'), {
      ...DEFAULT_PARSE_OPTIONS,
      file,
    });
    t.true(objects.length > 0);
    for (const object of objects) {
      t.deepEqual(
        object.problems.map((p) => formatError(errorFromProblem(p))),
        [],
      );
      t.deepEqual(
        object.warnings.map((w) => w.message),
        [],
      );
      t.truthy(object.value);
    }
  });
}

for (const file of files.filter((f) => f.startsWith('broken/'))) {
  test(`examples – ${file} is refused`, (t) => {
    const objects = parseManifest(readFileSync(join(examples, file), 'utf8'), {
      ...DEFAULT_PARSE_OPTIONS,
      file,
    });
    t.true(objects.some((o) => o.problems.length > 0));
  });
}

test('examples – merlon.yaml is accepted', async (t) => {
  const file = join(examples, 'merlon.yaml');
  const agent = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const { config, problems } = await loadNodeConfig({ file, isOptional: false, agent, fs: trusting() });
  t.deepEqual(problems, []);
  t.is(config?.values['hostfw.mode'], 'enforce');
});

test('examples – lines of rules are those of the files', (t) => {
  const file = 'policies/star-wars-l3-l4.yaml';
  const text = readFileSync(join(examples, file), 'utf8');
  const [object] = parseManifest(text, { ...DEFAULT_PARSE_OPTIONS, file });
  const rule = object?.value?.kind === 'policy' ? object.value.policy.specs[0]?.rules[0] : undefined;
  const line = text.split('\n').findIndex((l) => /^\s+- fromEndpoints/.test(l)) + 1;
  t.is(formatAt(rule?.at), `${file}:${line}:7`);
});

/** The machine's files with root as their owner: a clone may belong to anybody. */
function trusting(): FileSystem {
  const owned = (stat: FileStat): FileStat => ({ ...stat, uid: 0, gid: 0, mode: 0o644 });
  return {
    ...nodeFileSystem,
    stat: async (path) => owned(await nodeFileSystem.stat(path)),
    read: async (path, max) => {
      const { stat, bytes } = await nodeFileSystem.read(path, max);
      return { stat: owned(stat), bytes };
    },
  };
}
