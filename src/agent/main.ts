/**
 * The agent: builds every part, starts them in the order of these lines, stops them in reverse. Stopping
 * detaches nothing: what the kernel enforces stays.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { serveApi } from '#api';
import { Datapath, UdpServers } from '#datapath';
import { Endpoints, type InForce } from '#endpoint';
import { ManifestSource } from '#files';
import { EventLog } from '#flow';
import { systemClock } from '#kit/clock';
import { errorMessage, MerlonError } from '#kit/errors';
import { readFacts, readUdpServers, watchResolvers } from '#hostfw';
import type { EndpointRow, Identity } from '#model';
import type { NodeConfig } from '#model/config';
import { NetdevSource } from '#netdev';
import { Database } from '#table';
import { ConfigFiles } from './config-files.ts';
import { Degraded } from './degraded.ts';
import { deriveTables } from './derive.ts';
import { Generations } from './generations.ts';
import { Grace } from './grace.ts';
import { controlInputs, inputTables } from './input.ts';
import { RunDirLock } from './lock.ts';
import { agentLogger } from './logger.ts';
import { ManifestReport } from './manifest-report.ts';
import { applyMode, beginMode, ModeControl } from './mode-control.ts';
import { isAuditEverywhere, modesFile, NO_MODES } from './modes.ts';
import { PolicyLoop } from './policy-loop.ts';
import type { AgentOptions } from './options.ts';
import { untilJudged } from './protect.ts';
import { startReconcilers } from './reconcilers.ts';
import { Remembered } from './remembered.ts';
import { Rest } from './rest.ts';
import { reserveSequence } from './sequence.ts';
import { checkPatterns, manifestSettings } from './settings.ts';
import { datapathSettings } from './datapath-settings.ts';
import { datapathSink } from './sink.ts';
import { type AgentTables, agentTables, configOf, modesOf, setOne } from './tables.ts';
import { AgentView } from './view/index.ts';

/** Events that are kept in memory; the older ones are gone. */
const EVENTS_KEPT = 65_536;
/** How often the ports of sshd are looked up again. */
const FACTS_INTERVAL_MS = 60_000;
/** How often it is looked at which UDP ports the node serves; only datagrams without a record ask. */
const UDP_SERVERS_INTERVAL_MS = 5_000;

