import test from 'ava';
import { OTHER_ANNOTATIONS, POLICY_ANNOTATIONS, REFUSED_KINDS } from '#model/parse';
import { ccnp, read } from './read.ts';

/** That the object is refused as a whole, by this code, with a sentence and a remedy. */
function refusalsOf(text: string): readonly { readonly message: string; readonly hint?: string }[] {
  const [object] = read(text);
  if (object === undefined || object.value !== undefined) return [];
  return object.problems.filter((p) => p.code === 'NOT_SUPPORTED_YET');
}

for (const { kind, apiVersions } of REFUSED_KINDS) {
  test(`refusal – of the kind ${kind}`, (t) => {
    for (const apiVersion of apiVersions) {
      const [problem] = refusalsOf(`{apiVersion: ${apiVersion}, kind: ${kind}, metadata: {name: a}}`);
      t.is(problem?.message, `kind: the kind ${kind} is not supported yet`);
    }
  });
}

const values: Readonly<
  Record<string, { readonly refused: readonly string[]; readonly accepted: readonly string[] }>
> = {
  'merlon.io/enforcement': { refused: [], accepted: ['enforce', 'audit'] },
  'merlon.io/devices': { refused: ['eth1,wg+'], accepted: [] },
  'merlon.io/apply-on-forward': { refused: ['true'], accepted: [] },
  'merlon.io/pre-dnat': { refused: ['true'], accepted: [] },
  'merlon.io/existing-connections': { refused: ['keep'], accepted: [] },
  'merlon.io/deny-response': { refused: ['reject'], accepted: ['none'] },
  'merlon.io/limits': { refused: ['{}'], accepted: [] },
};

test('refusal – there is a case for every annotation of policies', (t) => {
  t.deepEqual(Object.keys(values).sort(), Object.keys(POLICY_ANNOTATIONS).sort());
});

for (const [key, { refused, accepted }] of Object.entries(values)) {
  test(`refusal – of the annotation ${key}`, (t) => {
    const host = (value: string) =>
      ccnp('{nodeSelector: {}, ingress: [{}]}', JSON.stringify({ [key]: value }));
    for (const value of refused) t.regex(refusalsOf(host(value))[0]?.message ?? '', /is not supported yet/);
    for (const value of accepted) t.deepEqual(read(host(value))[0]?.problems, []);
    const pods = ccnp(
      '{endpointSelector: {}, ingress: [{}]}',
      JSON.stringify({ [key]: refused[0] ?? accepted[0] }),
    );
    t.is(read(pods)[0]?.problems[0]?.code, 'MANIFEST_SCHEMA');
  });
}

test('refusal – annotations of other kinds are errors wherever they stand', (t) => {
  for (const key of Object.keys(OTHER_ANNOTATIONS)) {
    const [object] = read(ccnp('{nodeSelector: {}, ingress: [{}]}', JSON.stringify({ [key]: 'true' })));
    t.is(object?.problems[0]?.code, 'MANIFEST_SCHEMA', key);
  }
});
