import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Logger } from 'pino';
import { Degraded } from '../../../src/agent/degraded.ts';
import { ManifestReport } from '../../../src/agent/manifest-report.ts';

type Parts = ConstructorParameters<typeof ManifestReport>[0];

/** A report of a set accepted at revision 5, whose workloads are endpoints as of `workloads`. */
function bed(enforced: number, workloads: number | undefined) {
  const runDir = mkdtempSync(join(tmpdir(), 'ml-report-'));
  const status = { state: 'accepted', revision: 5, hash: 'abc', message: '', files: [], problems: [] };
  const parts = {
    runDir,
    manifests: { status },
    endpoints: { workloadsRevision: workloads },
    loop: { hasEnforced: (revision: number) => enforced >= revision },
    degraded: new Degraded({ warn: () => undefined, info: () => undefined } as unknown as Logger),
  };
  const report = new ManifestReport(parts as unknown as Parts);
  report.write();
  const text = readFileSync(join(runDir, 'manifests.status.json'), 'utf8');
  rmSync(runDir, { recursive: true });
  return { said: (JSON.parse(text) as { state: string }).state, view: report.view().state };
}

const cases: readonly [what: string, enforced: number, workloads: number | undefined, want: string][] = [
  ['nothing is enforced yet', 4, 3, 'pending'],
  ['a changed workload is on its way to its endpoint', 5, undefined, 'pending'],
  ['its endpoint has changed, and is not enforced yet', 5, 6, 'pending'],
  ['its endpoint is enforced', 6, 6, 'applied'],
  ['no workload has changed since', 5, 2, 'applied'],
];
for (const [what, enforced, workloads, want] of cases) {
  test(`ManifestReport – ${want}: ${what}`, (t) => {
    t.deepEqual(bed(enforced, workloads), { said: want, view: want });
  });
}
