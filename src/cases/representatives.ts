/**
 * A world for policies that come without one: a pod for every combination of labels that the policies can tell
 * apart, and the same for nodes. Where that would be too many, a pod for each selector and each pair of them.
 */
import { type Label, labelSet } from '#kit/labels';
import {
  formatSelector,
  LABEL_CLUSTER,
  LABEL_NAMESPACE,
  LABEL_NAMESPACE_LABELS,
  LABEL_SERVICE_ACCOUNT,
  type NamedPort,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  protocolName,
  type Requirement,
  type Rule,
  type Selector,
} from '#model';
import { compareText } from '#kit/order';
import type { NodeWorld, WorldEndpoint } from './view.ts';

/** Most pods that stand for all others. */
const MOST_PODS = 2000;
const MOST_NODES = 64;
/** A value that no policy names. */
const OTHER = 'other';
const NAMESPACE_NAME = `${LABEL_NAMESPACE_LABELS}.kubernetes.io/metadata.name`;

/** What the world cannot know and must be told. */
export interface Surroundings {
  readonly config: PolicyConfig;
  readonly facts: PolicyFacts;
  /** Pods that are known by more than their labels, for example by addresses and port names. */
  readonly endpoints: readonly WorldEndpoint[];
}

export interface Representatives {
  /** One a kind of node; all pods are on the first. */
  readonly worlds: readonly NodeWorld[];
  /** Whether every combination of labels is there. */
  readonly isComplete: boolean;
  /** Ports that stand for names, as differences tell them, and what they stand for: `TCP/65535` → `TCP/http`. */
  readonly portNames: ReadonlyMap<string, string>;
  /** Names of pods with fewer words: a label that makes no difference among them is left out. */
  readonly summarise: (names: readonly string[]) => readonly string[];
}

/** Worlds in which these policies (old and new) show all their differences. */
export function representativeWorlds(policies: readonly Policy[], around: Surroundings): Representatives {
  const specs = policies.flatMap((policy) => policy.specs);
  const peers = specs
    .flatMap((spec) => spec.rules)
    .flatMap((rule) => (rule.peers.kind === 'any' ? [] : rule.peers.selectors))
    .flatMap((peer) => (peer.kind === 'labels' ? [peer.selector] : []));
  const podSubjects = specs.flatMap(({ subject }) =>
    subject.kind === 'endpoints' ? [subject.selector] : [],
  );
  const nodeSubjects = specs.flatMap(({ subject }) => (subject.kind === 'node' ? [subject.selector] : []));
  const pods = combinations(
    [...peers, ...podSubjects].filter(isOfPods),
    MOST_PODS,
    podDomains(around.config),
  );
  const nodes = combinations(nodeSubjects, MOST_NODES, new Map());
  const base = {
    policies: [],
    nodes: [],
    localAddresses: [],
    facts: around.facts,
    config: around.config,
  };
  const first = Math.max(0, ...around.endpoints.map((endpoint) => endpoint.id)) + 1;
  const named = representativePorts(specs.flatMap((spec) => spec.rules));
  const endpoints = [
    ...around.endpoints,
    ...pods.sets.map((labels, i) => ({
      name: podName(labels),
      id: first + i,
      addresses: [spareAddress(i, around.config)],
      labels: labelSet(labels),
      namedPorts: named.ports,
      // Policies of this cluster have no subjects in another one.
      isElsewhere: labels.some((l) => l.key === LABEL_CLUSTER && l.value !== around.config.clusterName),
    })),
  ];
  const worlds = nodes.sets.map((labels, i) => ({
    ...base,
    node: labels.length === 0 ? 'any' : labels.map(({ key, value }) => `${key}=${value}`).join(','),
    nodeLabels: labelSet(labels),
    // Every kind of node meets the same pods; as subjects they are compared once.
    endpoints: endpoints.map((endpoint) => (i === 0 ? endpoint : { ...endpoint, isElsewhere: true })),
  }));
  return {
    worlds,
    isComplete: pods.isComplete && nodes.isComplete && named.isComplete,
    portNames: new Map(
      named.ports.map(({ name, protocol, port }) => {
        const word = protocolName(protocol);
        return [`${word}/${port}`, `${word}/${name}`];
      }),
    ),
    summarise: (names) => (pods.isComplete ? summarised(names, pods) : names),
  };
}

