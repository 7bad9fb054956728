import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readUdpServers } from '#hostfw';

test('readUdpServers – ports of sockets that wait for anybody, of both families, once each', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'merlon-udp-'));
  t.teardown(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, 'net'));
  const title =
    '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
  const row = (port: string, state: string, address = '00000000') =>
    `  101: ${address}:${port} ${address}:0000 ${state} 00000000:00000000 00:00000000 00000000 0 0 7 2 0 0`;
  writeFileSync(
    join(proc, 'net/udp'),
    [title, row('0035', '07'), row('8AE1', '01'), row('0000', '07')].join('\n'),
  );
  writeFileSync(
    join(proc, 'net/udp6'),
    [title, row('0035', '07', '0'.repeat(32)), row('01BB', '07', '0'.repeat(32))].join('\n'),
  );
  t.deepEqual(readUdpServers(proc), [53, 443]);
});

test('readUdpServers – files that are not there tell of none', (t) => {
  t.deepEqual(readUdpServers('/nowhere'), []);
});
