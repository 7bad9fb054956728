/**
 * The node's long-running process. Wires every part: sources fill tables, compilers derive rows, reconcilers
 * and the policy loop make the kernel equal to them, the local API tells what came of it. Nothing here decides
 * anything about a packet.
 */
export { runAgent } from './main.ts';
export type { AgentOptions } from './options.ts';
export { uninstall, type UninstallOptions, type UninstallReport } from './uninstall.ts';
