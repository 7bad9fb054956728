import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readFacts } from '#hostfw';

test('readFacts – resolvers of this node’s loopback are left out, ports of sshd are found by their sockets', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'merlon-facts-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const proc = join(root, 'proc');
  mkdirSync(join(proc, 'net'), { recursive: true });
  for (const [pid, comm, inode] of [
    ['7', 'sshd', '900'],
    ['8', 'nginx', '901'],
  ] as const) {
    mkdirSync(join(proc, pid, 'fd'), { recursive: true });
    writeFileSync(join(proc, pid, 'comm'), `${comm}\n`);
    symlinkSync(`socket:[${inode}]`, join(proc, pid, 'fd', '3'));
  }
  const row = (port: string, state: string, inode: string): string =>
    `   0: 00000000:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 0 0 ${inode} 1`;
  const rows = ['  sl  local_address rem_address st', row('08AE', '0A', '900'), row('0050', '0A', '901')];
  writeFileSync(join(proc, 'net/tcp'), rows.join('\n'));
  writeFileSync(
    join(root, 'resolv.conf'),
    'nameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver ::1\nnameserver 2001:DB8::53\nsearch x\n',
  );
  t.deepEqual(readFacts({ proc, resolvConf: join(root, 'resolv.conf') }), {
    sshPorts: [2222],
    resolvers: ['192.0.2.53', '2001:db8::53'],
  });
});

test('readFacts – missing files mean nothing is known, not an error', (t) => {
  t.deepEqual(readFacts({ proc: '/nonexistent', resolvConf: '/nonexistent' }), {
    sshPorts: [],
    resolvers: [],
  });
});
