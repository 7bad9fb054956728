/**
 * The lab itself.
 *
 *   a ─── eth0 router eth1 ─── lan ─┬─ b
 *                                   └─ c
 */
import test from 'ava';
import { topology } from '#lab';

const lan = {
  name: 'labtest',
  hosts: { a: {}, router: { forward: true, isNode: true }, b: {}, c: {} },
  links: [
    {
      ends: [
        { host: 'a', addresses: ['10.1.0.2/24', 'fd01::2/64'], gateways: ['10.1.0.1', 'fd01::1'] },
        { host: 'router', addresses: ['10.1.0.1/24', 'fd01::1/64'] },
      ],
    },
    {
      lan: 'lan',
      ports: [
        { host: 'router', addresses: ['10.2.0.1/24', 'fd02::1/64'] },
        { host: 'b', addresses: ['10.2.0.2/24', 'fd02::2/64'], gateways: ['10.2.0.1', 'fd02::1'] },
        { host: 'c', addresses: ['10.2.0.3/24', 'fd02::3/64'], gateways: ['10.2.0.1', 'fd02::1'] },
      ],
    },
  ],
} as const;

test('topology – probes reach servers through a router and a bridge, both families', async (t) => {
  const start = performance.now();
  await using net = await topology(lan);
  t.log(`ready after ${Math.round(performance.now() - start)} ms`);
  const { a, b, c } = net.hosts;
  await Promise.all([b.serveTcp(80), b.serveUdp(53), c.serveHttp(8080, { body: 'hello' })]);
  t.log(`servers after ${Math.round(performance.now() - start)} ms`);
  for (const to of [b.ipv4, b.ipv6]) {
    t.is(await a.probeTcp(to, 80), 'open', `tcp ${to}`);
    t.is(await a.probeTcp(to, 81), 'refused', `closed tcp ${to}`);
    t.is(await a.probeTcp(to, 80, { payload: 'x' }), 'open', `tcp echo ${to}`);
    t.is(await a.probeUdp(to, 53), 'open', `udp ${to}`);
    t.is(await a.probeUdp(to, 54), 'refused', `closed udp ${to}`);
  }
  for (const to of [c.ipv4, c.ipv6])
    t.like(await a.http(to, 8080), { outcome: 'open', status: 200, body: 'hello' });
  t.log(`probes after ${Math.round(performance.now() - start)} ms`);
  await net.link('lan').cut('b');
  t.is(await a.probeTcp(b.ipv4, 80, { timeoutMs: 200 }), 'timeout');
  t.is(await a.probeTcp(c.ipv4, 8080), 'open', 'the other port of the bridge is untouched');
  await net.link('lan').heal('b');
  t.is(await a.probeTcp(b.ipv4, 80), 'open');
  t.log(`all after ${Math.round(performance.now() - start)} ms`);
});