/**
 * A number for each port name of the rules, on every pod the same: one that no rule names, so that what a rule
 * says of the name is seen; no two beside each other, so that they are told apart.
 */
function representativePorts(rules: readonly Rule[]): {
  readonly ports: readonly NamedPort[];
  readonly isComplete: boolean;
} {
  const matches = rules.flatMap(({ ports }) => (ports.kind === 'any' ? [] : ports.matches));
  const names = new Map(
    matches.flatMap((match) =>
      match.kind === 'name' ? [[`${match.protocol} ${match.name}`, match] as const] : [],
    ),
  );
  const ranges = matches.flatMap((match) => (match.kind === 'ports' ? [match] : []));
  const ports: NamedPort[] = [];
  let next = 65_534;
  for (const { protocol, name } of names.values()) {
    const isNamed = (port: number) => ranges.some(({ first, last }) => first - 1 <= port && port <= last + 1);
    while (next > 0 && isNamed(next)) next -= 1;
    if (next <= 0) return { ports, isComplete: false };
    ports.push({ name, protocol, port: next });
    next -= 2;
  }
  return { ports, isComplete: true };
}

/** Selectors of reserved labels and prefixes mean no pods. */
function isOfPods({ requirements }: Selector): boolean {
  return !requirements.some((r) => r.source === 'reserved' || r.source === 'cidr');
}

/** Values of one key; undefined: the label is absent. */
type Domain = readonly (string | undefined)[];

/** What every pod has. */
function podDomains(config: PolicyConfig): Map<string, Domain> {
  return new Map([
    [`k8s:${LABEL_NAMESPACE}`, [OTHER]],
    [`k8s:${LABEL_CLUSTER}`, [config.clusterName, `${OTHER}-cluster`]],
    [`k8s:${LABEL_SERVICE_ACCOUNT}`, ['default']],
  ]);
}

const keyOf = ({ source, key }: Requirement): string => {
  // The name label of a namespace and the namespace itself are one fact.
  const plain = key === NAMESPACE_NAME ? LABEL_NAMESPACE : key;
  return `${source === 'any' ? 'k8s' : source}:${plain}`;
};

function combinations(
  selectors: readonly Selector[],
  most: number,
  given: Map<string, Domain>,
): Combinations {
  const domains = new Map(given);
  for (const requirement of selectors.flatMap((selector) => selector.requirements)) {
    const key = keyOf(requirement);
    const known = domains.get(key) ?? [undefined, OTHER];
    domains.set(key, [...new Set([...known, ...requirement.values])]);
  }
  const size = [...domains.values()].reduce((product, domain) => product * domain.length, 1);
  const sets = size <= most ? product(domains) : witnesses(selectors, domains, most);
  return { sets: sets.map((set) => labelsOf(set)), choices: sets, domains, isComplete: size <= most };
}

interface Combinations {
  readonly sets: readonly (readonly Label[])[];
  readonly choices: readonly Choice[];
  readonly domains: ReadonlyMap<string, Domain>;
  readonly isComplete: boolean;
}

/** Leaves a key out where all of its values are there for one combination of the others. */
function summarised(names: readonly string[], pods: Combinations): readonly string[] {
  const byName = new Map(pods.sets.map((labels, i) => [podName(labels), pods.choices[i]]));
  const rest = names.filter((name) => !byName.has(name));
  let choices = names.map((name) => byName.get(name)).filter((choice) => choice !== undefined);
  if (choices.length === 0) return names;
  for (const [key, domain] of pods.domains) {
    const groups = new Map<string, { readonly without: Choice; readonly members: Choice[] }>();
    for (const choice of choices) {
      const without = new Map([...choice].filter(([other]) => other !== key));
      const text = JSON.stringify([...without]);
      const group = groups.get(text) ?? { without, members: [] };
      group.members.push(choice);
      groups.set(text, group);
    }
    choices = [...groups.values()].flatMap(({ without, members }) =>
      domain.length > 1 && members.length === domain.length ? [without] : members,
    );
  }
  return [...rest, ...choices.map((choice) => summaryName(choice))];
}

