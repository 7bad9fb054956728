/** Every key of NodeConfig: one list, read by the parser, the documentation test and `config view`. */
import type { Key } from './key.ts';
import { FLOW_KEYS } from './keys-flow.ts';
import { HOSTFW_KEYS } from './keys-hostfw.ts';
import { L7_KEYS } from './keys-l7.ts';
import { NODE_KEYS } from './keys-node.ts';
import { POLICY_KEYS } from './keys-policy.ts';
import { SERVICE_KEYS } from './keys-services.ts';

const ALL = { ...NODE_KEYS, ...POLICY_KEYS, ...HOSTFW_KEYS, ...SERVICE_KEYS, ...L7_KEYS, ...FLOW_KEYS };

/** The type of each key's value. */
type ValueOf<K> = K extends Key<infer T> ? T : never;

/** Name of a key. */
export type ConfigKey = keyof typeof ALL;

/** A value for each key; keys without default may be undefined. */
export type ConfigValues = { readonly [K in ConfigKey]: ValueOf<(typeof ALL)[K]> | undefined };

/** The keys by name. */
export const CONFIG_KEYS: Readonly<Record<ConfigKey, Key<unknown>>> = ALL;

/** Names of all keys, in the order of the documentation. */
export const CONFIG_KEY_NAMES = Object.keys(ALL) as readonly ConfigKey[];
