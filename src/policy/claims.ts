/**
 * Prefixes of the cluster and whose they are: addresses of the node itself, of other nodes, of endpoints. Where
 * two claim one prefix, the first in this order has it; of one kind the one whose text comes first.
 */
import { type Cidr, formatCidr, parseCidrOrIp } from '#kit/ip';
import type { LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import { compareText } from '#kit/order';
import type { RowChanges } from '#kit/rows';
import type { Identity, NodeRow } from '#model';

/** An endpoint's part: addresses and prefixes it may use, and its identity's labels. */
export interface EndpointAddresses {
  readonly addresses: readonly string[];
  readonly labels: LabelSet;
  /** Its number when somebody else gives them; 0 or absent: numbered here. */
  readonly identity?: Identity;
}

/** Who claims a prefix. */
export type Claim =
  | { readonly kind: 'host'; readonly rank: 0; readonly text: '' }
  | { readonly kind: 'node'; readonly rank: 1; readonly text: string; readonly node: NodeRow }
  | {
      readonly kind: 'endpoint';
      readonly rank: 2;
      readonly text: string;
      readonly endpoint: EndpointAddresses;
    };

const HOST: Claim = { kind: 'host', rank: 0, text: '' };

/** Everybody whose prefixes are claimed. */
export interface Claimants {
  readonly localAddresses: readonly string[];
  readonly nodes: readonly NodeRow[];
  readonly endpoints: readonly EndpointAddresses[];
}

export class Claims {
  readonly #at = new Lpm<Set<Claim>>();
  readonly #claims = new Map<object, Claim>();
  #local: ReadonlySet<string> = new Set();

  /** `touched` gets the prefixes that somebody else claims now, or nobody. */
  update(
    localAddresses: readonly string[],
    nodes: RowChanges<NodeRow>,
    endpoints: RowChanges<EndpointAddresses>,
    touched: Cidr[],
  ): void {
    const local = new Set(cidrsOf(localAddresses).map(formatCidr));
    this.#drop([...this.#local.difference(local)], HOST, touched);
    this.#put([...local.difference(this.#local)], HOST, touched);
    this.#local = local;
    this.#move(nodes, touched, (node) => ({
      ...({ kind: 'node', rank: 1, node } as const),
      text: `${node.cluster} ${node.name} ${node.labels.key}`,
    }));
    this.#move(endpoints, touched, (endpoint) => ({
      ...({ kind: 'endpoint', rank: 2, endpoint } as const),
      text: `${endpoint.labels.key} ${endpoint.identity ?? 0}`,
    }));
  }

  #move<R extends { readonly addresses: readonly string[] }>(
    { gone, come }: RowChanges<R>,
    touched: Cidr[],
    claimOf: (row: R) => Claim,
  ): void {
    for (const row of gone) {
      const claim = this.#claims.get(row);
      if (claim !== undefined) this.#drop(row.addresses, claim, touched);
      this.#claims.delete(row);
    }
    for (const row of come) {
      const claim = claimOf(row);
      this.#claims.set(row, claim);
      this.#put(row.addresses, claim, touched);
    }
  }

  #put(texts: readonly string[], claim: Claim, touched: Cidr[]): void {
    for (const cidr of cidrsOf(texts)) {
      const claims = this.#at.get(cidr) ?? new Set();
      this.#at.set(cidr, claims.add(claim));
      touched.push(cidr);
    }
  }

  #drop(texts: readonly string[], claim: Claim, touched: Cidr[]): void {
    for (const cidr of cidrsOf(texts)) {
      const claims = this.#at.get(cidr);
      if (claims?.delete(claim) === true && claims.size === 0) this.#at.delete(cidr);
      touched.push(cidr);
    }
  }

  /** The claim of the longest claimed prefix around this one, and that prefix. */
  around(cidr: Cidr): { readonly cidr: Cidr; readonly claim: Claim } | undefined {
    const [nearest] = this.#at.covering(cidr);
    const claim = nearest && firstOf(nearest.value);
    return nearest === undefined || claim === undefined ? undefined : { cidr: nearest.cidr, claim };
  }

  /** Endpoints that claim something inside the prefix. */
  *endpointsIn(cidr: Cidr): Iterable<EndpointAddresses> {
    for (const { value } of this.#at.covered(cidr)) {
      for (const claim of value) if (claim.kind === 'endpoint') yield claim.endpoint;
    }
  }
}

function firstOf(claims: Iterable<Claim>): Claim | undefined {
  return [...claims].sort((a, b) => a.rank - b.rank || compareText(a.text, b.text))[0];
}

/** What can be read; the rest claims nothing. */
export function cidrsOf(texts: readonly string[]): readonly Cidr[] {
  return texts.map(parseCidrOrIp).filter((cidr) => cidr !== undefined);
}
