import test from 'ava';
import { type Label, labelSet, parseLabel } from '#kit/labels';
import { identityLabels, labelFilter } from '#policy';

const kept = (text: string, entries: readonly string[] = []) => {
  const label = parseLabel(text);
  const labels: Label[] = label === undefined ? [] : [label];
  return identityLabels(labelSet(labels), labelFilter(entries)).labels.length === 1;
};

const cases: readonly [label: string, isKept: boolean][] = [
  ['k8s:app=web', true],
  ['k8s:app.kubernetes.io/name=web', true],
  ['k8s:io.kubernetes.pod.namespace=shop', true],
  ['k8s:io.cilium.k8s.namespace.labels.team=sales', true],
  ['k8s:io.cilium.k8s.policy.cluster=default', true],
  ['k8s:io.cilium.k8s.policy.serviceaccount=default', true],
  ['reserved:host', true],
  ['k8s:io.kubernetes.container.name=x', false],
  ['k8s:kubernetes.io/arch=amd64', false],
  ['k8s:node.beta.kubernetes.io/x=y', false],
  ['k8s:k8s.io/x=y', false],
  ['k8s:topology.kubernetes.io/zone=a', false],
  ['k8s:pod-template-hash=abc', false],
  ['k8s:pod-template-generation=1', false],
  ['k8s:controller-revision-hash=abc', false],
  ['k8s:controller-uid=abc', false],
  ['k8s:batch.kubernetes.io/job-completion-index=1', false],
  ['k8s:statefulset.kubernetes.io/pod-name=db-0', false],
  ['k8s:apps.kubernetes.io/pod-index=0', false],
  ['k8s:annotation.x=y', false],
  ['k8s:etcd_node=x', false],
  ['k8s:myapp.kubernetes.io=x', true],
  ['k8s:my.k8s.io/x=y', true],
];
for (const [label, isKept] of cases) {
  test(`identity labels – ${label} is ${isKept ? 'kept' : 'dropped'}`, (t) => t.is(kept(label), isKept));
}

test('identity labels – an entry of the user ignores more', (t) => {
  t.false(kept('k8s:version=1', ['!version']));
  t.true(kept('k8s:app=web', ['!version']));
});

test('identity labels – an inclusive entry of the user makes an allow-list', (t) => {
  t.true(kept('k8s:app=web', ['app']));
  t.false(kept('k8s:version=1', ['app']));
  t.true(kept('k8s:io.kubernetes.pod.namespace=shop', ['app']), 'defaults stay');
  t.true(kept('reserved:host', ['app']), 'reserved labels, too');
  t.true(kept('k8s:app.kubernetes.io/name=web', ['team']), 'and those of a family');
});

/** Of an inclusive and an exclusive match the longer decides; the shortest exclusive one, where there are several. */
const both: readonly [what: string, label: string, entries: readonly string[], isKept: boolean][] = [
  ['a longer inclusive match', 'k8s:kubernetes.io/arch=amd64', ['kubernetes\\.io/arch'], true],
  ['a longer exclusive match', 'k8s:app-internal=1', ['app', '!app-internal'], false],
  ['as long: what was named to be dropped', 'k8s:pod-template-hash=abc', ['pod-template-hash-?'], false],
  ['a family that is kept by default', 'k8s:app.kubernetes.io/name=web', ['!app\\.kubernetes\\.io'], false],
  ['one of that family', 'k8s:app.kubernetes.io/version=1', ['!app\\.kubernetes\\.io/version'], false],
  ['another of that family', 'k8s:app.kubernetes.io/name=web', ['!app\\.kubernetes\\.io/version'], true],
  [
    'the shorter exclusion of all io.kubernetes',
    'k8s:io.kubernetes.pod.namespace=shop',
    ['!io\\.kubernetes\\.pod\\.namespace'],
    true,
  ],
  ['the shortest exclusive match', 'k8s:abc-def=1', ['abc-', '!ab', '!abc-def'], true],
  ['an entry that matches nothing of the key', 'k8s:app=web', ['!x*'], true],
];
for (const [what, label, entries, isKept] of both) {
  test(`identity labels – ${what} decides: ${label}`, (t) => t.is(kept(label, entries), isKept));
}

test('identity labels – an entry may name the source', (t) => {
  t.false(kept('container:app=web', ['container:!app']));
  t.true(kept('k8s:app=web', ['container:!app']));
  t.false(kept('k8s:ignore=me', [':!ignor[eE]']), 'an empty source is every source');
});

test('identity labels – an entry that is no regular expression is refused', (t) => {
  const error = t.throws(() => labelFilter(['app(']));
  t.regex(error.message, /label filter "app\(" is no regular expression/);
});
