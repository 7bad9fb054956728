/**
 * Reading of documents that people write: text → trees with positions (`tree.ts`) → values, strictly
 * (`place.ts`); everything wrong is a `Problem` with its place. Manifests and NodeConfig are read with it.
 */
export * from './place.ts';
export * from './problem.ts';
export * from './tree.ts';
