/**
 * Manifests: text → objects of the domain. A door of its own, so that what only needs the types and their
 * meaning does not load the YAML library. Pure: reading files is the source's business (`#files`).
 * Invariants: past this door a value is valid; an object with any problem has no value; nothing that is not
 * enforced is accepted (`refusals.ts`).
 */
export { errorFromProblem, type Problem } from '../document/index.ts';
export * from './manifest.ts';
export * from './options.ts';
export * from './print.ts';
export * from './refusals.ts';
export { ENTITIES } from './peers.ts';
