/**
 * The collector of expired records beside live flows: none is lost. The node asks from sockets that are not
 * connected, under ingress default deny: without its record no answer comes in. The world is that of bed.ts.
 */
import test from 'ava';
import { until } from '#kit/async';
import { address, bed, FAMILIES, type Family, hostPolicy, ports, testSignal } from './bed.ts';
import { AF_INET, AF_INET6, mapCount, SOCK_DGRAM, Socket } from './raw.ts';

const ASKS = hostPolicy('asks', {
  ingress: [{}],
  egress: [{ toEntities: ['all'], toPorts: ports('80-5000/UDP', '80/TCP') }],
});

const TIMEOUT_S = 6;
const TIMEOUTS = {
  'bpf-ct-timeout-regular-any': TIMEOUT_S,
  'ct-timeout-udp-stream': TIMEOUT_S,
  'bpf-ct-timeout-regular-tcp-syn': TIMEOUT_S,
  'bpf-ct-timeout-regular-tcp-fin': 1,
};

/**
 * How often who speaks: young, nearly expired, and expired while the collector comes near: that record is
 * taken over in place, or a new one is made.
 */
const PERIODS_MS = [2000, 4900, 7300];
const SPEAKERS = 60;
const GARBAGE = 1500;
/** A pass of the collector begins every ten seconds. */
const LASTS_MS = 32_000;

interface Speaker {
  readonly socket: Socket;
  readonly family: Family;
  readonly periodMs: number;
  nextMs: number;
  asked: number;
  answered: number;
}

test('collector – what has expired goes, who is alive notices nothing', async (t) => {
  await using b = await bed({ name: 'collector', config: TIMEOUTS, manifests: { 'asks.yaml': [ASKS] } });
  await Promise.all([b.peer.serveUdp(80), b.peer.serveTcp(80)]);
  const long = await Promise.all(
    FAMILIES.map((family) => b.node.stream({ kind: 'tcp', to: address('peer', family), port: 80 })),
  );
  using sockets = new DisposableStack();
  const open = (family: Family) =>
    sockets
      .use(new Socket(b.node, family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM))
      .bind(address('node', family), 0);
  const start = performance.now();
  const speakers = FAMILIES.flatMap((family) =>
    PERIODS_MS.flatMap((periodMs) =>
      Array.from({ length: SPEAKERS }, (_, at): Speaker => {
        // Not all at once: some meet the collector wherever it walks.
        const nextMs = start + (at * periodMs) / SPEAKERS;
        return { socket: open(family), family, periodMs, nextMs, asked: 0, answered: 0 };
      }),
    ),
  );
  const word = Uint8Array.of(7);
  const litter = FAMILIES.map((family) => ({ family, socket: open(family), port: 100 }));
  const round = () => {
    const now = performance.now();
    for (const one of speakers) {
      while (one.socket.receive() !== undefined) one.answered++;
      if (now < one.nextMs || now > start + LASTS_MS) continue;
      one.socket.send(word, [address('peer', one.family), 80]);
      one.asked++;
      one.nextMs += one.periodMs;
    }
    for (const one of litter) {
      for (let n = 0; n < 20 && one.port < 100 + GARBAGE; n++)
        one.socket.send(word, [address('router', one.family), one.port++]);
    }
    return now > start + LASTS_MS && speakers.every(({ asked, answered }) => asked === answered);
  };
  // Who is never answered is told below.
  const limits = { signal: testSignal(), intervalMs: 10, what: 'the end' };
  await until(round, { ...limits, timeoutMs: LASTS_MS + 15_000 }).catch(() => undefined);
  const silent = speakers.filter(({ asked, answered }) => asked !== answered);
  t.deepEqual(
    silent.map(({ family, periodMs, asked, answered }) => ({ family, periodMs, asked, answered })),
    [],
  );
  t.true(speakers.reduce((sum, { answered }) => sum + answered, 0) > 2000);
  const { paths } = await b.counters();
  t.true((paths['gc_deleted'] ?? 0) >= 2 * GARBAGE, `deleted: ${paths['gc_deleted']}`);
  for (const family of FAMILIES) t.true(mapCount(b.dirs.bpfRoot, `flow_any${family}`) < GARBAGE / 2);
  for (const stream of long) {
    const { lost, error } = await stream.stop();
    t.deepEqual([lost, error], [[], undefined]);
  }
});
