import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '#kit/async';
import { systemClock } from '#kit/clock';
import { type ManifestFileRow, type ManifestObjectRow, ManifestSource } from '#files';
import type { CidrGroupRow, EndpointSliceRow, ServiceRow, Policy, WorkloadRow } from '#model';
import { Database } from '#table';
import { bench, idle, never, policy, SETTINGS } from './bench.ts';

test('watching – a set that changes while it is read is read again', async (t) => {
  const b = bench();
  b.fs.write('/m/a.yaml', policy('torn'));
  b.fs.afterRead = () => {
    if (b.fs.reads === 1) b.fs.write('/m/a.yaml', policy('whole'));
  };
  const reading = b.reload();
  await idle(b);
  t.deepEqual(b.names(), []);
  await b.clock.advance(500);
  await reading;
  t.deepEqual(b.names(), ['whole']);
});

/** Runs the source; dispose the returned thing to end it. */
function running(b: ReturnType<typeof bench>) {
  const stop = new AbortController();
  const run = b.source.run({ signal: stop.signal });
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await run;
    },
  };
}

test('watching – a change counts after 500 ms of quiet', async (t) => {
  const b = bench();
  await using _run = running(b);
  await idle(b, 60_000);
  b.fs.write('/m/a.yaml', policy('a'));
  await idle(b, 500);
  await b.clock.advance(400);
  b.fs.write('/m/b.yaml', policy('b'));
  await idle(b, 900);
  t.deepEqual(b.names(), []);
  await b.clock.advance(500);
  await idle(b, 60_900);
  t.deepEqual(b.names(), ['a', 'b']);
});

test('watching – events without end put a reading off by five seconds at most', async (t) => {
  const b = bench();
  await using _run = running(b);
  await idle(b, 60_000);
  for (let ms = 0; ms < 5000; ms += 400) {
    b.fs.write('/m/a.yaml', policy('a', 1 + ms));
    await idle(b, Math.min(ms + 500, 5000));
    t.deepEqual(b.names(), []);
    await b.clock.advance(400);
  }
  await until(() => b.names().length > 0, { what: 'it is read', timeoutMs: 60_000, signal: never });
  t.deepEqual(b.names(), ['a']);
});

test('watching – without events the directory is read every minute', async (t) => {
  const b = bench();
  await using _run = running(b);
  await idle(b, 60_000);
  b.fs.failWatchers();
  await idle(b, 500);
  b.fs.fail('/m', 'EIO');
  await b.clock.advance(500);
  await idle(b, 60_500);
  b.fs.fail('/m', undefined);
  t.deepEqual(b.fs.watched, ['/']);
  b.fs.write('/m/a.yaml', policy('a'));
  await b.clock.advance(60_000);
  await until(() => b.names().length > 0, { what: 'it is read', timeoutMs: 60_000, signal: never });
  t.deepEqual(b.names(), ['a']);
});

test('watching – a directory that appears later is found by watching the one above', async (t) => {
  const b = bench({ settings: { paths: ['/m/sub'] } });
  await using _run = running(b);
  await idle(b, 60_000);
  b.fs.mkdir('/m/sub');
  b.fs.write('/m/sub/a.yaml', policy('a'));
  await idle(b, 500);
  await b.clock.advance(500);
  await until(() => b.names().length > 0, { what: 'it is read', timeoutMs: 60_000, signal: never });
  t.deepEqual(b.fs.watched, ['/m/sub']);
});

test('watching – reload reads at once, without quiet time', async (t) => {
  const b = bench();
  await using _run = running(b);
  await idle(b, 60_000);
  b.fs.write('/m/a.yaml', policy('a'));
  await b.reload();
  t.deepEqual(b.names(), ['a']);
});

test('watching – new settings are used at once', async (t) => {
  const b = bench();
  b.fs.write('/m/a.yaml', policy('a'), { uid: 7 });
  await using _run = running(b);
  await idle(b, 60_000);
  t.is(b.source.status.state, 'invalid');
  b.source.configure({ ...SETTINGS, trustAnyOwner: true });
  await idle(b, 500);
  await b.clock.advance(500);
  await until(() => b.names().length > 0, { what: 'it is read', timeoutMs: 60_000, signal: never });
  t.is(b.source.status.state, 'accepted');
});

test('watching – works on the machine’s own file system with inotify', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'ml-d-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const db = new Database({ clock: systemClock });
  const tables = {
    policies: db.table<Policy>({ name: 'policies', key: (r) => r.key }),
    workloads: db.table<WorkloadRow>({ name: 'workloads', key: (r) => r.key }),
    cidrGroups: db.table<CidrGroupRow>({ name: 'cidr-groups', key: (r) => r.name }),
    services: db.table<ServiceRow>({ name: 'services', key: (r) => r.key }),
    endpointSlices: db.table<EndpointSliceRow>({ name: 'endpoint-slices', key: (r) => r.key }),
    objects: db.table<ManifestObjectRow>({ name: 'objects', key: (r) => r.key }),
    files: db.table<ManifestFileRow>({ name: 'files', key: (r) => r.file }),
  };
  const agent = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const source = new ManifestSource({
    db,
    tables,
    clock: systemClock,
    settings: { ...SETTINGS, paths: [root] },
    agent,
    activeBefore: 0,
  });
  const stop = new AbortController();
  const run = source.run({ signal: stop.signal });
  await until(() => tables.policies.isSynced, {
    what: 'the first reading',
    timeoutMs: 60_000,
    signal: never,
  });
  writeFileSync(join(root, 'a.yaml'), policy('a'), { mode: 0o644 });
  await until(() => tables.policies.size === 1, {
    what: 'the policy is there',
    timeoutMs: 60_000,
    signal: never,
  });
  stop.abort();
  await run;
  t.is(source.status.state, 'accepted');
});
