/**
 * The naive evaluator: rules and addresses in, a verdict out, with no table, class or number between. It is
 * what compiled rule sets are checked against, in tests and when slots are probed, so it shares no code with
 * the compiler and prefers the obvious to the fast.
 */
export { evaluate } from './evaluate.ts';
export type { Evaluation, Flow, FlowPeer, World, WorldEndpoint } from './world.ts';
