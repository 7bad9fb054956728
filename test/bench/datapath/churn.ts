/** Identities that change while packets pass, through the datapath's own ipcache. */
import { formatIp, parseIp } from '#kit/ip';
import type { Bed } from './bed.ts';
import type { Family } from './packets.ts';
import { CHURN_IDENTITIES, PEER } from './world.ts';

/** Changes a second: what a large cluster sees at its worst. */
const RATE = 325;
const TICK_MS = 10;
/** Peers that take turns. */
const PEERS = 3000;

function peer(family: Family, at: number): string {
  const first = parseIp(PEER[family]);
  if (first === undefined) throw new Error(`${PEER[family]} is no address`);
  const bytes = first.bytes.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 4, view.getUint32(bytes.length - 4) + at);
  return `${formatIp({ family, bytes })}/${bytes.length * 8}`;
}

let changes = 0;

/** Changes made by all churns so far. */
export function churned(): number {
  return changes;
}

/** Changes identities of peers, each by one call, until disposed. `flows`: how many peers there are. */
export function churn(bed: Bed, family: Family, flows: number): Disposable {
  const start = performance.now();
  let done = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - start) * RATE) / 1000;
    for (; done < due; done++, changes++) {
      const turn = changes % PEERS;
      const identity = CHURN_IDENTITIES[Math.floor(changes / PEERS) % 2] ?? CHURN_IDENTITIES[0];
      const prefix = peer(family, Math.floor((turn * flows) / PEERS));
      bed.datapath.ipcache.update([{ prefix, identity, isEndpoint: false, isNode: false }]);
    }
  }, TICK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
