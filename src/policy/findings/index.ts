/**
 * What is refused, or means nothing, although a policy is accepted (policy.md §7, §17; HF-6). Pure: policies and
 * what was compiled of them in, findings out. The status of policies and `merlon policy lint` ask here and
 * nowhere else; the codes stand in the catalogue of `#model`. One file a subject, each a `Judgement`.
 */
import { compareText } from '#kit/order';
import type { Finding, Policy, Warning } from '#model';
import { decidingFindings } from './deciding.ts';
import { Ground, type Judgement, type SpecAt } from './ground.ts';
import type { FindingInput } from './input.ts';
import { hostFindings } from './host.ts';
import { httpFindings } from './http.ts';
import { labelFindings } from './labels.ts';
import { nameFindings } from './names.ts';
import { peerFindings } from './peers.ts';
import { portFindings } from './ports.ts';
import { prefixFindings } from './prefixes.ts';
import { proxyFindings } from './proxies.ts';
import { subjectFindings } from './subject.ts';

export type { FindingInput, SeenEndpoint, SeenNode } from './input.ts';

const JUDGEMENTS: readonly Judgement[] = [
  subjectFindings,
  labelFindings,
  peerFindings,
  prefixFindings,
  portFindings,
  nameFindings,
  httpFindings,
  proxyFindings,
  hostFindings,
  decidingFindings,
];

export interface Findings {
  readonly policy: Policy;
  readonly findings: readonly Finding[];
  /** Subjects by name: endpoints of all nodes, then nodes are counted. */
  readonly endpoints: readonly string[];
  readonly nodes: number;
  /** How many of them keep older policies instead (policy.md §9.6). */
  readonly withheld: number;
}

/** Findings on each policy, in the order of the policies; those of one by place. */
export function* findingsOf(input: FindingInput): Iterable<Findings> {
  const ground = new Ground(input);
  const specs = ground.specs();
  for (const policy of input.policies) {
    const own = specs.get(policy) ?? [];
    const found = [
      ...(policy.warnings ?? []),
      ...own.flatMap((at) => JUDGEMENTS.flatMap((judgement) => judgement(at, ground))),
    ];
    yield { policy, findings: once(found, policy), ...subjects(policy, own) };
  }
}

/** In the order of their places, none twice. */
function once(found: readonly Warning[], { key }: Policy): readonly Finding[] {
  const byText = new Map(
    found.map((one) => [`${one.code} ${one.at.line}:${one.at.column} ${one.message}`, one]),
  );
  return [...byText.values()]
    .sort(
      (a, b) =>
        (a.at.line ?? 0) - (b.at.line ?? 0) ||
        (a.at.column ?? 0) - (b.at.column ?? 0) ||
        compareText(a.code, b.code),
    )
    .map((one) => ({ ...one, message: located(one), policy: key }));
}

/** The sentence after the field that it is about, as parsers write it. */
function located({ message, at: { path = '' } }: Warning): string {
  return path === '' || message.startsWith(path) ? message : `${path}: ${message}`;
}

function subjects(policy: Policy, own: readonly SpecAt[]): Omit<Findings, 'policy' | 'findings'> {
  const selected = own.flatMap((at) => at.selected);
  const names = selected.flatMap(({ node, endpoints }) => {
    const ids = new Set(endpoints);
    return node.seen.world.endpoints.filter((e) => ids.has(e.id)).map(nameOf);
  });
  const nodes = new Set(selected.filter(({ samples }) => samples.includes('host')).map(({ node }) => node));
  const held = selected.flatMap((at) =>
    at.node.withheld(policy, at.subjects).map((subject) => ({ node: at.node, subject })),
  );
  const withheld = new Set(held.map(({ node, subject }) => `${node.seen.world.nodeLabels.key} ${subject}`))
    .size;
  return { endpoints: [...new Set(names)].sort(compareText), nodes: nodes.size, withheld };
}

function nameOf({
  name,
  namespace,
  id,
}: {
  readonly name?: string;
  readonly namespace?: string;
  readonly id: number;
}) {
  if (name === undefined) return String(id);
  return namespace === undefined ? name : `${namespace}/${name}`;
}
