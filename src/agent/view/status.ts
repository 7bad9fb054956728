/** `merlon status`: what is enforced, what is not, and what is degraded. */
import { hostname, release } from 'node:os';
import type { StatusView } from '#api';
import type { Datapath } from '#datapath';
import { sshWarning } from '#hostfw';
import { unmatchedPatterns } from '#netdev';
import { errorMessage } from '#kit/errors';
import { formatFinding } from '#model';
import { unsyncedTables } from '../input.ts';
import { failsafeConfig } from '../settings.ts';
import { configOf } from '../tables.ts';
import { VERSION } from '#kit/version';
import type { ViewContext } from './context.ts';
import { deviceViews } from './devices.ts';
import { currentFindings, isDoubtful, statusOfFindings } from './findings.ts';
import { hostDirection } from './mode.ts';

const FLOW_TABLES = ['flow_tcp4', 'flow_tcp6', 'flow_any4', 'flow_any6'] as const;

export function statusView(context: ViewContext): StatusView {
  const { tables, datapath, loop } = context;
  const config = configOf(tables);
  const endpoints = [...tables.endpoints.all()];
  const status = datapath.status();
  const stats = datapath.counters.stats();
  const devices = deviceViews(context);
  return {
    ready: isReady(context),
    version: VERSION,
    node: hostname(),
    pid: process.pid,
    uptimeSeconds: Math.round(process.uptime()),
    kernel: release(),
    instance: status.instance,
    hostfw: {
      enabled: config.values['hostfw.enabled'] !== false,
      mode: datapath.hostMode,
      generation: datapath.hostGeneration,
      direction: { ingress: hostDirection(context, 'ingress'), egress: hostDirection(context, 'egress') },
      policies: hostPolicies(context),
    },
    endpoints: {
      total: endpoints.length,
      ready: endpoints.filter((e) => e.state === 'ready').length,
      audited: loop.enforced?.endpoints.filter((e) => e.audit === true).length ?? 0,
    },
    policies: {
      total: tables.manifests.policies.size,
      generation: datapath.instance.generation,
      doubtful: doubtfulPolicies(context),
    },
    devices,
    sources: sources(context),
    datapath: {
      attach: status.attach,
      flowTables: FLOW_TABLES.map((name) => ({
        name,
        capacity: status.maps.find((m) => m.name === name)?.maxEntries ?? 0,
      })),
      arena: status.arena,
      memoryBytes: status.memoryBytes,
      features: status.features,
    },
    timeToEnforceMs: loop.times.summary,
    events: {
      seq: context.log.next - 1,
      sent: Number(stats.EVENT_SENT),
      lost: Number(stats.EVENT_LOST),
      suppressed: Number(stats.EVENT_SUPPRESSED),
    },
    degraded: degraded(context),
    notEnforced: notEnforced(context, devices),
  };
}

/** A verified generation is active and every selected device has its programs. */
function isReady({ loop, reconcilers }: ViewContext): boolean {
  if (loop.enforced === undefined) return false;
  const { pending, prune } = reconcilers.devices.summary;
  return pending === 0 && prune.kind !== 'pending';
}

function hostPolicies({ tables }: ViewContext): number {
  const policies = [...tables.manifests.policies.all()];
  return policies.filter((p) => p.specs.some((s) => s.subject.kind === 'node')).length;
}

function doubtfulPolicies(context: ViewContext): number {
  return [...currentFindings(context).values()].filter(({ findings }) =>
    statusOfFindings(findings, context.grace).findings.some(isDoubtful),
  ).length;
}

function plural(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}

function sources({ tables, manifests }: ViewContext): StatusView['sources'] {
  const { policies, workloads } = tables.manifests;
  const { state, message } = manifests.status;
  const counts = `${plural(policies.size, 'policy', 'policies')}, ${plural(workloads.size, 'workload', 'workloads')}`;
  return [
    {
      name: 'directory',
      synced: policies.isSynced && workloads.isSynced,
      message:
        state === 'accepted'
          ? counts
          : `${state}${message === '' ? '' : `: ${message}`}; in force: ${counts}`,
    },
    {
      name: 'netlink',
      synced: tables.netdev.links.isSynced,
      message: `${tables.netdev.links.size} links, ${tables.localAddresses.size} addresses`,
    },
  ];
}

