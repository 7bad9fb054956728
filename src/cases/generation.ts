/**
 * One generation as it is kept: the documents that were enforced and what they meant on this node. A number
 * between those of two kept generations belongs to the lower: identities changed in between, no document did.
 *
 * The text of a generation is two lines of JSON: what it is, short, and what it holds. Whoever only lists them
 * need not read the second, and whoever keeps them writes anew only what changed.
 */
import { MerlonError } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import { NO_FACTS, type Policy, type PolicyConfig, type PolicyFacts, policyTitle } from '#model';
import { contentHashOf } from '#model/document';
import { fromPlain, toPlain } from './plain.ts';
import type { NodeWorld } from './view.ts';

/** What people wrote and chose; addresses and endpoints are not part of it. */
export interface Documents {
  readonly policies: readonly Policy[];
  /** Names that were learnt are left out: nobody wrote them. */
  readonly facts: PolicyFacts;
  readonly nodeLabels: LabelSet;
  readonly config: PolicyConfig;
}

export interface Generation extends Documents {
  /** First number of the kernel's counter under which these documents were enforced. */
  readonly generation: number;
  /** RFC 3339. */
  readonly enforcedAt: string;
}

/** The first line. */
export interface GenerationHead {
  readonly generation: number;
  readonly enforcedAt: string;
  /** Of `documentsDigest`. */
  readonly digest: string;
  /** Kind and name, title and content hash of each policy. */
  readonly policies: readonly (readonly [key: string, title: string, hash: string])[];
}

/** Raised when a release can no longer read what the one before it wrote. */
const VERSION = 1;

/** A policy's part of the text. */
export function policyToText(policy: Policy): string {
  return JSON.stringify(toPlain(policy));
}

/** The text of a generation; `textOf` may remember what `policyToText` made of a policy. */
export function generationToText(
  { generation, enforcedAt, policies, facts, nodeLabels, config }: Generation,
  digest: string,
  textOf: (policy: Policy) => string = policyToText,
): string {
  const rest = JSON.stringify(toPlain({ facts: { ...facts, names: [] }, nodeLabels, config }));
  const content = `{"policies":[${policies.map(textOf).join(',')}],"rest":${rest}}`;
  const titles = policies.map((policy) => [policy.key, policyTitle(policy), policy.contentHash] as const);
  const head = {
    version: VERSION,
    generation,
    enforcedAt,
    digest,
    policies: titles,
    length: content.length,
  };
  return `${JSON.stringify(head)}\n${content}\n`;
}

/** The first line of a text, which must be whole. `from` is who says so. Throws `STATE_CORRUPT`. */
export function generationHead(text: string, from: string): GenerationHead {
  const bad = (why: string, cause?: unknown) =>
    new MerlonError('STATE_CORRUPT', `${from} holds no generation: ${why}`, { cause });
  const end = text.indexOf('\n');
  const head = parsed(end < 0 ? text : text.slice(0, end), bad) as Partial<
    GenerationHead & { readonly version: number; readonly length: number }
  > | null;
  if (head?.version !== VERSION) throw bad('it is of another release');
  const { generation, enforcedAt, digest, policies, length } = head;
  const isHead =
    typeof generation === 'number' &&
    typeof enforcedAt === 'string' &&
    typeof digest === 'string' &&
    Array.isArray(policies);
  if (!isHead || length !== text.length - end - 2) throw bad('it is not whole');
  return { generation, enforcedAt, digest, policies: policies as GenerationHead['policies'] };
}

/** All of it. Throws `STATE_CORRUPT`. */
export function generationFromText(text: string, from: string): Generation {
  const { generation, enforcedAt } = generationHead(text, from);
  const bad = (why: string, cause?: unknown) =>
    new MerlonError('STATE_CORRUPT', `${from} holds no generation: ${why}`, { cause });
  const content = fromPlain(parsed(text.slice(text.indexOf('\n') + 1), bad)) as {
    readonly policies?: readonly Policy[];
    readonly rest?: Partial<Omit<Documents, 'policies'>>;
  } | null;
  const { facts, nodeLabels, config } = content?.rest ?? {};
  if (!Array.isArray(content?.policies) || nodeLabels === undefined || config === undefined) {
    throw bad('fields are missing');
  }
  const policies = content.policies as readonly Policy[];
  return { generation, enforcedAt, policies, facts: { ...NO_FACTS, ...facts }, nodeLabels, config };
}

function parsed(text: string, bad: (why: string, cause?: unknown) => MerlonError): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw bad('it is no JSON', cause);
  }
}

/** The world with the documents of another time; names learnt, addresses and endpoints stay those of now. */
export function worldWith(world: NodeWorld, { policies, facts, nodeLabels, config }: Documents): NodeWorld {
  const names = world.facts?.names ?? [];
  return { ...world, policies, facts: { ...facts, names }, nodeLabels, config };
}

/** Equal for documents that mean the same, wherever they stand. */
export function documentsDigest({ policies, facts, nodeLabels, config }: Documents): string {
  const rows = [...facts.cidrGroups, ...facts.services, ...facts.endpointSlices, ...policies];
  const hashes = rows.map((row) => `${'key' in row ? row.key : row.name} ${row.contentHash}`).sort();
  return contentHashOf([hashes, nodeLabels.key, config]);
}

/** Titles of policies that differ between two sets. */
export interface PolicyChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** What became of each policy, by kind and name. */
function policyChanges(before: GenerationHead['policies'], after: GenerationHead['policies']): PolicyChanges {
  const hashes = (list: GenerationHead['policies']) => new Map(list.map(([key, , hash]) => [key, hash]));
  const [old, now] = [hashes(before), hashes(after)];
  const titles = (list: GenerationHead['policies']) => list.map(([, title]) => title).sort();
  return {
    added: titles(after.filter(([key]) => !old.has(key))),
    changed: titles(after.filter(([key, , hash]) => old.has(key) && old.get(key) !== hash)),
    removed: titles(before.filter(([key]) => !now.has(key))),
  };
}

/** One line of a history. */
export interface GenerationLine {
  readonly generation: number;
  readonly enforcedAt: string;
  readonly active: boolean;
  readonly policies: number;
  /** Against the one before; absent for the oldest. */
  readonly changes?: PolicyChanges;
}

/** What changed from one generation to the next, the newest first; `heads`: the oldest first. */
export function historyOf(heads: readonly GenerationHead[], active: number): readonly GenerationLine[] {
  return heads
    .map(({ generation, enforcedAt, policies }, i) => {
      const before = heads[i - 1]?.policies;
      return {
        generation,
        enforcedAt,
        active: generation === active,
        policies: policies.length,
        ...(before === undefined ? {} : { changes: policyChanges(before, policies) }),
      };
    })
    .toReversed();
}
