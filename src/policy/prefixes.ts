/**
 * Which identities there are and which prefix has which: the owners of prefixes (owners.ts) with their numbers,
 * as rows of the ipcache and of identities. What says the same as before is the same row.
 */
import { type Cidr, compareCidr, formatCidr } from '#kit/ip';
import { deepEqual } from '#kit/equal';
import { type LabelSet, labelSet } from '#kit/labels';
import { compareText } from '#kit/order';
import { patchSorted, type RowChanges, rowChanges } from '#kit/rows';
import {
  type Identity,
  type IdentityRow,
  type IpcacheRow,
  type PolicyConfig,
  RESERVED_IDENTITY,
} from '#model';
import type { EndpointAddresses } from './claims.ts';
import { Counted } from './counted.ts';
import { type NumberedIdentity, type Numbering, renumber, SCOPES, type WantedIdentity } from './numbering.ts';
import {
  type OwnedPrefix,
  type Owner,
  type OwnerChanges,
  type OwnersInput,
  PrefixOwners,
  reserved,
} from './owners.ts';

export interface PrefixInput extends OwnersInput {
  /** Numbers given so far. */
  readonly numbering: Numbering;
}

/** What is wanted, sorted by prefix and by number, and the numbering to hand in next time. */
export interface PrefixOutput {
  readonly ipcache: readonly IpcacheRow[];
  readonly identities: readonly IdentityRow[];
  readonly numbering: Numbering;
  /** The identity of an endpoint of the input; until the next call. */
  readonly identityOf: (endpoint: EndpointAddresses) => Identity;
}

/** What one call leaves for the next, so that the next costs what changed. It changes no result. */
export class PrefixMemo {
  #config: PolicyConfig | undefined;
  owners: PrefixOwners | undefined;
  numbers: NumberedPrefixes | undefined;

  /** Forgets what does not fit the input: owners of another configuration, numbers of another history. */
  prepare({ config, numbering }: PrefixInput): PrefixOwners {
    if (this.owners === undefined || !deepEqual(config, this.#config)) {
      this.owners = new PrefixOwners(config);
      this.numbers = undefined;
    }
    this.#config = config;
    if (this.numbers?.numbering !== numbering) this.numbers = undefined;
    return this.owners;
  }

  forget(): void {
    this.owners = undefined;
    this.numbers = undefined;
  }
}

/** Desired ipcache and identities; each row stands in a list of the input once. Throws `IDENTITY_EXHAUSTED`. */
export function prefixIdentities(input: PrefixInput, memo: PrefixMemo = new PrefixMemo()): PrefixOutput {
  const owners = memo.prepare(input);
  try {
    const changes = owners.update(input);
    if (memo.numbers === undefined) memo.numbers = new NumberedPrefixes(input.numbering, owners);
    else memo.numbers.update(changes, owners);
  } catch (e) {
    memo.forget(); // owners may be a step ahead of the numbers
    throw e;
  }
  return memo.numbers.outputOf(owners);
}

/** Numbers and rows of owners; belongs to one history of numbers. */
class NumberedPrefixes {
  #numbering: Numbering;
  /** Label sets that need a number, by scope and labels. */
  readonly #wanted = new Counted<WantedIdentity>();
  /** By scope and labels. */
  readonly #numbers = new Map<string, NumberedIdentity>();
  readonly #reserved: Map<Identity, IdentityRow>;
  readonly #numbered = new Map<Identity, IdentityRow>();
  /** Endpoints whose numbers somebody else gives. */
  readonly #given = new Map<Identity, Set<Owner>>();
  readonly #rows = new Map<Identity, IdentityRow>();
  #identities: readonly IdentityRow[] = [];
  readonly #byPrefix = new Map<string, IpcacheRow>();
  /** What orders the rows. */
  readonly #cidrs = new WeakMap<IpcacheRow, Cidr>();
  #ipcache: readonly IpcacheRow[] = [];

  constructor(numbering: Numbering, owners: PrefixOwners) {
    this.#numbering = numbering;
    this.#reserved = new Map(reservedIdentities(owners.host.labels).map((row) => [row.id, row]));
    const all = SCOPES.flatMap((scope) => numbering[scope].given.map((row) => ({ scope, row })));
    for (const one of all) this.#note(one);
    const endpoints = { gone: [], come: [...owners.endpoints.values()] };
    const changes = { prefixes: { gone: [], come: owners.prefixes }, endpoints };
    const sets = all.map(({ scope, row: { labels } }) => ({ scope, labels }));
    this.#apply(changes, sets, new Set([...this.#reserved.keys(), ...this.#numbered.keys()]));
  }

  get numbering(): Numbering {
    return this.#numbering;
  }

  outputOf(owners: PrefixOwners): PrefixOutput {
    return {
      ipcache: this.#ipcache,
      identities: this.#identities,
      numbering: this.#numbering,
      identityOf: (endpoint) => {
        const owner = owners.endpoints.get(endpoint);
        return owner === undefined ? RESERVED_IDENTITY.unknown : this.#identityOf(owner);
      },
    };
  }

  #note(numbered: NumberedIdentity): void {
    const { scope, row } = numbered;
    this.#numbers.set(keyOf({ scope, labels: row.labels }), numbered);
    this.#numbered.set(row.id, row);
  }

