/**
 * What is refused, or means nothing, although a policy is accepted (policy.md §7, §17; HF-6). Pure: policies and
 * what was compiled of them in, findings out. The status of policies and `merlon policy lint` ask here and
 * nowhere else; the codes stand in the catalogue of `#model`. One file a subject, each a `Judgement`.
 */
import { compareText } from '#kit/order';
import type { Finding, Policy, Warning } from '#model';
import { decidingFindings } from './deciding.ts';
import { Ground, type Judgement } from './ground.ts';
import type { FindingInput } from './input.ts';
import { hostFindings } from './host.ts';
import { httpFindings } from './http.ts';
import { labelFindings } from './labels.ts';
import { nameFindings } from './names.ts';
import { peerFindings } from './peers.ts';
import { portFindings } from './ports.ts';
import { prefixFindings } from './prefixes.ts';
import { proxyFindings } from './proxies.ts';
import { selectedBy, type SelectedSubjects } from './selected.ts';
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

export interface Findings extends SelectedSubjects {
  readonly policy: Policy;
  readonly findings: readonly Finding[];
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
    yield { policy, findings: once(found, policy), ...selectedBy(policy, own) };
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
