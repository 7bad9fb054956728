/** The list of selectors: each once, with its users, meaning whom the naive judge means. */
import test from 'ava';
import { type Ip, parseIp } from '#kit/ip';
import { type Policy, RESERVED_IDENTITY, type Rule, selectorOf } from '#model';
import { evaluate, type World } from '#oracle';
import { selectorUses } from '#policy';
import { compileWorld } from './compiled-world.ts';
import { ADDRESSES, randomWorld } from './generate.ts';

const WORLDS = 60;

/** Whether the naive judge takes the address for a peer of the rule: asked by denying it, which beats all else. */
function isMeant(world: World, { peers, direction }: Rule, address: Ip): boolean {
  const [endpoint] = world.endpoints;
  const probe: Rule = {
    ...{ id: 'probe', at: {}, tier: 0, priority: 0 },
    ...{ verdict: 'deny', ports: { kind: 'any' }, peers, direction },
  };
  const subject = { kind: 'endpoints' as const, selector: { requirements: [] } };
  const spec = { index: 0, subject, defaultDeny: { ingress: true, egress: true }, rules: [probe] };
  const policy: Policy = {
    ...{ key: 'probe', kind: 'CiliumClusterwideNetworkPolicy', namespace: undefined, name: 'probe', at: {} },
    ...{ source: 'directory', contentHash: 'probe', specs: [spec] },
  };
  const { held: _, ...alone } = world;
  const config = { ...world.config, enforcement: 'default' as const };
  const { rules } = evaluate(
    { ...alone, config, policies: [policy] },
    { subject: endpoint?.id ?? 0, direction, peer: address, protocol: 6, port: 80 },
  );
  return rules.includes('probe');
}

test('selectors – a peer selector has the identities of exactly those addresses that it means', (t) => {
  let compared = 0;
  for (let seed = 1; seed <= WORLDS; seed++) {
    const world = randomWorld(seed);
    const { identities, identityOf } = compileWorld(world);
    const uses = selectorUses({ ...world, identities, identityOf: () => undefined });
    const rules = world.policies.flatMap(({ specs }) => specs.flatMap((spec) => spec.rules));
    for (const { users, role, selector, identities: found } of uses) {
      if (role !== 'peer') continue;
      const rule = rules.find(({ id }) => id === users[0]?.id);
      // Only a rule of one selector says which one it is.
      if (rule?.peers.kind !== 'list' || rule.peers.selectors.length !== 1) continue;
      for (const text of ADDRESSES) {
        const address = parseIp(text);
        if (address === undefined) throw new Error(text);
        if (!(address.family === 4 ? world.config.ipv4 : world.config.ipv6)) continue;
        const what = `world ${seed}: ${selector} and ${text}`;
        t.is(found.includes(identityOf(address)), isMeant(world, rule, address), what);
        compared += 1;
      }
    }
  }
  t.true(compared > 1000, 'the worlds have selectors to compare');
});

const at = (line: number) => ({ file: 'a.yaml', line });
const web = selectorOf([{ source: 'any', key: 'app', operator: 'In', values: ['web'] }]);

test('selectors – equal ones are one row, with every owner and user; subjects stand before peers', (t) => {
  const world = randomWorld(1);
  const { identities } = compileWorld(world);
  const policy = (name: string, line: number) => ({
    key: `CiliumClusterwideNetworkPolicy//${name}`,
    kind: 'CiliumClusterwideNetworkPolicy' as const,
    namespace: undefined,
    name,
    at: at(line),
    source: 'directory',
    contentHash: name,
    specs: [
      {
        index: 0,
        subject: { kind: 'node' as const, selector: { requirements: [] } },
        defaultDeny: { ingress: true, egress: false },
        rules: [0, 1].map((i) => ({
          id: `${name}/0/ingress/${i}`,
          at: at(line + 1 + i),
          direction: 'ingress' as const,
          verdict: 'allow' as const,
          tier: 0,
          priority: 0,
          peers: { kind: 'list' as const, selectors: [{ kind: 'labels' as const, selector: web }] },
          ports: { kind: 'any' as const },
        })),
      },
    ],
  });
  const uses = selectorUses({
    ...world,
    policies: [policy('one', 10), policy('two', 20)],
    identities,
    identityOf: () => undefined,
  });
  const owners = ['CiliumClusterwideNetworkPolicy/one', 'CiliumClusterwideNetworkPolicy/two'];
  t.deepEqual(
    uses.map(({ identities: _, ...rest }) => rest),
    [
      {
        selector: 'node {}',
        role: 'subject',
        owners,
        users: [
          { id: 'one/0', at: at(10) },
          { id: 'two/0', at: at(20) },
        ],
      },
      {
        selector: '{any:app=web}',
        role: 'peer',
        owners,
        users: [
          { id: 'one/0/ingress/0', at: at(11) },
          { id: 'one/0/ingress/1', at: at(12) },
          { id: 'two/0/ingress/0', at: at(21) },
          { id: 'two/0/ingress/1', at: at(22) },
        ],
      },
    ],
  );
  t.deepEqual(uses[0]?.identities, [RESERVED_IDENTITY.host]);
});
