/** The compiled tables against the reference's policy map: who wins where rules for many and for few overlap. */
import test from 'ava';
import { isRefusal } from '#model';
import { type Cell, conflictsOf } from '#policy';
import { compileWorld } from './compiled-world.ts';
import { flow, type PeerName, policy, type Service, world } from './cases.ts';
import { Random } from './random.ts';
import { ALLOW, blocksOf, DENY, type MapEntry, type MapKey, ReferenceMap } from './reference-map.ts';

const WORLDS = 400;
const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

const IDENTITIES = { client: 10, stranger: 11, world: 12, node: 13 } as const;
const PEERS: readonly (readonly [written: string, identities: readonly number[]])[] = [
  ['', [0]],
  ['Entities: [all]', [0]],
  ['Endpoints: [{matchLabels: {app: client}}]', [10]],
  ['Endpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": wiki}}]', [11]],
  ['Endpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": wiki}}, {}]', [10, 11]],
  ['Entities: [world]', [12]],
  ['Entities: [cluster]', [10, 11, 13]],
  ['Entities: [world, remote-node]', [12, 13]],
];
const RANGES = [
  [80, 80],
  [85, 85],
  [443, 443],
  [80, 90],
  [85, 95],
  [80, 87],
  [64, 127],
  [1, 65535],
  [0, 0],
] as const;
const PROTOCOLS = { TCP: [6], UDP: [17], ANY: [6, 17, 132] } as const;
const MODES = ['disabled', 'required', 'test-always-fail'] as const;
const PROXIES: readonly (readonly [written: string, rank: number])[] = [
  ['rules: {http: [{method: GET}]}', 101],
  ['serverNames: [a.io]', 116],
  ['listener: {name: one, priority: 5, envoyConfig: {name: c}}', 5],
  ['listener: {name: two, priority: 50, envoyConfig: {name: c}}', 50],
];
const SERVICES: readonly Service[] = [
  'TCP:80',
  'TCP:85',
  'TCP:88',
  'TCP:90',
  'TCP:93',
  'TCP:443',
  'TCP:9',
  'UDP:85',
  'SCTP:80',
  'ICMP:8',
];

/** One rule as it is written, and its entries. */
interface Drawn {
  readonly written: string;
  readonly isDeny: boolean;
  readonly entries: readonly (readonly [MapKey, MapEntry])[];
}

function drawRule(random: Random, isDeny: boolean): Drawn {
  const [peers, identities] = random.pick(PEERS);
  const parts = peers === '' ? [] : [`to${peers}`];
  const keys: Omit<MapKey, 'identity'>[] = [];
  let precedence = isDeny ? DENY : ALLOW;
  if (peers !== '' && random.chance(25)) keys.push({ protocol: 0, port: 0, bits: 0 });
  else {
    const [first, last] = random.pick(RANGES);
    const name = random.pick(['TCP', 'TCP', 'UDP', 'ANY'] as const);
    const range = `{port: "${first}"${last > first ? `, endPort: ${last}` : ''}, protocol: ${name}}`;
    const isAsking = !isDeny && first > 0 && name === 'TCP' && random.chance(50);
    const [proxy, rank] = random.pick(PROXIES);
    if (isAsking) precedence = 254 - rank;
    parts.push(`toPorts: [{ports: [${range}]${isAsking ? `, ${proxy}` : ''}}]`);
    const blocks = blocksOf(first, last);
    keys.push(...PROTOCOLS[name].flatMap((protocol) => blocks.map((block) => ({ protocol, ...block }))));
  }
  const auth = random.pick([0, 1, 2] as const);
  const isExplicit = !isDeny && random.chance(35);
  if (isExplicit) parts.push(`authentication: {mode: ${MODES[auth]}}`);
  const entry = { precedence, auth: isExplicit ? auth : 0, isExplicit };
  const entries = identities.flatMap((identity) => keys.map((key) => [{ identity, ...key }, entry] as const));
  return { written: `{${parts.join(', ')}}`, isDeny, entries };
}

function written(rules: readonly Drawn[]): string {
  const section = (isDeny: boolean) =>
    rules.filter((rule) => rule.isDeny === isDeny).map((rule) => rule.written);
  return policy(`egress: [${section(false).join(', ')}], egressDeny: [${section(true).join(', ')}]`);
}

/** `drop 0`, `allow 0`, `proxy 101 0`: what becomes of a packet, by which proxy, and the number of the mode. */
function meant({ precedence, auth }: MapEntry): string {
  if (precedence === DENY) return DROP;
  return precedence === ALLOW ? `allow ${auth}` : `proxy ${254 - precedence} ${auth}`;
}

const DROP = 'drop 0';
const RANKS: Readonly<Record<string, number>> = { http: 101, tls: 116 };

function told({ verdict, proxy, auth }: Cell): string {
  if (isRefusal(verdict)) return DROP;
  const mode = MODES.indexOf(auth ?? 'disabled');
  if (proxy === undefined) return `allow ${mode}`;
  return `proxy ${proxy.listener?.priority ?? RANKS[proxy.parser]} ${mode}`;
}

test(`reference map – ${WORLDS} policies, each peer and service judged as its map would (seed ${seed})`, (t) => {
  const found = { drop: 0, allow: 0, proxy: 0, auth: 0 };
  for (let i = 0; i < WORLDS; i++) {
    const random = new Random(seed + 7919 * i);
    const rules = Array.from({ length: random.between(1, 6) }, () => drawRule(random, random.chance(20)));
    const given = world(written(rules));
    if (conflictsOf(given).size > 0) continue; // nothing is computed, so there is no map
    const map = new ReferenceMap();
    for (const [key, entry] of random.shuffle(rules.flatMap(({ entries }) => entries)))
      map.insert(key, entry);
    const { cellOf } = compileWorld(given);
    for (const [peer, identity] of Object.entries(IDENTITIES)) {
      for (const service of SERVICES) {
        const asked = flow('egress', peer as PeerName, service);
        const cell = cellOf(asked);
        if (cell.proxy?.parser === 'conflict') continue;
        const entry = map.look(identity, asked.protocol, asked.port ?? 0);
        const [got, want] = [told(cell), entry === undefined ? DROP : meant(entry)];
        if (got !== want) {
          t.fail(`${peer} ${service}: tables say ${got}, the map ${want}\n${written(rules)}`);
          return;
        }
        const kind = want.endsWith(' 0') ? want.split(' ')[0] : 'auth';
        found[kind as keyof typeof found]++;
      }
    }
  }
  t.log(
    Object.entries(found)
      .map(([what, n]) => `${what} ${n}`)
      .join(', '),
  );
  for (const n of Object.values(found)) t.true(n > 100);
});
