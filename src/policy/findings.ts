/**
 * What is refused, or means nothing, although a policy is accepted: findings that the status of a policy and
 * `merlon policy lint` share, each with a stable code. Pure: policies and what was compiled of them in, findings
 * out.
 */
import type { SourceAt } from '#kit/errors';
import { type Policy, type PolicySpec, policyTitle, type Rule } from '#model';
import type { CompiledPolicy } from './compiled.ts';
import { selectionsOf, type SubjectInput } from './subjects.ts';

/** Every code and what it is about. */
export const FINDING_CODES = {
  'proxy-unavailable': 'A rule asks for a proxy, and none serves it: its traffic is refused.',
  'proxy-conflict': 'Two rules ask for what no proxy can do together: their traffic is refused.',
  'auth-unavailable':
    'A rule asks for authentication, and nobody can prove who they are: its traffic is refused.',
  'fqdn-without-dns-rule':
    'A rule selects by DNS name, but no DNS rule of its subjects lets names be learnt.',
} as const;
export type FindingCode = keyof typeof FINDING_CODES;

export interface PolicyFinding {
  readonly code: FindingCode;
  /** Key of the policy. */
  readonly policy: string;
  /** One sentence without a full stop. */
  readonly message: string;
  readonly at: SourceAt;
  readonly hint?: string;
}

export interface FindingInput extends SubjectInput {
  readonly compiled: CompiledPolicy;
  /** Whether a proxy serves what the rules ask for. */
  readonly hasProxy: boolean;
  /** Whether anybody authenticates pairs of identities. */
  readonly hasAuth: boolean;
}

/** Findings on all policies, in their order. */
export function findingsOf(input: FindingInput): readonly PolicyFinding[] {
  const known = namesKnown(input);
  return input.policies.flatMap((policy) => [
    ...policy.specs.flatMap((spec) => spec.rules.flatMap((rule) => ruleFindings(policy, rule, input))),
    ...conflicts(policy, input.compiled),
    ...policy.specs.flatMap((spec) => fqdnFindings(policy, spec, input, known)),
  ]);
}

function ruleFindings(policy: Policy, rule: Rule, { hasProxy, hasAuth }: FindingInput): PolicyFinding[] {
  const found: PolicyFinding[] = [];
  const place = { policy: policy.key, at: rule.at };
  if (rule.proxy !== undefined && !hasProxy) {
    found.push({
      ...place,
      code: 'proxy-unavailable',
      message: `${rule.id} asks for a proxy that nobody serves: what it matches is refused (L7_PROXY_UNAVAILABLE)`,
      hint: 'allow the ports without layer 7 rules where that is enough',
    });
  }
  if (rule.auth !== undefined && rule.auth !== 'disabled' && !hasAuth) {
    found.push({
      ...place,
      code: 'auth-unavailable',
      message: `${rule.id} asks for authentication that nobody performs: what it matches is refused (AUTH_REQUIRED)`,
      hint: 'remove authentication where labels are enough',
    });
  }
  return found;
}

function conflicts(policy: Policy, { proxyRules }: CompiledPolicy): PolicyFinding[] {
  const rules = policy.specs.flatMap((spec) => spec.rules);
  return [...proxyRules.values()].flatMap(({ conflict = [] }) => {
    const own = rules.find((rule) => conflict.includes(rule.id));
    if (own === undefined) return [];
    return [
      {
        code: 'proxy-conflict',
        policy: policy.key,
        message: `${conflict.join(' and ')} ask proxies for what excludes one another: what both match is refused`,
        at: own.at,
        hint: 'give them other ports or other peers, or one kind of rules',
      },
    ];
  });
}

/** Subjects whose questions a DNS rule lets the proxy hear. */
interface NamesKnown {
  readonly endpoints: ReadonlySet<number>;
  readonly node: boolean;
}

function namesKnown(input: FindingInput): NamesKnown {
  const asking = input.policies
    .map((policy) => ({ ...policy, specs: policy.specs.filter((spec) => spec.rules.some(isDnsRule)) }))
    .filter((policy) => policy.specs.length > 0);
  const selections = asking.length === 0 ? [] : selectionsOf({ ...input, policies: asking });
  return {
    endpoints: new Set(selections.flatMap((selection) => selection.endpoints)),
    node: selections.some((selection) => selection.node),
  };
}

function isDnsRule({ proxy }: Rule): boolean {
  return proxy?.l7?.kind === 'dns';
}

function fqdnFindings(
  policy: Policy,
  spec: PolicySpec,
  input: FindingInput,
  known: NamesKnown,
): PolicyFinding[] {
  const rule = spec.rules.find(
    ({ peers }) => peers.kind === 'list' && peers.selectors.some((selector) => selector.kind === 'fqdn'),
  );
  if (rule === undefined) return [];
  const [selection] = selectionsOf({ ...input, policies: [{ ...policy, specs: [spec] }] });
  const isHeard =
    (selection?.node !== true || known.node) &&
    (selection?.endpoints ?? []).every((id) => known.endpoints.has(id));
  if (isHeard) return [];
  const port = 'toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]';
  return [
    {
      code: 'fqdn-without-dns-rule',
      policy: policy.key,
      message: `${rule.id} selects by DNS name, but no DNS rule of ${policyTitle(policy)}'s subjects lets names be learnt`,
      at: rule.at,
      hint: `allow DNS at egress with ${port}`,
    },
  ];
}
