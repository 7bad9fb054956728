/**
 * Endpoints of this node: what is added by hand to a namespace, and workloads that manifests describe.
 *
 * Rows in: links, the node's addresses, workloads. Rows out: EndpointRow. Kept on disk: a record an endpoint
 * under `<state-dir>/endpoints/`, the node's settings before ours in `<state-dir>/sysctls.json`. Invariants: an id
 * means the same endpoint for as long as it lives; an address has one owner; a record precedes its device; a
 * damaged file costs that file's memory, and never what the kernel enforces. Identity numbers come from a function handed in.
 */
export { deviceName } from './device.ts';
export { Endpoints, GRACE_MS } from './endpoints.ts';
export { ENDPOINT_SOURCE, type EndpointOptions, endpointTable, type InForce } from './options.ts';
export { netnsPath, type OpenNetns, openNetns } from './netns.ts';
export { isEndpointId, nextId } from './record.ts';
export { removeEndpoints } from './remove-all.ts';
export {
  type EndpointRequest,
  type EndpointSpec,
  endpointAddress,
  endpointLabels,
  endpointSpec,
} from './spec.ts';
export { type StateFile, stateFile, writeAtomically } from './state-file.ts';
export { enableForwarding, restoreSysctls } from './sysctl.ts';
