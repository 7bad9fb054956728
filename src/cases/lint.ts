/** Advice on policies that are valid but may not mean what their author meant: findings, and what they would bring. */
import { NO_FACTS, type Direction, type Policy, STANDALONE_POLICY_CONFIG } from '#model';
import { type Findings, findingsOf } from '#policy';
import { representativeWorlds, type Surroundings } from './representatives.ts';
import { type NodeView, viewOf } from './view.ts';

/** Neither proxies nor authentication are there yet. */
const SERVED = { hasProxy: false, hasAuth: false } as const;

/** What policies are judged in. */
export type LintWorld =
  /** A world, seen from its nodes, with these policies in force. */
  | { readonly kind: 'views'; readonly views: readonly NodeView[] }
  /** None: somebody is made up for everything that the policies tell apart, unless `around` has workloads. */
  | { readonly kind: 'none'; readonly around?: Partial<Surroundings> };

/** Findings on the policies, in order, one policy at a time. */
export function lint(policies: readonly Policy[], world: LintWorld = { kind: 'none' }): Iterable<Findings> {
  if (world.kind === 'none') {
    const around = { config: STANDALONE_POLICY_CONFIG, facts: NO_FACTS, endpoints: [], ...world.around };
    const { config, facts, endpoints } = around;
    const { worlds } = representativeWorlds(policies, around);
    // Manifests that describe workloads describe all of them: nobody need be made up but the nodes.
    const isReal = endpoints.length > 0;
    const ofNodes = policies.filter(({ specs }) => specs.some(({ subject }) => subject.kind === 'node'));
    const nodes = worlds.map((one, i) => {
      const own = endpoints.map((endpoint) => (i === 0 ? endpoint : { ...endpoint, isElsewhere: true }));
      // All pods are on the first node: on the others nothing else is decided than for the nodes themselves.
      const decided = i === 0 ? policies : ofNodes;
      return viewOf({ ...one, policies: decided, ...(isReal ? { endpoints: own } : {}) });
    });
    return findingsOf({ policies, nodes, config, facts, isReal, ...SERVED });
  }
  const [first] = world.views;
  const config = first?.world.config ?? STANDALONE_POLICY_CONFIG;
  const facts = first?.world.facts;
  return findingsOf({ policies, nodes: world.views, config, facts, isReal: true, ...SERVED });
}

/** Subjects whose direction becomes default deny (policy.md §17, rows 1, 16, 29). */
export interface Closing {
  readonly direction: Direction;
  readonly endpoints: readonly string[];
  /** Health, ingress and init endpoints among them. */
  readonly infrastructure: readonly string[];
  readonly nodes: readonly string[];
}

/** What becomes default deny when the policies of a world change; directions in which nobody does are left out. */
export function closings(before: readonly NodeView[], after: readonly NodeView[]): readonly Closing[] {
  return (['ingress', 'egress'] as const).flatMap((direction): readonly Closing[] => {
    const old = new Set(before.flatMap((view) => closed(view, direction)));
    const fresh = [...new Set(after.flatMap((view) => closed(view, direction)))].filter(
      (name) => !old.has(name),
    );
    if (fresh.length === 0) return [];
    const nodes = fresh.filter((name) => name.startsWith(NODE));
    const infrastructure = fresh.filter((name) => name.startsWith(RESERVED));
    const endpoints = fresh.filter((name) => !nodes.includes(name) && !infrastructure.includes(name));
    const plain = (names: readonly string[]) => names.map((name) => name.replace(/^[a-z]+:/, '')).sort();
    return [
      { direction, endpoints: plain(endpoints), infrastructure: plain(infrastructure), nodes: plain(nodes) },
    ];
  });
}

const NODE = 'node:';
const RESERVED = 'reserved:';

/** Names of the subjects of a node whose direction is default deny. */
function closed({ world, compiled }: NodeView, direction: Direction): readonly string[] {
  const images = new Map(compiled.ruleSets.map((image) => [image.key, image]));
  const isClosed = (image: typeof compiled.host | undefined): boolean => {
    const { enforced, cells } = image?.directions[direction] ?? { enforced: false, cells: [] };
    return enforced && cells.some((cell) => cell.verdict === 'default-deny');
  };
  const own = world.endpoints.filter((e) => e.isElsewhere !== true);
  const names = own
    .filter(({ id }) => isClosed(images.get(compiled.endpoints.get(id) ?? '')))
    .map(({ name, labels }) => {
      const isReserved = labels.labels.some((label) => label.source === 'reserved');
      return isReserved ? `${RESERVED}${world.node}/${name}` : `endpoint:${name}`;
    });
  return isClosed(compiled.host) ? [...names, `${NODE}${world.node}`] : names;
}
