/**
 * Flows made as connections make them: the three packets of the handshake pass the attached programs in
 * order, so that records, proofs and stamps are the datapath's own.
 */
import type { Bed } from './bed.ts';
import { ACK, type Family, frameOf, type Place, SYN, SYN_ACK } from './packets.ts';
import { type Frame, Runner, type Walk, type Wrapper } from './runner.ts';
import { NODE, OPEN, OUTBOUND, PEER, PEER_FIRST, POD } from './world.ts';

/** Path of the compiled wrapper. */
export const WRAP = 'build/bench/wrap.bpf.o';

/** Who talks to whom: the peer begins, or is asked. */
export interface Connection {
  readonly family: Family;
  readonly subject: 'host' | 'pod';
  readonly begunBy: 'peer' | 'subject';
}

/** Client port where it does not vary: what the wrapper's first flow has. */
const CLIENT = 1024;

/** The programs that see packets to and from the subject. */
export function programsOf({ subject }: Connection): { readonly inward: string; readonly outward: string } {
  return { inward: `${subject}_ingress`, outward: `${subject}_egress` };
}

/** A packet of the connection; `isInward`: towards the subject. */
export function packetOf(bed: Bed, connection: Connection, isInward: boolean, flags: number): Frame {
  const { family, subject, begunBy } = connection;
  const own = subject === 'host' ? NODE[family] : POD[family];
  const ownPort = begunBy === 'peer' ? OPEN : CLIENT;
  const peerPort = begunBy === 'peer' ? CLIENT : OUTBOUND;
  const numbers = isInward === (begunBy === 'peer') ? { seq: 1000, ack: 5001 } : { seq: 5000, ack: 1001 };
  const ends = isInward
    ? { source: PEER[family], sourcePort: peerPort, target: own, targetPort: ownPort }
    : { source: own, sourcePort: ownPort, target: PEER[family], targetPort: peerPort };
  return frameOf({ ...ends, ...numbers, flags }, placeOf(bed, connection, isInward));
}

function placeOf(bed: Bed, { subject }: Connection, isInward: boolean): Place {
  const device = subject === 'host' ? bed.near : bed.pod;
  if (subject === 'host') return { ...device, ingressIfindex: isInward ? device.ifindex : 0 };
  return { ...device, ingressIfindex: isInward ? bed.near.ifindex : device.ifindex };
}

/** How the wrapper walks over a connection's peers. */
export function walkOf({ family }: Connection, flows: number, isPeerSource: boolean, isRandom = false): Walk {
  return { flows, isRandom, isPeerSource, firstAddress: PEER_FIRST[family], portBits: 0 };
}

export function wrapperOf(family: Family): Wrapper {
  return family === 4 ? 'wrap_flows4' : 'wrap_flows6';
}

/** So few that no set of the unproven table overflows before the proof. */
const AT_ONCE = 2000;

/** Establishes the connections of `flows` peers. Throws when fewer records than that are proven. */
export function establish(bed: Bed, connection: Connection, flows: number): void {
  const { inward, outward } = programsOf(connection);
  const isInbound = connection.begunBy === 'peer';
  const steps = [SYN, SYN_ACK, ACK].map((flags, i) => {
    const isInward = isInbound === (i !== 1);
    const frame = packetOf(bed, connection, isInward, flags);
    const walk = walkOf(connection, flows, isInward);
    const program = bed.program(isInward ? inward : outward);
    // One flow is the packet as it stands: the wrapper would give the peer a client's port.
    return flows === 1
      ? new Runner(WRAP, 'wrap_plain', program, frame)
      : new Runner(WRAP, wrapperOf(connection.family), program, frame, walk);
  });
  const table = `flow_tcp${connection.family}` as const;
  bed.limitEvents(true);
  for (let first = 0; first < flows; first += AT_ONCE) {
    for (const step of steps) {
      if (flows > 1) step.seek(first);
      step.run(Math.min(AT_ONCE, flows - first));
    }
  }
  bed.limitEvents(false);
  for (const step of steps) step[Symbol.dispose]();
  const made = bed.countFlows(table);
  if (made < flows) throw new Error(`${made} of ${flows} flows are established`);
}
