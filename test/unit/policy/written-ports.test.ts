/**
 * Ports as written and ports as meant: lists that mean the same ports are one list to the classes, but what a rule
 * was written for decides which ports a DNS rule asks of (policy.md §6.2) and which rules are merged (§9.6). None of
 * it may depend on which of two such rules came first.
 */
import test from 'ava';
import fc from 'fast-check';
import type { Policy, PortMatch, ProxyRules, Rule } from '#model';
import { evaluate, type Flow, type World } from '#oracle';
import { CompileMemo, canonicalDump, compile, EMPTY_NUMBERING, permits, prefixIdentities } from '#policy';
import { flow, world } from './cases.ts';
import { compileWorld } from './compiled-world.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

const udp = (first: number, last = first): PortMatch => ({ kind: 'ports', protocol: 17, first, last });

/** The first ones mean UDP 53 to 56, the others have a range in common with one or another of these. */
const FORMS: readonly (readonly PortMatch[])[] = [
  [udp(53, 56)],
  [udp(53, 54), udp(55, 56)],
  [udp(53), udp(54, 56)],
  [udp(53, 55), udp(54, 56)],
  [udp(53), udp(53, 56)],
  [udp(55, 56), udp(53, 54), udp(55, 56)],
  [udp(53), udp(54, 60)],
  [udp(53, 54), udp(58)],
];

interface Part {
  readonly form: number;
  /** The names a DNS rule lets pass; undefined: a rule without proxy. */
  readonly names: readonly string[] | undefined;
  readonly verdict: Rule['verdict'];
  readonly everybody: boolean;
}

const parts = fc.array(
  fc.record<Part>({
    form: fc.nat(FORMS.length - 1),
    names: fc.option(fc.subarray(['a.io', '*.b.io', 'c.io'], { minLength: 1 }), { nil: undefined }),
    verdict: fc.constantFrom('allow', 'allow', 'allow', 'deny'),
    everybody: fc.boolean(),
  }),
  { minLength: 2, maxLength: 6 },
);

/** A policy with one rule; those not about everybody select the subject of the world alone. */
function policyOf({ form, names, verdict, everybody }: Part, i: number): Policy {
  const app = { source: 'k8s', key: 'app', operator: 'In', values: ['web'] } as const;
  const proxy: ProxyRules | undefined = names && { serverNames: [], l7: { kind: 'dns', rules: names } };
  const name = `p${i}`;
  return {
    key: `CiliumNetworkPolicy/shop/${name}`,
    kind: 'CiliumNetworkPolicy',
    namespace: 'shop',
    name,
    at: {},
    source: 'test',
    contentHash: JSON.stringify([form, names, verdict, everybody]),
    specs: [
      {
        index: 0,
        subject: { kind: 'endpoints', selector: { requirements: everybody ? [] : [app] } },
        defaultDeny: { ingress: false, egress: true },
        rules: [
          {
            ...{ id: `shop/${name}/0/egress/0`, at: {}, direction: 'egress', tier: 0, priority: 0 },
            verdict,
            peers: { kind: 'any' },
            ports: { kind: 'list', matches: FORMS[form] ?? [] },
            ...(proxy === undefined || verdict === 'deny' ? {} : { proxy }),
          },
        ],
      },
    ],
  };
}

/** Compiled with what compilations of the first policies alone left behind. */
function dumpOfHistory(given: World): string {
  const memo = new CompileMemo();
  const { identities } = prefixIdentities({ ...given, numbering: EMPTY_NUMBERING });
  const labels = new Map(identities.map((row) => [row.id, row.labels]));
  const dumps = given.policies.map((_, i) => {
    const compiled = compile({ ...given, policies: given.policies.slice(0, i + 1), identities }, memo);
    return canonicalDump(compiled, (id) => labels.get(id));
  });
  return dumps.at(-1) ?? '';
}

test(`compile – of lists that mean the same ports none depends on which came first (seed ${seed})`, (t) => {
  const base = world('');
  fc.assert(
    fc.property(parts, fc.infiniteStream(fc.nat()), (some, keys) => {
      const policies = some.map(policyOf);
      const order = policies.map((policy) => ({ policy, key: keys.next().value ?? 0 }));
      const shuffled = order.sort((a, b) => a.key - b.key).map(({ policy }) => policy);
      const want = compileWorld({ ...base, policies }).dump;
      if (compileWorld({ ...base, policies: shuffled }).dump !== want) throw new Error('another order');
      if (dumpOfHistory({ ...base, policies: shuffled }) !== want) throw new Error('another history');
    }),
    { seed, numRuns: 300 },
  );
  t.pass();
});

test(`compile – a DNS rule is for the ports that it was written for, as the oracle has it (seed ${seed})`, (t) => {
  const base = world('');
  const asked: Flow = { ...flow('egress', 'world', 'UDP:54'), request: { dns: 'x.io' } };
  const seen = { wildcard: 0, named: 0 };
  fc.assert(
    fc.property(parts, (some) => {
      const given = { ...base, policies: some.map(policyOf) };
      const { verdict, origin, proxy } = compileWorld(given).cellOf(asked);
      const want = evaluate(given, asked);
      const permitted = proxy && permits(proxy, asked.request ?? {});
      if (proxy !== undefined) seen[proxy.wildcard ? 'wildcard' : 'named']++;
      const is = [verdict, origin.join(), proxy?.parser, permitted].join(' ');
      const shall = [want.verdict, want.rules.join(), want.parser, want.permitted].join(' ');
      if (is !== shall) throw new Error(`tables say ${is}, oracle ${shall}`);
    }),
    { seed, numRuns: 300 },
  );
  t.true(seen.wildcard > 0 && seen.named > 0, JSON.stringify(seen));
});
