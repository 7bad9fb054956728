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
 * One change at a time; what comes meanwhile is taken together in the next.
 */
import type {
  EndpointRow,
  Identity,
  IdentityRow,
  IpcacheRow,
  NodeRow,
  Policy,
  PolicyConfig,
  PolicyFacts,
} from '#model';
import type { LabelSet } from '#kit/labels';
import { type CompiledPolicy, type CompileMemo, compile, type Numbering, prefixIdentities } from '#policy';

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
}

/** What the kernel is told. Every call is idempotent; a call that throws has changed nothing that a packet sees. */
export interface PolicySink {
  applyPolicy(compiled: CompiledPolicy): Promise<void>;
  /** Adds and moves; each is judged by its new identity from the moment this resolves. */
  updateIpcache(rows: readonly IpcacheRow[]): Promise<void>;
  removeIpcache(prefixes: readonly string[]): Promise<void>;
  /** Removes every row that is not among these: after a start, what a predecessor left. */
  pruneIpcache(rows: readonly IpcacheRow[]): Promise<void>;
  /** The endpoints' records, once their identities have numbers; before the rule sets that name them. */
  updateEndpoints(endpoints: readonly EndpointRow[]): Promise<void>;
}

/** What is enforced now. */
export interface Enforced {
  readonly input: ControlInput;
  readonly identities: readonly IdentityRow[];
  readonly ipcache: ReadonlyMap<string, IpcacheRow>;
  /** With their identities' numbers. */
  readonly endpoints: readonly EndpointRow[];
  readonly compiled: CompiledPolicy;
  readonly numbering: Numbering;
}

/**
 * Makes the kernel enforce `input`; `before` is what it enforces now, undefined after a start. The result is
 * what the next call is handed. `memo` makes the next compilation cost what changed.
 * `isRepair`: a call before this one failed half way, so rows may be left over.
 */
export async function enforce(
  input: ControlInput,
  before: Enforced | undefined,
  numbering: Numbering,
  sink: PolicySink,
  memo: CompileMemo,
  isRepair: boolean,
): Promise<Enforced> {
  const wanted = prefixIdentities({ ...input, numbering });
  const ipcache = new Map(wanted.ipcache.map((row) => [row.prefix, row]));
  const endpoints = input.endpoints.map((e, i) => ({ ...e, identity: identityAt(wanted.endpoints, i) }));
  const both = union(before?.identities ?? [], wanted.identities);
  if (before !== undefined && both.length > before.identities.length) {
    await sink.applyPolicy(compileFor(before.input, both, memo));
  }
  // Programs take an endpoint's own identity from its record. The ipcache comes after it, since the epochs that it
  // advances have flows judged again: a flow judged in between by the old record would keep that verdict.
  await sink.updateEndpoints(endpoints);
  await sink.updateIpcache(changedRows(before?.ipcache, ipcache));
  let compiled = compileFor(input, both, memo);
  await sink.applyPolicy(compiled);
  if (before === undefined || isRepair) await sink.pruneIpcache(wanted.ipcache);
  else await sink.removeIpcache([...before.ipcache.keys()].filter((prefix) => !ipcache.has(prefix)));
  if (both.length > wanted.identities.length) {
    compiled = compileFor(input, wanted.identities, memo);
    await sink.applyPolicy(compiled);
  }
  return { input, identities: wanted.identities, ipcache, endpoints, compiled, numbering: wanted.numbering };
}

function compileFor(
  input: ControlInput,
  identities: readonly IdentityRow[],
  memo: CompileMemo,
): CompiledPolicy {
  return compile({ ...input, identities }, memo);
}

function identityAt(identities: readonly Identity[], position: number): Identity {
  const identity = identities[position];
  // prefixIdentities numbers every endpoint; without a number the endpoint would be judged as unknown.
  if (identity === undefined) throw new Error('an endpoint has no identity');
  return identity;
}

/** Both sets; where a number's labels changed, the wanted ones count. */
function union(before: readonly IdentityRow[], wanted: readonly IdentityRow[]): readonly IdentityRow[] {
  const rows = new Map(before.map((row) => [row.id, row]));
  for (const row of wanted) rows.set(row.id, row);
  return [...rows.values()];
}

function changedRows(
  before: ReadonlyMap<string, IpcacheRow> | undefined,
  wanted: ReadonlyMap<string, IpcacheRow>,
): readonly IpcacheRow[] {
  return [...wanted.values()].filter((row) => {
    const old = before?.get(row.prefix);
    return (
      old === undefined ||
      old.identity !== row.identity ||
      old.isEndpoint !== row.isEndpoint ||
      old.isNode !== row.isNode
    );
  });
}