/** Runs the agent until `signal` aborts. Resolves with 0; throws what keeps it from starting. */
export async function runAgent(options: AgentOptions): Promise<number> {
  const { signal, stateDir, runDir } = options;
  const files = new ConfigFiles(options.configFile, !options.isConfigNamed);
  const config = await files.read();
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  mkdirSync(runDir, { recursive: true, mode: 0o750 });
  await using stack = new AsyncDisposableStack();
  stack.use(new RunDirLock(runDir));
  const logger = agentLogger(options.isForeground);
  const degraded = new Degraded(logger);

  const db = new Database({ clock: systemClock });
  const tables = agentTables(db);
  setOne(db, tables.settings, 'config', { config });
  const modes = modesFile(stateDir);
  setOne(db, tables.modes, 'verbs', (await modes.read((problem) => degraded.add(problem))) ?? NO_MODES);
  startFacts(db, tables, stack);
  // Devices are derived once the datapath is open: what it adopted keeps its programs.
  let adopted: readonly number[] = [];
  stack.use(deriveTables(db, tables, () => adopted));
  stack.use(
    new NetdevSource({
      db,
      tables: tables.netdev,
      onResync: (error) => degraded.resync('netlink', error),
      onRead: () => degraded.over('netlink'),
    }),
  );

  checkPatterns(tables, config);

  const firstSeq = await reserveSequence(stateDir, (err) => degraded.addError('STATE_WRITE', err));
  const log = new EventLog({ capacity: EVENTS_KEPT, firstSeq });
  const datapath = stack.use(await openDatapath(options, config, tables, log, degraded, logger));
  adopted = datapath.attachments.pinned().map(({ ifindex }) => ifindex);
  beginMode(datapath, tables);
  startUdpServers(datapath, stack);
  const started = Promise.withResolvers<PolicyLoop>();
  const beforeUp = async (row: EndpointRow, ending: AbortSignal): Promise<void> =>
    untilJudged(row, { db, datapath, loop: await started.promise }, ending);
  const remembered = await Remembered.open(stateDir, (problem) => degraded.add(problem));
  const inForce = inForceBefore(datapath, tables, remembered);
  const endpoints = stack.use(
    await openEndpoints(options, db, tables, inForce, beforeUp, degraded, () => report.write()),
  );
  // What the kernel enforced before this start it enforces now; its devices keep their programs.
  const known = new Set(datapath.endpoints.ids());
  db.write((txn) => {
    tables.enforced.replace(
      txn,
      [...tables.endpoints.all()].filter((row) => known.has(row.id)),
    );
    tables.enforced.source('policy').markSynced(txn);
  });

  const reconcilers = stack.use(startReconcilers(tables, datapath, logger, signal));
  // A policy must never be enforced before the failsafe that stands above it.
  await Promise.all([reconcilers.failsafe.settled({ signal }), reconcilers.addresses.settled({ signal })]);

  const generations = await Generations.open({
    stateDir,
    counter: datapath.instance,
    now: Date.now,
    onProblem: (problem) => degraded.add(problem),
  });
  const loop = new PolicyLoop({
    tables: inputTables(tables),
    input: controlInputs(tables),
    revision: () => db.revision,
    sink: datapathSink(datapath, db, tables),
    inherited: remembered.inherited,
    onEnforced: (enforced) => {
      applyMode(datapath, tables);
      Promise.all([remembered.write(enforced), generations.enforced(enforced.input)]).then(
        () => degraded.over('STATE_WRITE'),
        (err: unknown) => degraded.addError('STATE_WRITE', err),
      );
      report.write();
    },
    clock: systemClock,
    logger,
  });
  started.resolve(loop);
  const manifests = new ManifestSource({
    db,
    tables: tables.manifests,
    settings: manifestSettings(config),
    clock: systemClock,
    agent: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
    activeBefore: datapath.instance.isAdopted ? (remembered.policies ?? 1) : 0,
    onStatus: () => report.write(),
  });
  const report = new ManifestReport({ runDir, manifests, endpoints, loop, degraded });

  const view = new AgentView({
    options,
    db,
    tables,
    datapath,
    endpoints,
    reconcilers,
    loop,
    modes: new ModeControl({ db, tables, datapath, endpoints, loop, file: modes }),
    manifests,
    report,
    log,
    degraded,
    files,
    generations,
    grace: new Grace(systemClock),
  });
  const api = stack.use(await serveApi({ path: join(runDir, 'merlon.sock'), parts: view, logger }));
  if (!api.groupCanRead) logger.info({}, 'there is no group merlon: only root may use the socket');
  stack.use(new Rest());
  const ending = new AbortController();
  const until = AbortSignal.any([signal, ending.signal]);
  const running = [loop.run(until), manifests.run({ signal: until })];
  stack.defer(async () => {
    ending.abort();
    await Promise.allSettled(running);
  });
  reloadOnHangup(view, logger, stack);
  logger.info({ run_dir: runDir, instance: datapath.instance.id.toString(16) }, 'agent is running');
  await ended(signal, running);
  logger.info({}, 'agent stops; what it enforced stays');
  return 0;
}

function startFacts(db: Database, tables: AgentTables, stack: AsyncDisposableStack): void {
  const read = (): void => setOne(db, tables.facts, 'facts', readFacts());
  read();
  stack.use(watchResolvers(read));
  const timer = setInterval(read, FACTS_INTERVAL_MS);
  stack.defer(() => clearInterval(timer));
}

