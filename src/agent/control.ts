/**
 * From tables to what the kernel enforces: identities, classes, ipcache and rule sets change in an order in
 * which no packet is ever judged by half of a change.
 *
 *  1. Identities that are new get their classes under the *old* policies: nothing names them yet.
 *  2. Addresses move to their new identities; those that appear are added. The old policies now see them as
 *     what they are.
 *  3. The new policies are switched to, for old and new identities alike.
 *  4. Addresses that are gone leave the ipcache, then identities nobody has any more leave the classes.
 *
 * After a start the old policies are what a predecessor left in the kernel (`takeover.ts`); the order is the same.
 *
 * One change at a time; what comes meanwhile is taken together in the next.
 */
import {
  type Direction,
  type EndpointRow,
  type Identity,
  type IdentityRow,
  type IpcacheRow,
  type NodeRow,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  RESERVED_IDENTITY,
} from '#model';
import type { LabelSet } from '#kit/labels';
import { type RowChanges, rowChanges } from '#kit/rows';
import {
  type CompiledPolicy,
  CompileMemo,
  compile,
  type HeldPolicies,
  heldPolicies,
  type Numbering,
  numberingPast,
  type PolicyHistory,
  prefixIdentities,
  PrefixMemo,
  type PrefixOutput,
} from '#policy';
import { type Adopted, numberingOver, planTakeover } from './takeover.ts';

/** Everything that decides what is enforced, at one moment. */
export interface ControlInput {
  readonly policies: readonly Policy[];
  readonly nodes: readonly NodeRow[];
  /** With the labels that their identities are made of. */
  readonly endpoints: readonly EndpointRow[];
  readonly localAddresses: readonly string[];
  readonly nodeLabels: LabelSet;
  readonly facts?: PolicyFacts;
  readonly config: PolicyConfig;
  /** What stays in force for subjects that cannot be computed; `enforce` fills it in. */
  readonly held?: HeldPolicies;
  /** Directions of the host in audit by themselves. */
  readonly hostAudit?: readonly Direction[];
}

/** What the kernel is told. Every call is idempotent; a call that throws has changed nothing that a packet sees. */
export interface PolicySink {
  /** What a predecessor left in force; undefined where nothing is. */
  adopted(): Adopted | undefined;
  /** Identities that the rule sets in force do not know are judged like these, which they may know. */
  introduce(pairs: readonly (readonly [identity: Identity, like: number])[]): Promise<void>;
  applyPolicy(compiled: CompiledPolicy): Promise<void>;
  /** Adds and moves; each is judged by its new identity from the moment this resolves. */
  updateIpcache(rows: readonly IpcacheRow[]): Promise<void>;
  removeIpcache(prefixes: readonly string[]): Promise<void>;
  /** Removes every row that is not among these: after a start, what a predecessor left. */
  pruneIpcache(rows: readonly IpcacheRow[]): Promise<void>;
  /** The endpoints' records, once their identities have numbers; before the rule sets that name them. */
  updateEndpoints(endpoints: readonly EndpointRow[]): Promise<void>;
}

/** What a start takes over from the one before it. */
export interface Inherited {
  readonly numbering: Numbering;
  readonly held: HeldPolicies;
}

/** What a change leaves for the next one; belongs to one caller. */
export class ControlMemo {
  readonly compile = new CompileMemo();
  readonly prefixes = new PrefixMemo();
}

/** What is enforced now. */
export interface Enforced {
  readonly input: ControlInput;
  readonly identities: readonly IdentityRow[];
  readonly ipcache: readonly IpcacheRow[];
  /** With their identities' numbers. */
  readonly endpoints: readonly EndpointRow[];
  readonly compiled: CompiledPolicy;
  readonly numbering: Numbering;
}

/**
 * Makes the kernel enforce `input`; `before` is what it enforces now, undefined after a start. The result is
 * what the next call is handed. `inherited` counts until something was enforced. `memo` makes the next call cost
 * what changed. `isRepair`: a call before this one failed half way, so rows may be left over.
 */
