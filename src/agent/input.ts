/** What policy is compiled from, read out of the tables. */
import { identityLabels, type LabelFilter, labelFilter } from '#policy';
import { type EndpointRow, NO_FACTS, type PolicyFacts } from '#model';
import type { AnyTable } from '#table';
import type { ControlInput } from './control.ts';
import { nodeLabels, peerNodes, policyConfig } from './settings.ts';
import { isAuditEverywhere } from './modes.ts';
import { type AgentTables, configOf, modesOf } from './tables.ts';

/** The tables that `controlInput` reads. */
export function inputTables(tables: AgentTables): readonly AnyTable[] {
  const { policies, workloads, cidrGroups, services, endpointSlices } = tables.manifests;
  const manifests = [policies, workloads, cidrGroups, services, endpointSlices];
  return [...manifests, tables.endpoints, tables.localAddresses, tables.settings, tables.modes];
}

/** Gives everything at a moment; undefined while a table waits for its source, since half a source is no input. */
export function controlInputs(tables: AgentTables): () => ControlInput | undefined {
  let subjects: Subjects | undefined;
  return () => {
    const entries = configOf(tables).values.identityLabels ?? [];
    if (subjects?.entries.join(' ') !== entries.join(' ')) {
      subjects = { entries, filter: labelFilter(entries), known: new WeakMap() };
    }
    return controlInput(tables, subjects);
  };
}

function controlInput(tables: AgentTables, subjects: Subjects): ControlInput | undefined {
  if (inputTables(tables).some((table) => !table.isSynced)) return undefined;
  const config = configOf(tables);
  const modes = modesOf(tables);
  const isAudited = isAuditEverywhere(config, modes);
  return {
    policies: [...tables.manifests.policies.all()],
    nodes: peerNodes(config),
    endpoints: [...tables.endpoints.all()]
      .filter((row) => row.state !== 'kept')
      .map((row) => asSubject(row, tables, subjects, row.audit ?? isAudited)),
    localAddresses: [...tables.localAddresses.all()].map((row) => row.address),
    nodeLabels: nodeLabels(config),
    config: policyConfig(config),
    hostAudit: modes.audited,
    facts: policyFacts(tables),
  };
}

/** Which sources have not finished, for people. */
export function unsyncedTables(tables: AgentTables): readonly string[] {
  return inputTables(tables)
    .filter((table) => !table.isSynced)
    .map((table) => `${table.name} (${table.unsynced.join(', ')})`);
}

/** What a row became the last time under this filter: the compilers tell by the object that nothing changed. */
interface Subjects {
  readonly entries: readonly string[];
  /** Which labels of an endpoint make its identity. */
  readonly filter: LabelFilter;
  readonly known: WeakMap<EndpointRow, EndpointRow>;
}

/** An endpoint as policy sees it; port names come from the manifest of a workload, if it is one. */
function asSubject(
  row: EndpointRow,
  tables: AgentTables,
  { filter, known: subjects }: Subjects,
  audit: boolean,
): EndpointRow {
  const namedPorts = tables.manifests.workloads.get(`${row.namespace}/${row.name}`)?.namedPorts;
  const known = subjects.get(row);
  const hasItsPorts = known?.namedPorts === (namedPorts ?? row.namedPorts);
  if (known !== undefined && hasItsPorts && known.audit === audit) return known;
  const labels = identityLabels(row.labels, filter);
  const subject = { ...row, ...(namedPorts === undefined ? {} : { namedPorts }), labels, audit };
  subjects.set(row, subject);
  return subject;
}

/** What policies refer to. Names come with the DNS proxy, cloud groups with a provider: there are none yet. */
function policyFacts({ manifests }: AgentTables): PolicyFacts {
  return {
    ...NO_FACTS,
    cidrGroups: [...manifests.cidrGroups.all()],
    services: [...manifests.services.all()],
    endpointSlices: [...manifests.endpointSlices.all()],
  };
}
