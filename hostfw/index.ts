/**
 * The node as an endpoint: what the host firewall adds to policy. In: configuration and facts of the node.
 * Out: failsafe rows, which stand above policy and which policy code cannot write.
 */
export {
  type FailsafeConfig,
  type FailsafeEntry,
  failsafeRows,
  type NodeFacts,
  sshWarning,
} from './failsafe.ts';
export { readFacts, watchResolvers } from './facts.ts';
export { readUdpServers } from './udp-servers.ts';