function degraded(context: ViewContext): StatusView['degraded'] {
  const { loop, reconcilers, datapath, files, tables } = context;
  const rows: StatusView['degraded'][number][] = [...context.degraded.list()];
  const ssh = sshWarning(failsafeConfig(configOf(context.tables)));
  if (ssh !== undefined) rows.push({ code: 'FAILSAFE_SSH_OPEN', message: ssh });
  if (loop.error !== undefined) {
    rows.push({
      code: 'POLICY',
      message: `the last policy change is not enforced: ${errorMessage(loop.error)}`,
    });
  }
  for (const { row, status } of reconcilers.devices.problems()) {
    rows.push({ code: 'DEVICE', message: `device ${row.name}: ${status.reason}` });
  }
  for (const { row, status } of reconcilers.failsafe.problems()) {
    rows.push({ code: 'FAILSAFE', message: `failsafe entry ${row.entry}: ${status.reason}` });
  }
  for (const device of tables.devices.all()) {
    const names = device.selected ? foreignPrograms(datapath, device.ifindex) : [];
    if (names.length > 0) {
      const message = `${device.name} also carries ${names.join(', ')} of another product: both must let a packet pass`;
      rows.push({ code: 'FOREIGN_PROGRAM', message });
    }
  }
  for (const trouble of datapath.status().troubles) rows.push({ code: 'DATAPATH', message: trouble });
  for (const warning of files.warnings) rows.push({ code: 'CONFIG', message: formatFinding(warning) });
  return rows;
}

/** Programs on the device that are not ours (HF-1.17). */
function foreignPrograms(datapath: Datapath, ifindex: number): readonly string[] {
  try {
    return (['ingress', 'egress'] as const).flatMap((hook) => datapath.attachments.others(ifindex, hook));
  } catch {
    // The device went away between the table and the question.
    return [];
  }
}

const isOfNode = ({ selected, kind }: StatusView['devices'][number]): boolean => selected && kind !== 'pod';

/** What a person asked for, or would expect, that is not happening. */
function notEnforced(context: ViewContext, devices: StatusView['devices']): StatusView['notEnforced'] {
  const { tables, loop, datapath } = context;
  const { values } = configOf(tables);
  const rows: StatusView['notEnforced'][number][] = [
    { what: 'hostfw.guard', why: 'this build applies host policy at once, without a guarded roll-back' },
  ];
  if (loop.enforced === undefined) {
    const waiting = unsyncedTables(tables);
    const why =
      waiting.length === 0 ? 'the first pass has not finished' : `waiting for ${waiting.join(', ')}`;
    const held = datapath.hostGeneration > 0 ? '; what was enforced before still is' : '';
    rows.push({ what: 'policy', why: `${why}${held}` });
  }
  if (values['hostfw.enabled'] === false && hostPolicies(context) > 0) {
    rows.push({ what: 'host policies', why: 'hostfw.enabled is false' });
  }
  if (values['hostfw.enabled'] !== false && hostPolicies(context) > 0 && !devices.some(isOfNode)) {
    const why = 'no device of the node is selected; `devices.patterns` names those to protect';
    rows.push({ what: 'host policies', why });
  }
  for (const family of ['ipv4', 'ipv6'] as const) {
    if (values[`enable-${family}`] !== false || values['hostfw.enabled'] === false) continue;
    const spelled = family.replace('ip', 'IP');
    const why = `enable-${family} is false: the node takes no ${spelled} but answers and built-ins`;
    rows.push({ what: `policies for ${spelled} to the node`, why });
  }
  for (const pattern of unmatchedPatterns(tables.netdev.links.all(), values['devices.patterns'] ?? [])) {
    rows.push({ what: `devices.patterns ${pattern}`, why: 'it matches no device' });
  }
  for (const device of devices.filter((d) => d.unprotected)) {
    rows.push({
      what: `device ${device.name}`,
      why: device.selected
        ? 'its programs are not attached; `merlon reload` attaches them, else the next minute does'
        : device.reason,
    });
  }
  return rows;
}
