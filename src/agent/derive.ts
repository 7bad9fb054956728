/** The derivations: which compiler makes which table out of which. Nobody else calls these compilers. */
import { failsafeRows } from '#hostfw';
import type { DeviceRow } from '#model';
import { localAddresses, selectDevices } from '#netdev';
import { type Database, derive } from '#table';
import { failsafeConfig } from './settings.ts';
import { type AgentTables, configOf } from './tables.ts';

const isExternal = ({ kind }: DeviceRow): boolean => kind === 'external';

/**
 * Starts them; what they make follows its inputs from now on. `adopted`: devices that carried programs of ours
 * before this start.
 */
export function deriveTables(
  db: Database,
  tables: AgentTables,
  adopted: () => readonly number[],
): Disposable {
  using running = new DisposableStack();
  const { links, addresses, routes } = tables.netdev;
  const devices = (): ReturnType<typeof selectDevices> => {
    const { values } = configOf(tables);
    const endpoints = new Map([...tables.enforced.all()].map((row) => [row.ifindex, row.id]));
    return selectDevices(links.all(), addresses.all(), routes.all(), {
      patterns: values['devices.patterns'] ?? [],
      allowSelfSource: values['hostfw.allowSelfSource'] ?? [],
      endpoints,
      attached: new Set(
        tables.devices.size === 0
          ? adopted()
          : [...tables.devices.all()].filter(isExternal).map(({ ifindex }) => ifindex),
      ),
    });
  };
  running.use(
    derive(db, [links, addresses, routes, tables.enforced, tables.settings], devices, tables.devices),
  );
  running.use(
    derive(
      db,
      [addresses, routes],
      () => localAddresses(addresses.all(), routes.all()),
      tables.localAddresses,
    ),
  );
  const failsafe = (): ReturnType<typeof failsafeRows> => {
    const [facts] = tables.facts.all();
    return failsafeRows(failsafeConfig(configOf(tables)), facts ?? { sshPorts: [], resolvers: [] });
  };
  running.use(derive(db, [tables.settings, tables.facts], failsafe, tables.failsafe));
  return running.move();
}
