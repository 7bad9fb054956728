/**
 * One generation as it is kept: the documents that were enforced and what they meant on this node. A number
 * between those of two kept generations belongs to the lower: identities changed in between, no document did.
 */
import { MerlonError } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import { NO_FACTS, type Policy, type PolicyConfig, type PolicyFacts } from '#model';
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

/** Raised when a release can no longer read what the one before it wrote. */
const VERSION = 1;

/** What is kept, and what an agent sends. */
export function generationToJson(generation: Generation): unknown {
  const { facts } = generation;
  return { version: VERSION, content: toPlain({ ...generation, facts: { ...facts, names: [] } }) };
}

/** The generation of the text of a file. Throws `STATE_CORRUPT`. */
export function generationFromText(text: string, file: string): Generation {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new MerlonError('STATE_CORRUPT', `${file} holds no generation: it is no JSON`, { cause });
  }
  return generationFromJson(json, file);
}

/** The same of what stands in it; `from` is who says so. Throws `STATE_CORRUPT`. */
export function generationFromJson(json: unknown, from: string): Generation {
  const bad = (why: string) => new MerlonError('STATE_CORRUPT', `${from} holds no generation: ${why}`);
  const framed = json as { readonly version?: unknown; readonly content?: unknown } | null;
  if (framed?.version !== VERSION) throw bad('it is of another release');
  const { generation, enforcedAt, policies, facts, nodeLabels, config } = (fromPlain(framed.content) ??
    {}) as Partial<Generation>;
  if (
    typeof generation !== 'number' ||
    typeof enforcedAt !== 'string' ||
    !Array.isArray(policies) ||
    config === undefined ||
    nodeLabels === undefined
  ) {
    throw bad('fields are missing');
  }
  return {
    generation,
    enforcedAt,
    policies: policies as readonly Policy[],
    facts: { ...NO_FACTS, ...facts },
    nodeLabels,
    config,
  };
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
  return JSON.stringify([hashes, nodeLabels.key, config]);
}

/** Names of policies that differ between two sets. */
export interface PolicyChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** What became of each policy, by kind and name; `titleOf`: what it is called. */
export function policyChanges(
  before: readonly Policy[],
  after: readonly Policy[],
  titleOf: (policy: Policy) => string,
): PolicyChanges {
  const [old, now] = [before, after].map((list) => new Map(list.map((policy) => [policy.key, policy])));
  const titles = (policies: readonly Policy[]) => policies.map(titleOf).sort();
  return {
    added: titles(after.filter(({ key }) => old?.has(key) !== true)),
    changed: titles(
      after.filter(({ key, contentHash }) => {
        const known = old?.get(key);
        return known !== undefined && known.contentHash !== contentHash;
      }),
    ),
    removed: titles(before.filter(({ key }) => now?.has(key) !== true)),
  };
}
