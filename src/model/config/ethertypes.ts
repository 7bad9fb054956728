/** Ethertypes by name, for `hostfw.strictEthertypes` (HF-2.1). Numbers: IEEE 802 registry, as IANA lists it. */
import { fail, type Place, quote, readList, readTextOrNumber } from '../document/index.ts';
import type { Type } from './types.ts';

export const ETHERTYPES: Readonly<Record<string, number>> = {
  arp: 0x0806,
  rarp: 0x8035,
  'wake-on-lan': 0x0842,
  mpls: 0x8847,
  'pppoe-discovery': 0x8863,
  'pppoe-session': 0x8864,
  pause: 0x8808,
  lacp: 0x8809,
  eapol: 0x888e,
  lldp: 0x88cc,
  macsec: 0x88e5,
  ptp: 0x88f7,
  cfm: 0x8902,
  fcoe: 0x8906,
  fip: 0x8914,
  roce: 0x8915,
};

/** Smaller numbers are lengths (IEEE 802.3). */
const FIRST = 0x0600;
const LAST = 0xffff;
const MOST = 16;
const NAME = 'list of ethertypes, by name or number';

/** Names and numbers, at most as many as the datapath has room for. */
export const ethertypes: Type<readonly (string | number)[]> = {
  name: NAME,
  read: (place) => {
    const items = readList(place, NAME);
    if (items === undefined) return undefined;
    if (items.length > MOST) return fail(place, 'CONFIG_VALUE', `more than ${MOST} ethertypes`);
    const values = items.map(readEthertype).filter((value) => value !== undefined);
    return values.length < items.length ? undefined : values;
  },
};

function readEthertype(place: Place): string | number | undefined {
  const written = readTextOrNumber(place);
  if (written === undefined) return undefined;
  if (Object.hasOwn(ETHERTYPES, written)) return String(written);
  const number = numberOf(String(written));
  if (Number.isInteger(number) && number >= FIRST && number <= LAST) return number;
  return fail(
    place,
    'CONFIG_VALUE',
    `${quote(written)} is no ethertype`,
    `write a number from 0x0600 to 0xffff, or one of ${Object.keys(ETHERTYPES).join(', ')}`,
  );
}

const numberOf = (text: string): number =>
  /^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : Number.NaN;
