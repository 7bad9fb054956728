/** What the views read: every part of the running agent. They change nothing of it. */
import type { Datapath } from '#datapath';
import type { Endpoints } from '#endpoint';
import type { ManifestSource } from '#files';
import type { EventLog } from '#flow';
import type { Database } from '#table';
import type { ConfigFiles } from '../config-files.ts';
import type { Degraded } from '../degraded.ts';
import type { AgentOptions } from '../options.ts';
import type { Generations } from '../generations.ts';
import type { Grace } from '../grace.ts';
import type { ManifestReport } from '../manifest-report.ts';
import type { ModeControl } from '../mode-control.ts';
import type { PolicyLoop } from '../policy-loop.ts';
import type { Reconcilers } from '../reconcilers.ts';
import type { AgentTables } from '../tables.ts';

export interface ViewContext {
  readonly options: AgentOptions;
  readonly db: Database;
  readonly tables: AgentTables;
  readonly datapath: Datapath;
  readonly endpoints: Endpoints;
  readonly reconcilers: Reconcilers;
  readonly loop: PolicyLoop;
  readonly modes: ModeControl;
  readonly manifests: ManifestSource;
  readonly report: ManifestReport;
  readonly log: EventLog;
  readonly degraded: Degraded;
  readonly files: ConfigFiles;
  readonly generations: Generations;
  readonly grace: Grace;
}
