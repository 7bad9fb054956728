/** Both indexes say what holding every selector against every label set says. */
import test from 'ava';
import { parseCidr } from '#kit/ip';
import { labelSet } from '#kit/labels';
import { STANDALONE_POLICY_CONFIG } from '#model';
import { EMPTY_NUMBERING, expandPolicies, prefixIdentities } from '#policy';
import { cidrPoints, peerMatches } from '../../../src/policy/match.ts';
import { SelectorIndex } from '../../../src/policy/selector-index.ts';
import { LabelIndex } from '../../../src/policy/selectors.ts';
import { randomWorld } from './generate.ts';
import { Random } from './random.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

test(`selectors – both indexes agree with every pair, while some come and go (seed ${seed})`, (t) => {
  let found = 0;
  for (let i = 0; i < 150; i++) {
    const world = randomWorld(seed + i);
    const random = new Random(seed + i);
    const { identities } = prefixIdentities({ ...world, numbering: EMPTY_NUMBERING });
    const selectors = expandPolicies(world.policies, world.facts ?? t.fail()).flatMap(({ specs }) =>
      specs.flatMap(({ rules }) =>
        rules.flatMap(({ peers }) => (peers.kind === 'any' ? [] : peers.selectors.filter(isNoWildcard))),
      ),
    );
    const sets = new LabelIndex(world.config);
    const index = new SelectorIndex<(typeof selectors)[number]>(world.config);
    for (const { id, labels } of identities) sets.add(id, labels);
    for (const selector of selectors) index.add(selector, [selector]);
    const gone = new Set([
      ...identities.filter(() => random.chance(20)),
      ...selectors.filter(() => random.chance(20)),
    ]);
    for (const row of identities) if (gone.has(row)) sets.remove(row.id);
    for (const selector of selectors) if (gone.has(selector)) index.remove(selector);
    for (const { id, labels } of identities.filter((row) => !gone.has(row))) {
      const set = { labels, points: cidrPoints(labels, world.config) };
      const meaning = index.meaning(labels);
      for (const selector of selectors.filter((one) => !gone.has(one))) {
        const want = peerMatches(selector, set, world.config);
        t.is(meaning.has(selector), want);
        t.is(sets.membersOf({ name: '', wildcard: false, selectors: [selector] }).has(id), want);
        if (want) found++;
      }
    }
  }
  t.true(found > 1000, `${found}`);
});

test('selectors – of two label sets at one prefix one stays when the other goes', (t) => {
  const sets = new LabelIndex(STANDALONE_POLICY_CONFIG);
  const labels = (app: string) =>
    labelSet([
      { source: 'cidr', key: '10.1.0.0/16', value: '' },
      { source: 'k8s', key: 'app', value: app },
    ]);
  sets.add(1, labels('web'));
  sets.add(2, labels('db'));
  sets.remove(1);
  const cidr = parseCidr('10.0.0.0/8') ?? t.fail();
  const selectors = [{ kind: 'cidr', cidr, except: [] }] as const;
  t.deepEqual([...sets.membersOf({ name: '', wildcard: false, selectors })], [2]);
});

function isNoWildcard({ kind, ...rest }: { readonly kind: string; readonly entity?: string }): boolean {
  return kind !== 'entity' || rest.entity !== 'all';
}
