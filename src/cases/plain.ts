/** Values as JSON and back. Addresses are bytes, numberings are maps: both become objects with one marked key. */

const BYTES = '$bytes';
const MAP = '$map';
const BIG = '$bigint';

/** The value with nothing in it that JSON lacks. */
export function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') return { [BIG]: String(value) };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { [BYTES]: [...value] };
  if (value instanceof Map) return { [MAP]: [...value].map(([k, v]) => [toPlain(k), toPlain(v)]) };
  if (Array.isArray(value)) return value.map(toPlain);
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, toPlain(v)]));
}

/** What `toPlain` was given. */
export function fromPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromPlain);
  const given = value as Record<string, unknown>;
  const bytes = given[BYTES];
  if (Array.isArray(bytes)) return Uint8Array.from(bytes as number[]);
  const entries = given[MAP];
  if (Array.isArray(entries)) return new Map(entries.map((pair) => fromPlain(pair) as [unknown, unknown]));
  if (typeof given[BIG] === 'string') return BigInt(given[BIG]);
  return Object.fromEntries(Object.entries(given).map(([key, v]) => [key, fromPlain(v)]));
}