/** Like `podName`; `*` stands for any namespace, `!key` for a label that must be absent. */
function summaryName(choice: Choice): string {
  const namespace = choice.has(`k8s:${LABEL_NAMESPACE}`) ? choice.get(`k8s:${LABEL_NAMESPACE}`) : '*';
  const cluster = choice.get(`k8s:${LABEL_CLUSTER}`);
  const inner = [...choice]
    .filter(([name]) => ![LABEL_NAMESPACE, LABEL_CLUSTER, LABEL_SERVICE_ACCOUNT].includes(name.slice(4)))
    .map(([name, value]) => {
      const key = name.replace(/^k8s:/, '');
      return value === undefined ? `!${key}` : `${key}=${value}`;
    })
    .sort(compareText);
  return `${cluster === `${OTHER}-cluster` ? `${cluster}:` : ''}${namespace}{${inner.join(',')}}`;
}

type Choice = ReadonlyMap<string, string | undefined>;

function product(domains: ReadonlyMap<string, Domain>): readonly Choice[] {
  let sets: Choice[] = [new Map()];
  for (const [key, domain] of domains) {
    sets = sets.flatMap((set) => domain.map((value) => new Map([...set, [key, value]])));
  }
  return sets;
}

/** A pod for each selector and for each two that one pod can satisfy. */
function witnesses(
  selectors: readonly Selector[],
  domains: ReadonlyMap<string, Domain>,
  most: number,
): readonly Choice[] {
  const base: Choice = new Map([...domains].map(([key, [value]]) => [key, value]));
  const all = new Map<string, Choice>();
  const add = (requirements: readonly Requirement[]): void => {
    if (all.size >= most) return;
    const set = new Map(base);
    for (const r of requirements) {
      if (r.operator === 'In') set.set(keyOf(r), r.values[0]);
      else if (r.operator === 'Exists' && set.get(keyOf(r)) === undefined) set.set(keyOf(r), OTHER);
      else if (r.operator === 'DoesNotExist') set.set(keyOf(r), undefined);
    }
    all.set(JSON.stringify([...set]), set);
  };
  add([]);
  const distinct = [...new Map(selectors.map((one) => [formatSelector(one), one])).values()];
  for (const selector of distinct) add(selector.requirements);
  for (const [i, one] of distinct.entries()) {
    if (all.size >= most) break;
    for (const other of distinct.slice(i + 1)) add([...one.requirements, ...other.requirements]);
  }
  return [...all.values()];
}

function labelsOf(choice: Choice): readonly Label[] {
  const labels = [...choice].flatMap(([name, value]): Label[] => {
    if (value === undefined) return [];
    const [source = ''] = name.split(':', 1);
    return [{ source, key: name.slice(source.length + 1), value }];
  });
  const namespace = labels.find((label) => label.key === LABEL_NAMESPACE);
  return namespace === undefined ? labels : [...labels, { ...namespace, key: NAMESPACE_NAME }];
}

/** `shop{app=web}`: the namespace and every label that is not on each pod. */
function podName(labels: readonly Label[]): string {
  const value = (key: string) => labels.find((label) => label.key === key)?.value;
  const standing = [LABEL_NAMESPACE, NAMESPACE_NAME, LABEL_CLUSTER, LABEL_SERVICE_ACCOUNT];
  const own = labels.filter(({ key }) => !standing.includes(key)).sort((a, b) => compareText(a.key, b.key));
  const account = value(LABEL_SERVICE_ACCOUNT);
  const extra = account === 'default' ? [] : [`serviceaccount=${account}`];
  const inner = [...own.map(({ key, value: text }) => `${key}=${text}`), ...extra].join(',');
  const cluster = value(LABEL_CLUSTER);
  const prefix = cluster === `${OTHER}-cluster` ? `${cluster}:` : '';
  return `${prefix}${value(LABEL_NAMESPACE) ?? ''}{${inner}}`;
}

/** Of blocks that are reserved for ever. */
function spareAddress(number: number, { ipv4 }: PolicyConfig): string {
  return ipv4 ? `250.1.${number >> 8}.${number & 255}` : `4000::1:${number.toString(16)}`;
}
