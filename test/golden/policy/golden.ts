/**
 * From a small world with policies (`N.in.yaml`) to what the agent makes of it (`N.ok`): who each prefix is,
 * and the compiled rule sets, as canonical text. Keys as in a case file: `config`, `nodes` (the first is this
 * one), `endpoints`, `namespaces`, `policies`.
 */
import { parse, stringify } from 'yaml';
import { type Label, labelSet } from '#kit/labels';
import { type NodeRow, podLabels, type PolicyConfig, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import type { World } from '#oracle';
import {
  canonicalDump,
  compile,
  EMPTY_NUMBERING,
  identityLabels,
  labelFilter,
  prefixIdentities,
} from '#policy';

interface GoldenWorld {
  readonly config?: Partial<PolicyConfig>;
  readonly nodes?: readonly {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ips?: readonly string[];
    readonly kubeApiserver?: boolean;
  }[];
  readonly namespaces?: readonly {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
  }[];
  readonly endpoints?: readonly {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly ips?: readonly string[];
  }[];
  readonly policies?: readonly unknown[];
}

/** What an `.in.yaml` describes. */
export function goldenWorld(text: string): World {
  const world = parse(text) as GoldenWorld;
  const config = { ...STANDALONE_POLICY_CONFIG, ...world.config };
  const [own, ...others] = world.nodes ?? [];
  return {
    config,
    policies: (world.policies ?? []).flatMap((object) => parsePolicies(stringify(object))),
    nodes: others.map(nodeRow),
    endpoints: (world.endpoints ?? []).map((endpoint, i) => endpointOf(endpoint, i + 1, world, config)),
    localAddresses: own?.ips ?? [],
    nodeLabels: labelSet(labelsOf('node', own?.labels)),
  };
}

/** The `.ok` of an `.in.yaml`. */
export function policyGolden(text: string): string {
  const world = goldenWorld(text);
  const prefixes = prefixIdentities({ ...world, numbering: EMPTY_NUMBERING });
  const compiled = compile({ ...world, identities: prefixes.identities });
  const sets = new Map(prefixes.identities.map((row) => [row.id, row.labels]));
  const ipcache = prefixes.ipcache.map((row) => `  ${row.prefix} ${sets.get(row.identity)?.key ?? '?'}`);
  return `ipcache\n${ipcache.join('\n')}\n${canonicalDump(compiled, (id) => sets.get(id))}`;
}

function endpointOf(
  { name, labels = {}, ips = [] }: NonNullable<GoldenWorld['endpoints']>[number],
  id: number,
  world: GoldenWorld,
  config: PolicyConfig,
) {
  const namespace = name.split('/')[0] ?? 'default';
  const namespaceLabels = world.namespaces?.find((row) => row.name === namespace)?.labels ?? {};
  const all = podLabels({ namespace, cluster: config.clusterName, namespaceLabels }, labels);
  return { id, addresses: ips, labels: identityLabels(all, labelFilter()) };
}

function nodeRow(node: NonNullable<GoldenWorld['nodes']>[number]): NodeRow {
  const labels = labelsOf('node', node.labels);
  if (node.kubeApiserver) labels.push({ source: 'reserved', key: 'kube-apiserver', value: '' });
  return { name: node.name, cluster: 'default', addresses: node.ips ?? [], labels: labelSet(labels) };
}

function labelsOf(source: string, labels: Readonly<Record<string, string>> = {}): Label[] {
  return Object.entries(labels).map(([key, value]) => ({ source, key, value }));
}
