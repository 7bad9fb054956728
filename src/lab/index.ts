/**
 * Topologies of network namespaces for tests, the demo and benches: hosts, links that can be cut or lossy,
 * servers, probes and running traffic in each host, and nodes that can run an agent.
 *
 *     await using net = await topology({
 *       name: 'fw',
 *       hosts: { node: { isNode: true }, peer: {} },
 *       links: [{ ends: [{ host: 'node', addresses: ['192.0.2.1/24'] }, { host: 'peer', addresses: ['192.0.2.2/24'] }] }],
 *     });
 *     await net.hosts.node.serveTcp(80);
 *     t.is(await net.hosts.peer.probeTcp('192.0.2.1', 80), 'open');
 *
 * Everything a topology makes carries a prefix with its owner's pid; `sweepLab` removes what dead owners left.
 * It stands on `ip`, `nsenter` and `tc`, so that it can be an oracle for our own netlink code.
 */
export * from './agent.ts';
export * from './host.ts';
export type { Link, Tap } from './link.ts';
export { pinFolder, sweepLab } from './owner.ts';
export type * from './protocol.ts';
export { type Finished, mustRun, type RunOptions, run } from './run.ts';
export * from './topology.ts';
