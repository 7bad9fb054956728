/** Random rules for proxies, from a small vocabulary, and requests that meet them. */
import type {
  Direction,
  HeaderMatch,
  HttpRule,
  KafkaRule,
  L7Request,
  PortMatch,
  Ports,
  ProxyRules,
} from '#model';
import type { Random } from './random.ts';

/** Names that answers give, and patterns that rules have. */
export const NAMES = ['a.io', 'x.a.io', 'x.y.a.io', 'sub.b.io', 'subx.b.io'];
export const PATTERNS = [
  'a.io',
  'x.y.a.io',
  '*.a.io',
  '**.a.io',
  '*a.io',
  'sub*.b.io',
  '*',
  'x.*.a.io',
  '***.a.io',
  '***',
];

/** Few ports, so that proxies meet; listeners and names of TLS may stand on any, and on whole protocols. */
export function proxyPorts(random: Random, { l7 }: ProxyRules): Ports {
  const one = (): PortMatch => {
    const first = random.pick([80, 443, 8080]);
    const protocol = l7 === undefined && random.chance(30) ? 17 : 6;
    if (l7 === undefined && random.chance(20)) return { kind: 'protocol', protocol };
    return { kind: 'ports', protocol, first, last: first };
  };
  return { kind: 'list', matches: random.many(1, 2, one) };
}

/** DNS mostly stands alone; every kind meets every other. */
export function randomProxy(random: Random, direction: Direction): ProxyRules {
  const secret = { secret: { name: random.pick(['one', 'one', 'two']) } };
  const listener = (): ProxyRules => ({
    serverNames: [],
    listener: {
      envoyConfig: { kind: 'CiliumClusterwideEnvoyConfig', name: 'config' },
      name: random.pick(['first', 'second']),
      ...(random.chance(80) ? { priority: random.pick([10, 20]) } : {}),
    },
  });
  const serverNames = (): string[] => random.many(1, 2, () => random.pick(['a.io', '*.a.io', '**.b.io']));
  return random.weighted<ProxyRules>(
    [
      40,
      () => ({ serverNames: [], l7: { kind: 'http', rules: random.many(1, 2, () => randomHttp(random)) } }),
    ],
    [
      15,
      () => ({ serverNames: [], l7: { kind: 'kafka', rules: random.many(1, 2, () => randomKafka(random)) } }),
    ],
    [
      15,
      () => ({ serverNames: [], l7: { kind: 'dns', rules: random.many(1, 2, () => random.pick(PATTERNS)) } }),
    ],
    [
      13,
      () => ({
        serverNames: [],
        l7: {
          kind: 'l7proto',
          parser: random.pick(['echo', 'echo', 'cassandra']),
          rules: random.many(0, 2, () => ({ cmd: random.pick(['get', 'put']) })),
        },
      }),
    ],
    [18, () => ({ serverNames: serverNames() })],
    [
      22,
      () => ({
        serverNames: serverNames(),
        l7: { kind: 'http', rules: [randomHttp(random)] },
        ...random.pick([
          { terminatingTLS: secret },
          { originatingTLS: secret },
          { terminatingTLS: secret, originatingTLS: secret },
        ]),
      }),
    ],
    [direction === 'egress' ? 30 : 0, listener],
  );
}

function randomHttp(random: Random): HttpRule {
  const headers = random.chance(25)
    ? [{ name: 'x-team' }]
    : random.chance(25)
      ? [{ name: 'x-team', value: 'a' }]
      : [];
  const headerMatches: HeaderMatch[] = random.chance(15)
    ? [{ name: 'x-id', value: '1', ...(random.chance(50) ? { mismatch: 'LOG' as const } : {}) }]
    : [];
  return {
    ...(random.chance(60) ? { method: random.pick(['GET', 'GET|HEAD', 'POST']) } : {}),
    ...(random.chance(50) ? { path: random.pick(['/', '/public/.*', '/.*']) } : {}),
    ...(random.chance(20) ? { host: random.pick(['a.io', '.*[.]io']) } : {}),
    headers,
    headerMatches,
  };
}

function randomKafka(random: Random): KafkaRule {
  return {
    ...random.pick<KafkaRule>([{ role: 'produce' }, { role: 'consume' }, { apiKey: 'fetch' }, {}]),
    ...(random.chance(50) ? { topic: random.pick(['t1', 't2']) } : {}),
    ...(random.chance(20) ? { clientID: 'me' } : {}),
    ...(random.chance(20) ? { apiVersion: 2 } : {}),
  };
}

/** A request of every protocol at once: each parser looks at its own. */
export function randomRequest(random: Random): L7Request {
  const dnsName = () => random.pick(NAMES);
  return {
    http: {
      method: random.pick(['GET', 'HEAD', 'POST']),
      path: random.pick(['/', '/public/x', '/private']),
      host: random.pick(['a.io', 'b.io:80']),
      headers: {
        ...(random.chance(50) ? { 'x-team': random.pick(['a', 'b']) } : {}),
        'x-id': random.pick(['1', '2']),
      },
    },
    kafka: {
      apiKey: random.pick(['produce', 'fetch', 'metadata', 'createtopics']),
      apiVersion: random.pick([1, 2]),
      clientID: random.pick(['me', 'you']),
      topics: random.many(0, 2, () => random.pick(['t1', 't2'])),
    },
    dns: dnsName(),
    ...(random.chance(80) ? { sni: dnsName() } : {}),
    l7: { cmd: random.pick(['get', 'put']) },
  };
}
