/**
 * The first change after a start over what a predecessor enforces. Its policies are not known any more, only
 * what the kernel holds: prefix → identity, identity → class. So whoever gets another identity keeps the class
 * until the new policies are switched to: an identity that is new is introduced with the class of the one that
 * its addresses had; where they had several, or the identity has a class of its own, a *stand-in* with the same
 * labels is, and gives way to it after the switch. Nobody's verdict changes but by that switch.
 */
import { type Cidr, formatCidr, parseCidr, parseCidrOrIp } from '#kit/ip';
import { Lpm } from '#kit/lpm';
import {
  type EndpointRow,
  type Identity,
  type IdentityRow,
  type IpcacheRow,
  type PolicyConfig,
  RESERVED_IDENTITY,
} from '#model';
import { type Numbering, numberingPast } from '#policy';

/** What a predecessor left in force. */
export interface Adopted {
  /** Canonical prefix → who its addresses are. */
  readonly ipcache: ReadonlyMap<string, { readonly identity: number }>;
  /**
   * Identity → class that the rule sets in force know it by; equal classes are judged alike. Those of the class of
   * whom nobody names may be missing.
   */
  readonly classes: ReadonlyMap<number, number>;
}

/** What is wanted in the end. */
export interface Wanted {
  readonly ipcache: readonly IpcacheRow[];
  readonly identities: readonly IdentityRow[];
  readonly endpoints: readonly EndpointRow[];
  readonly config: PolicyConfig;
  /** In which they were numbered. */
  readonly numbering: Numbering;
}

/** The state in which the policies are switched. */
export interface Takeover {
  /** Identities that the rule sets in force do not know, each with the one whose class it gets first. */
  readonly introduced: readonly (readonly [identity: Identity, like: number])[];
  /** Those wanted, and the stand-ins. */
  readonly identities: readonly IdentityRow[];
  /** Those wanted, and prefixes that nobody names any more. */
  readonly ipcache: readonly IpcacheRow[];
  readonly endpoints: readonly EndpointRow[];
}

/** The numbering to begin with: it gives out no number that the kernel knows and the numbering does not. */
export function numberingOver(numbering: Numbering, { ipcache, classes }: Adopted): Numbering {
  return numberingPast(numbering, [...classes.keys(), ...[...ipcache.values()].map((e) => e.identity)]);
}

export function planTakeover(adopted: Adopted, wanted: Wanted): Takeover {
  const plan = new Plan(adopted, wanted);
  const ipcache = [...wanted.ipcache, ...plan.gone()].map((row) => plan.standing(row));
  const byPrefix = new Map(ipcache.map((row) => [row.prefix, row.identity]));
  return {
    introduced: [...plan.introduced],
    identities: [...plan.identities.values()],
    ipcache,
    endpoints: wanted.endpoints.map((row) => ({ ...row, identity: plan.ofEndpoint(row, byPrefix) })),
  };
}

class Plan {
  /** New identity → whose class it gets first. */
  readonly introduced = new Map<Identity, number>();
  readonly identities: Map<Identity, IdentityRow>;
  readonly #adopted: Adopted;
  readonly #wanted: Wanted;
  readonly #old: Lpm<number>;
  /** Identities that packets have already, so that another class would change what becomes of these. */
  readonly #inUse: ReadonlySet<number>;
  #next: number;
  /** `identity class` → stand-in. */
  readonly #standIns = new Map<string, Identity>();
  /** Stand-in → for whom. */
  readonly #standsFor = new Map<Identity, Identity>();

  constructor(adopted: Adopted, wanted: Wanted) {
    this.#adopted = adopted;
    this.#wanted = wanted;
    this.#next = wanted.numbering.local.next;
    this.identities = new Map(wanted.identities.map((row) => [row.id, row]));
    const old = [...adopted.ipcache].map(([prefix, { identity }]) => [prefix, identity] as const);
    this.#old = lpmOf(old);
    // What no prefix holds is the world, and the node is the host.
    const reserved = Object.values(RESERVED_IDENTITY);
    this.#inUse = new Set([...adopted.classes.keys(), ...old.map(([, identity]) => identity), ...reserved]);
  }

  /** The row under an identity that is judged as the prefix was. */
  standing(row: IpcacheRow): IpcacheRow {
    const cidr = parseCidr(row.prefix);
    if (cidr === undefined) return row;
    return { ...row, identity: this.#like(row.identity, this.#identityOf(this.#old, cidr)) };
  }

  /** Prefixes that nobody names any more, as who their addresses will be. */
  gone(): readonly IpcacheRow[] {
    const { ipcache } = this.#wanted;
    const named = new Set(ipcache.map((row) => row.prefix));
    const heirs = lpmOf(ipcache.map((row) => [row.prefix, row.identity]));
    return [...this.#adopted.ipcache.keys()].flatMap((prefix) => {
      const cidr = named.has(prefix) ? undefined : parseCidr(prefix);
      if (cidr === undefined) return [];
      const identity = this.#identityOf(heirs, cidr) as Identity;
      return [{ prefix, identity, isEndpoint: false, isNode: false }];
    });
  }

  /** In its record an endpoint is who its addresses are. */
  ofEndpoint(row: EndpointRow, byPrefix: ReadonlyMap<string, Identity>): Identity {
    for (const text of row.addresses) {
      const cidr = parseCidrOrIp(text);
      const identity = cidr === undefined ? undefined : byPrefix.get(formatCidr(cidr));
      if (identity !== undefined && this.#standsFor.get(identity) === row.identity) return identity;
    }
    return row.identity;
  }

  /** One with the labels of `identity` that is judged like `before` until the policies are switched. */
  #like(identity: Identity, before: number): Identity {
    const isKnown = this.#inUse.has(identity) || this.introduced.has(identity);
    if (!isKnown) this.introduced.set(identity, before);
    const wanted = this.#classOf(before);
    if (wanted === this.#classOf(this.introduced.get(identity) ?? identity)) return identity;
    const key = `${identity} ${wanted}`;
    const present = this.#standIns.get(key);
    if (present !== undefined) return present;
    const id = this.#next++ as Identity;
    const labels = this.identities.get(identity)?.labels;
    if (labels !== undefined) this.identities.set(id, { id, labels });
    this.introduced.set(id, before);
    this.#standIns.set(key, id);
    this.#standsFor.set(id, identity);
    return id;
  }

  #classOf(identity: number): number {
    return this.#adopted.classes.get(identity) ?? UNKNOWN_CLASS;
  }

  #identityOf(lpm: Lpm<number>, cidr: Cidr): number {
    const { ipv4, ipv6 } = this.#wanted.config;
    const world = ipv4 && ipv6 ? (cidr.ip.family === 4 ? 'world-ipv4' : 'world-ipv6') : 'world';
    return lpm.covering(cidr)[0]?.value ?? RESERVED_IDENTITY[world];
  }
}

/** What nobody knows the number of is judged as. */
const UNKNOWN_CLASS = 0;

function lpmOf(entries: readonly (readonly [prefix: string, identity: number])[]): Lpm<number> {
  const lpm = new Lpm<number>();
  for (const [prefix, identity] of entries) {
    const cidr = parseCidr(prefix);
    if (cidr !== undefined) lpm.set(cidr, identity);
  }
  return lpm;
}
