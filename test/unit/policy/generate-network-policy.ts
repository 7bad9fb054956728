/** Random NetworkPolicies as people write them, translated by the parser: what comes of them is policy like any other. */
import type { Policy } from '#model';
import { parsePolicies } from '#model/parse';
import type { Random } from './random.ts';

/** What the worlds of `generate.ts` are made of. */
export interface Vocabulary {
  readonly namespaces: readonly string[];
  readonly labels: readonly (readonly [key: string, values: readonly string[]])[];
  /** A prefix, and those that lie in it. */
  readonly prefixes: readonly { readonly cidr: string; readonly inside: readonly string[] }[];
  readonly portNames: readonly string[];
}

export function randomNetworkPolicy(random: Random, index: number, words: Vocabulary): Policy {
  const direction = (peers: 'from' | 'to') =>
    random.chance(65) ? random.many(0, 3, () => rule(random, peers, words)) : undefined;
  const object = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `policy-${index}`, namespace: random.pick(words.namespaces) },
    spec: {
      podSelector: podSelector(random, words),
      ...(random.chance(75)
        ? { policyTypes: random.pick([['Ingress'], ['Egress'], ['Ingress', 'Egress']]) }
        : {}),
      ingress: direction('from'),
      egress: direction('to'),
    },
  };
  const [policy] = parsePolicies(JSON.stringify(object));
  if (policy === undefined) throw new Error(`no policy: ${JSON.stringify(object)}`);
  return policy;
}

function podSelector(random: Random, { labels }: Vocabulary): object {
  if (random.chance(40)) return {};
  const [key, values] = random.pick(labels);
  return { matchLabels: { [key]: random.pick(values) } };
}

function namespaceSelector(random: Random, { namespaces }: Vocabulary): object {
  if (random.chance(50)) return {};
  return { matchLabels: { 'kubernetes.io/metadata.name': random.pick(namespaces) } };
}

function rule(random: Random, peers: 'from' | 'to', words: Vocabulary): object {
  return {
    ...(random.chance(75) ? { [peers]: random.many(0, 2, () => peer(random, words)) } : {}),
    ...(random.chance(60) ? { ports: random.many(0, 2, () => port(random, words)) } : {}),
  };
}

function peer(random: Random, words: Vocabulary): object {
  const block = (): object => {
    const { cidr, inside } = random.pick(words.prefixes);
    const except = inside.length > 0 && random.chance(50) ? { except: [random.pick(inside)] } : {};
    return { ipBlock: { cidr, ...except } };
  };
  return random.weighted<object>(
    [4, () => ({ podSelector: podSelector(random, words) })],
    [2, () => ({ namespaceSelector: namespaceSelector(random, words) })],
    [
      2,
      () => ({
        podSelector: podSelector(random, words),
        namespaceSelector: namespaceSelector(random, words),
      }),
    ],
    [4, block],
  );
}

function port(random: Random, { portNames }: Vocabulary): object {
  const first = random.pick([22, 80, 443, 8080]);
  return {
    ...(random.chance(75) ? { protocol: random.pick(['TCP', 'UDP', 'SCTP']) } : {}),
    ...random.weighted<object>(
      [4, () => ({ port: first })],
      [2, () => ({ port: first, endPort: first + random.below(100) })],
      [2, () => ({ port: random.pick(portNames) })],
      [1, () => ({})],
    ),
  };
}
