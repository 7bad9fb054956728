/** How a key of NodeConfig is described. */
import type { Type } from './types.ts';

/** Whether a key's values take effect in this program. */
export type Support<T> =
  /** All of them. */
  | 'all'
  /** Only the default. */
  | 'default'
  /** These, and the default. */
  | readonly T[];

/** One key. */
export interface Key<T> {
  readonly type: Type<T>;
  /** Default of the standalone mode; undefined = not set. */
  readonly standalone: T | undefined;
  /** Default of the Kubernetes mode. */
  readonly kubernetes: T | undefined;
  /** Other spellings of the same key. */
  readonly aliases: readonly string[];
  /** Where it is specified. */
  readonly spec: string;
  /** A change takes effect at the next start only. */
  readonly restart: boolean;
  readonly support: Support<T>;
}

interface KeyOptions<T> {
  readonly kubernetes?: T | undefined;
  readonly aliases?: readonly string[];
  readonly restart?: true;
}

function define<T>(
  type: Type<T>,
  standalone: T | undefined,
  spec: string,
  support: Support<T>,
  options: KeyOptions<T> = {},
): Key<T> {
  return {
    type,
    standalone,
    kubernetes: 'kubernetes' in options ? options.kubernetes : standalone,
    aliases: options.aliases ?? [],
    spec,
    restart: options.restart ?? false,
    support,
  };
}

/** A key that works. */
export function key<T>(
  type: Type<T>,
  standalone: T | undefined,
  spec: string,
  options?: KeyOptions<T>,
): Key<T> {
  return define(type, standalone, spec, 'all', options);
}

/** A key of which some values work; its default does. */
export function partly<T>(
  type: Type<T>,
  standalone: T | undefined,
  spec: string,
  values: readonly T[],
  options?: KeyOptions<T>,
): Key<T> {
  return define(type, standalone, spec, values, options);
}

/** A key that is known, of which only the default does anything yet. */
export function reserved<T>(
  type: Type<T>,
  standalone: T | undefined,
  spec: string,
  options?: KeyOptions<T>,
): Key<T> {
  return define(type, standalone, spec, 'default', options);
}
