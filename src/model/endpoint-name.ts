/** How people name an endpoint: by its number, as `namespace/name`, or by its name where only one has it. */
import { MerlonError } from '#kit/errors';
import { nearest } from '#kit/nearest';

interface Named {
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
}

/** The endpoint that is meant. Error: ENDPOINT_NOT_FOUND, also where several are. */
export function endpointNamed<E extends Named>(all: readonly E[], wanted: string): E {
  const nameOf = ({ namespace, name }: E) => `${namespace}/${name}`;
  const found = all.filter(
    (one) => String(one.id) === wanted || nameOf(one) === wanted || one.name === wanted,
  );
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  if (found.length > 1) {
    throw new MerlonError('ENDPOINT_NOT_FOUND', `"${wanted}" may be ${found.map(nameOf).join(' or ')}`, {
      hint: 'name it with its namespace',
    });
  }
  const close = nearest(
    wanted,
    all.flatMap((one) => [one.name, nameOf(one)]),
  );
  throw new MerlonError('ENDPOINT_NOT_FOUND', `no endpoint "${wanted}"`, {
    hint: close === undefined ? '`merlon endpoint list` shows them' : `did you mean "${close}"?`,
  });
}
