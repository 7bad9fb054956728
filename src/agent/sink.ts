/** The datapath as the policy loop sees it. */
import type { Datapath } from '#datapath';
import { formatCidr, parseCidrOrIp } from '#kit/ip';
import type { EndpointRow, IpcacheRow } from '#model';
import type { Database } from '#table';
import type { PolicySink } from './control.ts';
import type { AgentTables } from './tables.ts';

/**
 * `enforced` is told of endpoints whose record the kernel has: their devices may get programs then. Of endpoints
 * that are kept, record, rule set and addresses stay what they are, whatever is wanted of others.
 */
export function datapathSink(
  datapath: Datapath,
  db: Database,
  { endpoints: table, enforced }: Pick<AgentTables, 'endpoints' | 'enforced'>,
): PolicySink {
  const kept = (): readonly EndpointRow[] => [...table.all()].filter((row) => row.state === 'kept');
  const keptRows = (): ReadonlyMap<string, IpcacheRow> => new Map(kept().flatMap(rowsOf));
  /** Prefixes that are kept, and what is wanted of them once they are not; undefined: nothing. */
  const instead = new Map<string, IpcacheRow | undefined>();
  const release = (held: ReadonlyMap<string, IpcacheRow>): void => {
    for (const [prefix, row] of instead) {
      if (held.has(prefix)) continue;
      instead.delete(prefix);
      if (row === undefined) datapath.ipcache.remove([prefix]);
      else datapath.ipcache.update([row]);
    }
  };
  return {
    adopted() {
      if (datapath.hostGeneration === 0) return undefined;
      return { ipcache: datapath.ipcache.held, classes: datapath.policy.identities.known };
    },
    async introduce(pairs) {
      await datapath.policy.introduce(pairs);
    },
    async applyPolicy(compiled) {
      await datapath.applyPolicy(compiled);
    },
    async updateIpcache(rows) {
      const held = keptRows();
      for (const row of rows)
        if (held.has(row.prefix)) instead.set(row.prefix, row);
        else instead.delete(row.prefix);
      datapath.ipcache.update(rows.filter(({ prefix }) => !held.has(prefix)));
    },
    async removeIpcache(prefixes) {
      const held = keptRows();
      for (const prefix of prefixes) if (held.has(prefix)) instead.set(prefix, undefined);
      datapath.ipcache.remove(prefixes.filter((prefix) => !held.has(prefix)));
      release(held);
    },
    async pruneIpcache(rows) {
      const held = keptRows();
      for (const prefix of held.keys()) instead.set(prefix, undefined);
      for (const row of rows) if (held.has(row.prefix)) instead.set(row.prefix, row);
      release(held);
      datapath.ipcache.prune([...rows.filter(({ prefix }) => !held.has(prefix)), ...held.values()]);
    },
    async updateEndpoints(endpoints) {
      // One that waits is down until its device has programs, which needs its record.
      const present = endpoints.filter(({ state, ifindex }) => state !== 'disconnected' || ifindex !== 0);
      const others = kept();
      datapath.endpoints.prune(present, new Set(others.map(({ id }) => id)));
      db.write((txn) => {
        enforced.replace(txn, [...present, ...others]);
        enforced.source('policy').markSynced(txn);
      });
    },
  };
}

/** Who the addresses of an endpoint are that is kept: what they were. */
function rowsOf({ addresses, identity }: EndpointRow): readonly (readonly [string, IpcacheRow])[] {
  return addresses.flatMap((text) => {
    const cidr = parseCidrOrIp(text);
    if (cidr === undefined) return [];
    const prefix = formatCidr(cidr);
    return [[prefix, { prefix, identity, isEndpoint: true, isNode: false }] as const];
  });
}
