/** A small world in which every finding can be provoked, and policies for it. */
import { CaseRun, lint, type NodeView, readCase } from '#cases';
import type { FailsafeRow, Finding } from '#model';
import { DEFAULT_PARSE_OPTIONS, parseManifest, parsePolicies, type ParseOptions } from '#model/parse';

const world = `
name: a world
config: {hostFirewall: true}
nodes:
  - {name: node-a, ips: [192.168.0.1], labels: {role: worker}}
  - {name: node-b, ips: [192.168.1.1], kubeApiserver: true}
endpoints:
  - {name: shop/web, labels: {app: web}, ips: [10.0.0.1], node: node-a, namedPorts: {http: 80/TCP}}
  - {name: shop/db, labels: {app: database}, ips: [10.0.0.2], node: node-a, namedPorts: {http: 8080/TCP}}
  - {name: kube-system/dns, labels: {k8s-app: kube-dns}, ips: [10.0.0.3], node: node-a}
  - {name: shop/metrics, labels: {k8s-app: metrics}, ips: [10.0.0.4], node: node-a}
  - {name: shop/far, labels: {app: far}, ips: [10.9.0.1], node: node-a, cluster: other}
services:
  - {name: shop/web, selector: {app: web}, ports: [{port: 8000, targetPort: 8080}]}
  - {name: shop/db, selector: {app: database}, ports: [{port: 7000, targetPort: 7001}, {port: 7001, targetPort: 7000}]}
cidrGroups: [{name: partners, cidrs: [198.51.100.0/24]}]
externalApiserver: [203.0.113.6]
dns: [{name: a.io, ips: [192.0.2.7]}, {name: b.io, ips: [192.0.2.7]}]
`;

const failsafe: readonly FailsafeRow[] = [
  {
    entry: 1,
    direction: 'in',
    protocol: 6,
    port: 22,
    endPort: 22,
    cidrs: ['0.0.0.0/0', '::/0'],
    device: '',
    why: 'the way back in',
  },
  {
    entry: 2,
    direction: 'out',
    protocol: 17,
    port: 53,
    endPort: 53,
    cidrs: ['192.0.2.53/32'],
    device: '',
    why: 'names',
  },
  {
    entry: 3,
    direction: 'in',
    protocol: 6,
    port: 2379,
    endPort: 2380,
    cidrs: ['0.0.0.0/0', '::/0'],
    device: '',
    why: 'the state of the cluster',
  },
];

/** What is in front of the spec of a policy in namespace shop, cluster-wide, and of a NetworkPolicy. */
export const head = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: rule, namespace: shop}
`;
export const cluster = `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: rule}
`;
export const network = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: rule, namespace: shop}
`;

/** The findings on the policies of a text, in that world, or in none. */
export function findings(
  text: string,
  options: { readonly isAlone?: true; readonly config?: string } = {},
): readonly Finding[] {
  const policies = parsePolicies(text, {
    policyDefaultLocalCluster: options.config?.includes('policyDefaultLocalCluster: false') !== true,
  });
  if (options.isAlone === true) return [...lint(policies)].flatMap((one) => one.findings);
  const yaml = options.config === undefined ? world : world.replace('hostFirewall: true', options.config);
  const read = readCase(yaml, 'world.yaml', () => ({ file: '', text: '' }));
  if (read.case === undefined) throw new Error(JSON.stringify(read.problems));
  const views = new CaseRun(read.case.world, policies)
    .views()
    .map((view): NodeView => ({ ...view, world: { ...view.world, failsafe } }));
  return [...lint(policies, { kind: 'views', views })].flatMap((one) => one.findings);
}

/** Their codes, sorted, each once. */
export function codesOf(found: readonly { readonly code: string }[]): readonly string[] {
  return [...new Set(found.map((finding) => finding.code))].sort();
}

/** What the parser says of other objects than policies. */
export function objectCodes(text: string, options: Partial<ParseOptions> = {}): readonly string[] {
  const objects = parseManifest(text, { ...DEFAULT_PARSE_OPTIONS, ...options });
  return codesOf(objects.flatMap((one) => one.warnings));
}
