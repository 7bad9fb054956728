/**
 * The node's links, addresses and routes as tables, and what follows from them.
 *
 *   rtnetlink ──NetdevSource──▶ links, addresses, routes ──selectDevices──▶ devices
 *                                                        └─localAddresses─▶ local addresses
 *
 * Rows in: events and dumps of one network namespace. Rows out: LinkRow, AddressRow, RouteRow (main and local
 * tables, unicast and local routes), DeviceRow, LocalAddressRow. Invariants: tables are synced when the first
 * listing is in them; after a lost event nothing of the stream is believed until all is read anew; selection
 * is pure, and every device has a reason.
 */
export { type DevicePattern, devicePattern } from './pattern.ts';
export { localAddresses } from './local.ts';
export {
  EXCLUDED_NAMES,
  requirePatterns,
  type SelectionConfig,
  selectDevices,
  unmatchedPatterns,
} from './select.ts';
export {
  NETDEV_SOURCE,
  type NetdevOptions,
  NetdevSource,
  type NetdevTables,
  netdevTables,
} from './source.ts';
