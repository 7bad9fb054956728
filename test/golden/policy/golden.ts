/**
 * From a small world with policies (`N.in.yaml`) to what the agent makes of it (`N.ok`): who each prefix is,
 * and the compiled rule sets, as canonical text. Keys as in a case file: `config`, `nodes` (the first is this
 * one), `endpoints`, `namespaces`, `policies`.
 */
import { parse, stringify } from 'yaml';
import { type Label, labelSet } from '#kit/labels';
import { type NodeRow, podLabels, type PolicyConfig, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
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

/** The `.ok` of an `.in.yaml`. */
export function policyGolden(text: string): string {
  const world = parse(text) as GoldenWorld;
  const config = { ...STANDALONE_POLICY_CONFIG, ...world.config };
  const policies = (world.policies ?? []).flatMap((object) => parsePolicies(stringify(object)));
  const [own, ...others] = world.nodes ?? [];
  const endpoints = (world.endpoints ?? []).map((endpoint, i) => endpointOf(endpoint, i + 1, world, config));
  const prefixes = prefixIdentities({
    policies,
    nodes: others.map(nodeRow),
    endpoints,
    localAddresses: own?.ips ?? [],
    config,
    numbering: EMPTY_NUMBERING,
  });
  const nodeLabels = labelSet(labelsOf('node', own?.labels));
  const compiled = compile({ policies, identities: prefixes.identities, endpoints, nodeLabels, config });
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