  #identityOf(owner: Owner): Identity {
    return owner.identity ?? this.#numbers.get(keyOf(owner))?.row.id ?? RESERVED_IDENTITY.unknown;
  }

  update(changes: OwnerChanges, { host }: PrefixOwners): void {
    const { host: id } = RESERVED_IDENTITY;
    const isOtherHost = this.#reserved.get(id)?.labels.key !== host.labels.key;
    if (isOtherHost) this.#reserved.set(id, { id, labels: host.labels });
    this.#apply(changes, [], new Set(isOtherHost ? [id] : []));
  }

  /** `sets` and `ids`: what has to be looked at beside what changed. */
  #apply(changes: OwnerChanges, sets: readonly WantedIdentity[], ids: Set<Identity>): void {
    const noted = [...sets, ...this.#count(changes)];
    this.#renumber(new Map(noted.map((wanted) => [keyOf(wanted), wanted])), ids);
    for (const { identity } of [...changes.endpoints.gone, ...changes.endpoints.come])
      if (identity) ids.add(identity);
    this.#replaceRows(ids);
    this.#replacePrefixes(changes.prefixes);
  }

  /** Counts who wants which number; the label sets that more or fewer want than before. */
  #count({ prefixes, endpoints }: OwnerChanges): readonly WantedIdentity[] {
    const noted: WantedIdentity[] = [];
    const ownersOf = (kind: 'gone' | 'come') => [
      ...prefixes[kind].map(({ owner }) => owner),
      ...endpoints[kind],
    ];
    for (const owner of endpoints.gone) if (owner.identity) this.#given.get(owner.identity)?.delete(owner);
    for (const owner of endpoints.come) {
      if (owner.identity)
        this.#given.set(owner.identity, (this.#given.get(owner.identity) ?? new Set()).add(owner));
    }
    for (const owner of ownersOf('come')) {
      if (owner.identity === undefined && this.#wanted.add(keyOf(owner), owner)) noted.push(owner);
    }
    for (const owner of ownersOf('gone')) {
      if (owner.identity === undefined && this.#wanted.remove(keyOf(owner))) noted.push(owner);
    }
    return noted;
  }

  /** Gives numbers to what is wanted and frees those of what is not. */
  #renumber(noted: ReadonlyMap<string, WantedIdentity>, ids: Set<Identity>): void {
    const gone: NumberedIdentity[] = [];
    const come: WantedIdentity[] = [];
    for (const [key, wanted] of noted) {
      const numbered = this.#numbers.get(key);
      if (this.#wanted.has(key)) {
        if (numbered === undefined) come.push(wanted);
      } else if (numbered !== undefined) gone.push(numbered);
    }
    const old = this.#numbering;
    this.#numbering = renumber(old, { gone, come });
    for (const { scope, row } of gone) {
      ids.add(row.id);
      this.#numbers.delete(keyOf({ scope, labels: row.labels }));
      this.#numbered.delete(row.id);
    }
    for (const scope of SCOPES) {
      for (const row of rowChanges(old[scope].given, this.#numbering[scope].given).come) {
        ids.add(row.id);
        this.#note({ scope, row });
      }
    }
  }

  #replaceRows(ids: ReadonlySet<Identity>): void {
    const changes = { gone: [] as IdentityRow[], come: [] as IdentityRow[] };
    for (const id of ids) {
      const old = this.#rows.get(id);
      const now = this.#reserved.get(id) ?? this.#numbered.get(id) ?? this.#givenRow(id);
      if (old === now) continue;
      if (old !== undefined) changes.gone.push(old);
      if (now === undefined) this.#rows.delete(id);
      else {
        this.#rows.set(id, now);
        changes.come.push(now);
      }
    }
    this.#identities = patchSorted(this.#identities, changes, (a, b) => a.id - b.id);
  }

  /** A number that somebody else gave; should its endpoints differ, the first in order counts. */
  #givenRow(id: Identity): IdentityRow | undefined {
    const [first] = [...(this.#given.get(id) ?? [])].sort((a, b) => compareText(a.labels.key, b.labels.key));
    return first === undefined ? undefined : { id, labels: first.labels };
  }

  #replacePrefixes({ gone, come }: RowChanges<OwnedPrefix>): void {
    const left = gone.flatMap(({ cidr }) => this.#byPrefix.get(formatCidr(cidr)) ?? []);
    for (const { prefix } of left) this.#byPrefix.delete(prefix);
    const fresh = come.map(({ cidr, owner }): IpcacheRow => {
      const { isEndpoint, isNode } = owner;
      const row = { prefix: formatCidr(cidr), identity: this.#identityOf(owner), isEndpoint, isNode };
      this.#byPrefix.set(row.prefix, row);
      this.#cidrs.set(row, cidr);
      return row;
    });
    this.#ipcache = patchSorted(this.#ipcache, { gone: left, come: fresh }, (a, b) => this.#compare(a, b));
  }

  #compare(a: IpcacheRow, b: IpcacheRow): number {
    const [x, y] = [this.#cidrs.get(a), this.#cidrs.get(b)];
    return x === undefined || y === undefined ? compareText(a.prefix, b.prefix) : compareCidr(x, y);
  }
}

function keyOf({ scope, labels }: WantedIdentity): string {
  return `${scope} ${labels.key}`;
}

/** The identities that need no allocation. 0 is none: nobody is known by it. */
function reservedIdentities(hostLabels: LabelSet): IdentityRow[] {
  return Object.entries(RESERVED_IDENTITY)
    .filter(([name]) => name !== 'unknown')
    .sort(([a], [b]) => compareText(a, b))
    .map(([name, id]) => ({ id, labels: name === 'host' ? hostLabels : reservedLabels(name) }));
}

function reservedLabels(name: string): LabelSet {
  const also = name === 'kube-apiserver' ? [reserved('remote-node')] : [];
  return labelSet([reserved(name), ...also]);
}
