/**
 * Labels that prefixes get beyond their own: from CIDR groups (policy.md §4.1) and from names learnt (§4.4).
 * Shorter prefixes hand them down; of equal keys the longest prefix counts, of one prefix the group whose name
 * comes last.
 */
import { type Cidr, cidrOf, ipFromBytes, parseCidrOrIp } from '#kit/ip';
import type { Label, LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import { compareText } from '#kit/order';
import type { RowChanges } from '#kit/rows';
import { type CidrGroupRow, LABEL_CIDR_GROUP_NAME } from '#model';
import { Counted } from './counted.ts';
import type { Learnt } from './learnt-names.ts';

/** A prefix that somebody gives labels to. */
export interface PrefixLabels {
  readonly prefix: string;
  readonly labels: LabelSet;
}

/** What one giver gives to one prefix. */
interface Given {
  readonly length: number;
  /** Orders what is given to prefixes of one length. */
  readonly by: string;
  readonly labels: readonly Label[];
}

/** A gift before its prefix is read. */
interface Gift extends Pick<Given, 'by' | 'labels'> {
  readonly prefix: string;
}

/** What prefixes are given; groups, names and other givers come and go. */
export class ExtraLabels {
  readonly #given = new Lpm<Counted<Given>>();

  /** `touched` gets the prefixes that are given something else than before. */
  update(
    groups: RowChanges<CidrGroupRow>,
    names: RowChanges<Learnt>,
    more: RowChanges<PrefixLabels>,
    touched: Cidr[],
  ): void {
    for (const gift of [
      ...groups.gone.flatMap(giftsOfGroup),
      ...names.gone.map(giftOfName),
      ...more.gone.map(giftOf),
    ])
      this.#take(gift, touched);
    for (const gift of [
      ...groups.come.flatMap(giftsOfGroup),
      ...names.come.map(giftOfName),
      ...more.come.map(giftOf),
    ])
      this.#give(gift, touched);
  }

  #give(gift: Gift, touched: Cidr[]): void {
    for (const part of partsOf(gift.prefix)) {
      const given = this.#given.get(part) ?? new Counted();
      this.#given.set(part, given);
      if (given.add(keyOf(gift), { length: part.length, by: gift.by, labels: gift.labels }))
        touched.push(part);
    }
  }

  #take(gift: Gift, touched: Cidr[]): void {
    for (const part of partsOf(gift.prefix)) {
      const given = this.#given.get(part);
      if (given?.remove(keyOf(gift)) === true) touched.push(part);
      if (given?.isEmpty === true) this.#given.delete(part);
    }
  }

  /** Whether exactly this prefix is given anything. */
  has(cidr: Cidr): boolean {
    return this.#given.get(cidr) !== undefined;
  }

  /** What these prefixes have together, what counts most last. */
  of(cidrs: readonly Cidr[]): readonly Label[] {
    const given = cidrs.flatMap((cidr) =>
      this.#given.covering(cidr).flatMap(({ value }) => [...value.entries()]),
    );
    return given
      .sort(([x, a], [y, b]) => a.length - b.length || compareText(a.by, b.by) || compareText(x, y))
      .flatMap(([, { labels }]) => labels);
  }
}

/** Tells what is given to one prefix apart. */
function keyOf({ by, labels }: Gift): string {
  return [by, ...labels.map(({ source, key, value }) => `${source}:${key}=${value}`)].join('\n');
}

function giftsOfGroup(group: CidrGroupRow): readonly Gift[] {
  const own = Object.entries(group.labels).map(([key, value]) => groupLabel(key, value));
  const labels = [...own, groupLabel(LABEL_CIDR_GROUP_NAME + group.name, '')];
  return group.cidrs.map((prefix) => ({ prefix, by: group.name, labels }));
}

function giftOfName({ address, pattern }: Learnt): Gift {
  return { prefix: address, by: '', labels: [{ source: 'fqdn', key: pattern, value: '' }] };
}

function giftOf({ prefix, labels }: PrefixLabels): Gift {
  return { prefix, by: '', labels: labels.labels };
}

const groupLabel = (key: string, value: string): Label => ({ source: 'cidrgroup', key, value });

/** A whole family is its world, whose identity is fixed: its halves are prefixes like any other. */
function partsOf(text: string): readonly Cidr[] {
  const cidr = parseCidrOrIp(text);
  if (cidr === undefined || cidr.length > 0) return cidr === undefined ? [] : [cidr];
  const bytes = Uint8Array.from(cidr.ip.bytes);
  bytes[0] = 0x80;
  const upper = ipFromBytes(bytes);
  return upper === undefined ? [] : [cidrOf(cidr.ip, 1), cidrOf(upper, 1)];
}
