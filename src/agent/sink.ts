/** The datapath as the policy loop sees it. */
import type { Datapath } from '#datapath';
import type { EndpointRow } from '#model';
import type { Database, Table } from '#table';
import type { PolicySink } from './control.ts';

/** `enforced` is told of endpoints whose record the kernel has: their devices may get programs then. */
export function datapathSink(datapath: Datapath, db: Database, enforced: Table<EndpointRow>): PolicySink {
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
      datapath.ipcache.update(rows);
    },
    async removeIpcache(prefixes) {
      datapath.ipcache.remove(prefixes);
    },
    async pruneIpcache(rows) {
      datapath.ipcache.prune(rows);
    },
    async updateEndpoints(endpoints) {
      // One that waits is down until its device has programs, which needs its record.
      const present = endpoints.filter((row) => row.state !== 'disconnected');
      datapath.endpoints.prune(present);
      db.write((txn) => {
        enforced.replace(txn, present);
        enforced.source('policy').markSynced(txn);
      });
    },
  };
}