function startUdpServers(datapath: Datapath, stack: AsyncDisposableStack): void {
  const servers = new UdpServers(datapath.maps);
  const read = (): void => servers.set(readUdpServers());
  read();
  const timer = setInterval(read, UDP_SERVERS_INTERVAL_MS);
  stack.defer(() => clearInterval(timer));
}

async function openDatapath(
  options: AgentOptions,
  config: NodeConfig,
  tables: AgentTables,
  log: EventLog,
  degraded: Degraded,
  logger: Logger,
): Promise<Datapath> {
  const ifindexOf = (device: string): number | undefined =>
    [...tables.netdev.links.all()].find((link) => link.name === device)?.ifindex;
  return Datapath.open({
    bpfRoot: options.bpfRoot,
    stateDir: options.stateDir,
    ...datapathSettings(config),
    ifindexOf,
    onEvents: (records, count) => log.append(records, count),
    onProblem: (topic, sentence, err) => degraded.problem('DATAPATH', sentence, err, topic),
    onOver: (topic) => degraded.over(topic),
    onWarning: (sentence) => logger.warn({ reason: sentence }, 'the datapath warns'),
    onNotice: (sentence) => logger.info({ reason: sentence }, 'the datapath takes over'),
  });
}

/** What the kernel holds of endpoints; audit is an endpoint's own where the node's is another. */
function inForceBefore(datapath: Datapath, tables: AgentTables, { inherited }: Remembered): InForce {
  const isAudited = isAuditEverywhere(configOf(tables), modesOf(tables));
  const given = Object.values(inherited.numbering).flatMap((scope) => scope.given);
  const labels = new Map(given.map((row) => [row.id, row.labels]));
  return {
    endpoints: datapath.endpoints.records().map(({ audit, ...rest }) => ({
      ...rest,
      ...(audit === undefined || audit === isAudited ? {} : { audit }),
    })),
    labelsOf: (identity) => labels.get(identity),
  };
}

function openEndpoints(
  options: AgentOptions,
  db: Database,
  tables: AgentTables,
  inForce: InForce,
  beforeUp: (row: EndpointRow, signal: AbortSignal) => Promise<void>,
  degraded: Degraded,
  onWorkloads: () => void,
): Promise<Endpoints> {
  const config = configOf(tables);
  return Endpoints.open({
    db,
    endpoints: tables.endpoints,
    links: tables.netdev.links,
    addresses: tables.netdev.addresses,
    workloads: tables.manifests.workloads,
    inForce,
    stateDir: options.stateDir,
    clock: systemClock,
    // The policy loop numbers identities, all of them together.
    identityOf: () => 0 as Identity,
    cluster: config.values['cluster-name'] ?? 'default',
    beforeUp,
    onProblem: (problem, topic) => degraded.add(problem, topic),
    onOver: (topic) => degraded.over(topic),
    onWorkloads,
  });
}

function reloadOnHangup(view: AgentView, logger: Logger, stack: AsyncDisposableStack): void {
  const reload = (): void => {
    view.reload().catch((err: unknown) => {
      logger.error({ err, reason: errorMessage(err) }, 'reload refused; nothing changed');
    });
  };
  process.on('SIGHUP', reload);
  stack.defer(() => void process.off('SIGHUP', reload));
}

/** Waits for the signal; a part that ends before it is a defect and ends the agent, which systemd restarts. */
async function ended(signal: AbortSignal, running: readonly Promise<void>[]): Promise<void> {
  const aborted = new Promise<'signal'>((resolve) => {
    if (signal.aborted) resolve('signal');
    else signal.addEventListener('abort', () => resolve('signal'), { once: true });
  });
  const first = await Promise.race([aborted, ...running.map((r) => r.then(() => 'part' as const))]);
  if (first === 'part' && !signal.aborted)
    throw new MerlonError('INTERNAL', 'a part of the agent ended by itself');
}
