/** What policy is compiled from, read out of the tables. */
import { identityLabels, labelFilter } from '#policy';
import { type EndpointRow, NO_FACTS, type PolicyFacts } from '#model';
import type { AnyTable } from '#table';
import type { ControlInput } from './control.ts';
import { nodeLabels, peerNodes, policyConfig } from './settings.ts';
import { type AgentTables, configOf } from './tables.ts';

/** Which labels of an endpoint make its identity: the default of `identityLabels`. */
const FILTER = labelFilter();

/** The tables that `controlInput` reads. */
export function inputTables(tables: AgentTables): readonly AnyTable[] {
  const { policies, workloads, cidrGroups, services, endpointSlices } = tables.manifests;
  const manifests = [policies, workloads, cidrGroups, services, endpointSlices];
  return [...manifests, tables.endpoints, tables.localAddresses, tables.settings];
}

/** Everything at this moment; undefined while a table waits for its source, since half a source is no input. */
export function controlInput(tables: AgentTables): ControlInput | undefined {
  if (inputTables(tables).some((table) => !table.isSynced)) return undefined;
  const config = configOf(tables);
  return {
    policies: [...tables.manifests.policies.all()],
    nodes: peerNodes(config),
    endpoints: [...tables.endpoints.all()].map((row) => ({
      ...row,
      ...namedPorts(tables, row),
      labels: identityLabels(row.labels, FILTER),
    })),
    localAddresses: [...tables.localAddresses.all()].map((row) => row.address),
    nodeLabels: nodeLabels(config),
    config: policyConfig(config),
    facts: policyFacts(tables),
  };
}

/** Which sources have not finished, for people. */
export function unsyncedTables(tables: AgentTables): readonly string[] {
  return inputTables(tables)
    .filter((table) => !table.isSynced)
    .map((table) => `${table.name} (${table.unsynced.join(', ')})`);
}

/** Port names come from the manifest of a workload, if the endpoint is one. */
function namedPorts(tables: AgentTables, row: EndpointRow): Pick<EndpointRow, 'namedPorts'> {
  const ports = tables.manifests.workloads.get(`${row.namespace}/${row.name}`)?.namedPorts;
  return ports === undefined ? {} : { namedPorts: ports };
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
