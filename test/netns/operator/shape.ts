/** Whether a JSON value has the fields that an interface promises. Fields beyond them are allowed. */

/** `string` …; a pattern of text; the values that are possible; a list of; an object. A key with `?` may be absent. */
export type Shape =
  | 'string'
  | 'number'
  | 'boolean'
  | RegExp
  | { readonly oneOf: readonly unknown[] }
  | readonly [Shape]
  | { readonly [key: string]: Shape };

/** Everything that differs, each with its path; empty when the value has the shape. */
export function differences(value: unknown, shape: Shape, path = '$'): readonly string[] {
  if (typeof shape === 'string') {
    return typeof value === shape ? [] : [`${path} is ${JSON.stringify(value)}, not a ${shape}`];
  }
  if (shape instanceof RegExp) {
    const isText = typeof value === 'string' && shape.test(value);
    return isText ? [] : [`${path} is ${JSON.stringify(value)}, not ${shape}`];
  }
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return [`${path} is no list`];
    return value.flatMap((item, i) => differences(item, (shape as readonly [Shape])[0], `${path}[${i}]`));
  }
  if ('oneOf' in shape) {
    const { oneOf } = shape as { readonly oneOf: readonly unknown[] };
    return oneOf.includes(value)
      ? []
      : [`${path} is ${JSON.stringify(value)}, not one of ${oneOf.join(', ')}`];
  }
  if (typeof value !== 'object' || value === null) return [`${path} is no object`];
  const given = value as Readonly<Record<string, unknown>>;
  return Object.entries(shape as Readonly<Record<string, Shape>>).flatMap(([key, inner]) => {
    const name = key.replace(/\?$/, '');
    const at = `${path}.${name}`;
    if (given[name] !== undefined) return differences(given[name], inner, at);
    return key.endsWith('?') ? [] : [`${at} is absent`];
  });
}

/** The objects of JSON lines. */
export const jsonl = <T>(text: string): readonly T[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