export async function enforce(
  given: ControlInput,
  before: Enforced | undefined,
  inherited: Inherited,
  sink: PolicySink,
  memo: ControlMemo,
  isRepair: boolean,
): Promise<Enforced> {
  const input = { ...given, held: heldPolicies(given, historyOf(before, inherited.held)) };
  const numbering = before?.numbering ?? inherited.numbering;
  const adopted = before === undefined ? sink.adopted() : undefined;
  if (adopted !== undefined) return takeOver(input, adopted, numbering, sink, memo);
  const wanted = prefixIdentities({ ...input, numbering }, memo.prefixes);
  const { ipcache } = wanted;
  const moved = rowChanges(before?.ipcache ?? [], ipcache);
  const endpoints = numbered(input, wanted);
  const both = union(before?.identities ?? [], wanted.identities);
  if (before !== undefined && both.length > before.identities.length) {
    await sink.applyPolicy(compileFor(before.input, both, memo));
  }
  // Programs take an endpoint's own identity from its record. The ipcache comes after it, since the epochs that it
  // advances have flows judged again: a flow judged in between by the old record would keep that verdict.
  await sink.updateEndpoints(endpoints);
  await sink.updateIpcache(moved.come);
  let compiled = compileFor(input, both, memo);
  await sink.applyPolicy(compiled);
  if (before === undefined || isRepair) await sink.pruneIpcache(ipcache);
  else await sink.removeIpcache(left(moved));
  if (both.length > wanted.identities.length) {
    compiled = compileFor(input, wanted.identities, memo);
    await sink.applyPolicy(compiled);
  }
  return { input, identities: wanted.identities, ipcache, endpoints, compiled, numbering: wanted.numbering };
}

/** The first change over what a predecessor left: its policies stand in the kernel alone. */
async function takeOver(
  input: ControlInput,
  adopted: Adopted,
  before: Numbering,
  sink: PolicySink,
  memo: ControlMemo,
): Promise<Enforced> {
  const wanted = prefixIdentities({ ...input, numbering: numberingOver(before, adopted) }, memo.prefixes);
  const { identities, ipcache } = wanted;
  const endpoints = numbered(input, wanted);
  const over = planTakeover(adopted, { ...wanted, endpoints, config: input.config });
  await sink.introduce(over.introduced);
  await sink.updateEndpoints(over.endpoints);
  await sink.updateIpcache(over.ipcache);
  let compiled = compileFor(input, over.identities, memo);
  await sink.applyPolicy(compiled);
  await sink.updateEndpoints(endpoints);
  await sink.pruneIpcache(ipcache);
  if (over.identities.length > identities.length) {
    compiled = compileFor(input, identities, memo);
    await sink.applyPolicy(compiled);
  }
  // Events and flows name stand-ins for a while.
  const numbering = numberingPast(
    wanted.numbering,
    over.identities.map(({ id }) => id),
  );
  return { input, identities, ipcache, endpoints, compiled, numbering };
}

/** The endpoints with their identities' numbers. */
function numbered(input: ControlInput, wanted: PrefixOutput): readonly EndpointRow[] {
  return input.endpoints.map((e) => ({ ...e, identity: identityIn(wanted, e) }));
}

/** What was in force before; after a start, what was held then. */
function historyOf(before: Enforced | undefined, held: HeldPolicies): PolicyHistory {
  if (before === undefined) return { policies: [], held, subjects: new Set() };
  const { policies, endpoints, held: kept = new Map() } = before.input;
  return { policies, held: kept, subjects: new Set(['host', ...endpoints.map(({ id }) => id)]) };
}

function compileFor(
  input: ControlInput,
  identities: readonly IdentityRow[],
  memo: ControlMemo,
): CompiledPolicy {
  return compile({ ...input, identities }, memo.compile);
}

function identityIn(wanted: PrefixOutput, endpoint: EndpointRow): Identity {
  const identity = wanted.identityOf(endpoint);
  // prefixIdentities numbers every endpoint; without a number the endpoint would be judged as unknown.
  if (identity === RESERVED_IDENTITY.unknown) throw new Error('an endpoint has no identity');
  return identity;
}

/** Both sets; where a number's labels changed, the wanted ones count. */
function union(before: readonly IdentityRow[], wanted: readonly IdentityRow[]): readonly IdentityRow[] {
  const { gone, come } = rowChanges(before, wanted);
  const ids = new Set(come.map(({ id }) => id));
  return gone.length === 0 ? wanted : [...wanted, ...gone.filter(({ id }) => !ids.has(id))];
}

/** Prefixes that nobody has any more. */
function left({ gone, come }: RowChanges<IpcacheRow>): readonly string[] {
  const prefixes = new Set(come.map(({ prefix }) => prefix));
  return gone.map(({ prefix }) => prefix).filter((prefix) => !prefixes.has(prefix));
}
