/** Readers of optional fields, shared by the parts of a case file: what is absent is `undefined` or empty. */
import { formatCidrOrIp, formatIp, parseCidrOrIp, parseIp } from '#kit/ip';
import {
  type Fields,
  fail,
  type Place,
  quote,
  readAnyMap,
  readBoolean,
  readList,
  readText,
  readWord,
} from '#model/document';

/** Items of a list field; absent: none. Items that cannot be read are left out, with a problem. */
export function itemsOf<T>(fields: Fields, key: string, read: (place: Place) => T | undefined): readonly T[] {
  const place = fields.get(key);
  if (place === undefined) return [];
  return (readList(place, key) ?? []).map(read).filter((item) => item !== undefined);
}

/** A text that must be there. */
export function requiredText(fields: Fields, key: string): string | undefined {
  const place = fields.get(key);
  if (place === undefined) return fail(fields.place, 'CASE_SCHEMA', `${key} is missing`);
  return readText(place);
}

export function optionalText(fields: Fields, key: string): string | undefined {
  const place = fields.get(key);
  return place && readText(place);
}

export function booleanOf(fields: Fields, key: string, otherwise: boolean): boolean {
  const place = fields.get(key);
  return (place && readBoolean(place)) ?? otherwise;
}

export function wordOf<W extends string>(fields: Fields, key: string, words: readonly W[], otherwise: W): W {
  const place = fields.get(key);
  return (place && readWord(place, words)) ?? otherwise;
}

/** A map of texts; numbers and booleans must be quoted, as Kubernetes has it. */
export function textMapOf(fields: Fields, key: string): Readonly<Record<string, string>> {
  const place = fields.get(key);
  const entries = place === undefined ? undefined : readAnyMap(place, key);
  const out: [string, string][] = [];
  for (const [name, { value }] of entries ?? []) {
    const text = value === undefined ? '' : readText(value);
    if (text !== undefined) out.push([name, text]);
  }
  return Object.fromEntries(out);
}

/** An address, in canonical form. */
export function readAddress(place: Place): string | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  const ip = parseIp(text);
  return ip === undefined ? fail(place, 'ADDRESS_SYNTAX', `${quote(text)} is no address`) : formatIp(ip);
}

/** An address or a prefix, in canonical form. */
export function readPrefix(place: Place): string | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  const cidr = parseCidrOrIp(text);
  return cidr === undefined
    ? fail(place, 'ADDRESS_SYNTAX', `${quote(text)} is neither an address nor a CIDR`)
    : formatCidrOrIp(cidr);
}

/** `namespace/name`. */
export function readName(fields: Fields): string | undefined {
  const place = fields.get('name');
  if (place === undefined) return fail(fields.place, 'CASE_SCHEMA', 'name is missing');
  const text = readText(place);
  if (text === undefined || /^[^/\s]+\/[^/\s]+$/.test(text)) return text;
  return fail(place, 'CASE_SCHEMA', `${quote(text)} is not written namespace/name`);
}
