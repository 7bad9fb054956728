/** The compiler's output as this folder takes it: types only, nothing of the compiler runs here. */
export type { Cell, CompiledPolicy, DirectionImage, IdentityClass, PortClass, RuleSetImage } from '#policy';
