/**
 * NodeConfig: the schema as data (`keys.ts`), and texts → one configuration with the origin of each value.
 * A door of its own, since only the agent and `config check` need it. Pure: who reads the files is `#files`.
 * Invariants: a key that would do nothing is never accepted; a configuration with any problem does not exist.
 */
export { errorFromProblem, type Problem } from '../document/index.ts';
export { ETHERTYPES } from './ethertypes.ts';
export type { Key, Support } from './key.ts';
export * from './keys.ts';
export * from './read.ts';
export { labelFilterEntry, textList } from './types.ts';
export type { FailsafeEntry } from './values.ts';
