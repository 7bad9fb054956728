import test from 'ava';
import {
  OTHER_ANNOTATIONS,
  POLICY_ANNOTATIONS,
  REFUSED_FIELDS,
  REFUSED_KINDS,
  type RefusedField,
} from '#model/parse';
import { ccnp, cnp, read } from './read.ts';

const E = 'endpointSelector: {}';
const ingress = (text: string) => cnp(`{${E}, ingress: [${text}]}`);
const egress = (text: string) => cnp(`{${E}, egress: [${text}]}`);
const port = (text: string) => ingress(`{toPorts: [{ports: [{port: "443", protocol: TCP}], ${text}}]}`);

/** An object for each refusal of a field; the compiler of types makes the list complete. */
const fields: Readonly<Record<RefusedField, readonly string[]>> = {
  authentication: [
    ingress('{authentication: {mode: required}}'),
    egress('{authentication: {mode: test-always-fail}}'),
  ],
  http: [port('rules: {http: [{}]}')],
  kafka: [port('rules: {kafka: [{topic: a}]}')],
  dns: [
    egress('{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]}'),
    ccnp(
      '{nodeSelector: {}, egress: [{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchName: a}]}}]}]}',
    ),
  ],
  l7proto: [port('rules: {l7proto: envoy}')],
  l7: [port('rules: {l7proto: envoy, l7: [{a: b}]}')],
  serverNames: [port('serverNames: [example.com]')],
  terminatingTLS: [port('terminatingTLS: {secret: {name: a}}')],
  originatingTLS: [port('originatingTLS: {secret: {name: a}}')],
  listener: [egress('{toPorts: [{ports: [{port: "80"}], listener: {name: a, envoyConfig: {name: b}}}]}')],
};

/** That the object is refused as a whole, by this code, with a sentence and a remedy. */
function refusalsOf(text: string): readonly { readonly message: string; readonly hint?: string }[] {
  const [object] = read(text);
  if (object === undefined || object.value !== undefined) return [];
  return object.problems.filter((p) => p.code === 'NOT_SUPPORTED_YET');
}

for (const [name, texts] of Object.entries(fields)) {
  test(`refusal – of ${REFUSED_FIELDS[name as RefusedField].what} (${name})`, (t) => {
    for (const text of texts) {
      const found = refusalsOf(text).filter((p) =>
        p.message.includes(REFUSED_FIELDS[name as RefusedField].what),
      );
      t.true(found.length > 0, text);
      for (const { message, hint } of found) {
        t.regex(message, /: .* is not supported yet, so the whole object is refused$/);
        t.truthy(hint);
      }
    }
  });
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
  'merlon.io/enforcement': { refused: ['audit'], accepted: ['enforce'] },
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
    const pods = ccnp('{endpointSelector: {}, ingress: [{}]}', JSON.stringify({ [key]: refused[0] }));
    t.is(read(pods)[0]?.problems[0]?.code, 'MANIFEST_SCHEMA');
  });
}

test('refusal – annotations of other kinds are errors wherever they stand', (t) => {
  for (const key of Object.keys(OTHER_ANNOTATIONS)) {
    const [object] = read(ccnp('{nodeSelector: {}, ingress: [{}]}', JSON.stringify({ [key]: 'true' })));
    t.is(object?.problems[0]?.code, 'MANIFEST_SCHEMA', key);
  }
});
