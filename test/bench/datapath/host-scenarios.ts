/** Scenarios of a device that leads out of the machine. */
import type { Bed } from './bed.ts';
import { establish, packetOf, programsOf, walkOf, wrapperOf, type Connection } from './flows.ts';
import { ACK, type Family, frameOf, SYN } from './packets.ts';
import type { Scenario } from './scenario.ts';
import { churn } from './churn.ts';
import { BEYOND, CLOSED, NODE, OPEN, PEER, STRANGER_FIRST, POD } from './world.ts';

const MANY = 100_000;
const HOT = 400_000;
const COLD = 150_000;
/** The unproven table holds 65,536: so many have room, but for a few in full sets. */
const FRESH = 25_000;
/** Distinct tuples before a walk over new flows turns round. */
const TUPLES = 1 << 22;

const label = (name: string, family: Family) => (family === 4 ? name : `${name}_v6`);

/** Established connections: one, many in random order, many while identities change. */
export function established(bed: Bed, family: Family): Scenario[] {
  const inbound: Connection = { family, subject: 'host', begunBy: 'peer' };
  const outbound: Connection = { family, subject: 'host', begunBy: 'subject' };
  const { inward, outward } = programsOf(inbound);
  const hit = family === 4 ? ('hash_hit_16' as const) : ('hash_hit_40' as const);
  const cold = family === 4 ? ('hash_random_16' as const) : ('hash_random_40' as const);
  const one = { family, wrapper: 'wrap_plain', repeat: HOT, floor: [hit], floorTarget: 2.5 } as const;
  const forward = packetOf(bed, inbound, true, ACK);
  const many = {
    family,
    program: inward,
    frame: forward,
    wrapper: wrapperOf(family),
    walk: walkOf(inbound, MANY, true, true),
    repeat: COLD,
    floor: [cold],
    floorTarget: 1.2,
    prepare: () => establish(bed, inbound, MANY),
  } as const;
  return [
    {
      ...one,
      name: label('host_ingress_established', family),
      program: inward,
      frame: forward,
      path: ['PASS_ESTABLISHED'],
      target: 80,
      prepare: () => establish(bed, inbound, 1),
    },
    {
      ...one,
      name: label('host_egress_reply', family),
      program: outward,
      frame: packetOf(bed, inbound, false, ACK),
      path: ['PASS_REPLY'],
      target: 80,
      prepare: () => establish(bed, inbound, 1),
    },
    {
      ...one,
      name: label('host_egress_established', family),
      program: outward,
      frame: packetOf(bed, outbound, false, ACK),
      path: ['PASS_ESTABLISHED'],
      target: 80,
      prepare: () => establish(bed, outbound, 1),
    },
    {
      ...one,
      name: label('host_ingress_reply', family),
      program: inward,
      frame: packetOf(bed, outbound, true, ACK),
      path: ['PASS_REPLY'],
      target: 80,
      prepare: () => establish(bed, outbound, 1),
    },
    {
      ...many,
      name: label('host_ingress_established_100k_random', family),
      path: ['PASS_ESTABLISHED'],
      target: 300,
    },
    {
      ...many,
      name: label('host_ingress_established_churn', family),
      path: ['PASS_ESTABLISHED'],
      repeat: 2 * COLD,
      beside: () => churn(bed, family, MANY),
    },
  ];
}

/** What begins: allowed, refused with and without an event, and what merely passes. */
export function beginning(bed: Bed, family: Family): Scenario[] {
  const inbound: Connection = { family, subject: 'host', begunBy: 'peer' };
  const { inward } = programsOf(inbound);
  const insert = family === 4 ? ('lru_insert_16' as const) : ('lru_insert_40' as const);
  const ring = family === 4 ? ('ring_submit_64' as const) : ('ring_submit_96' as const);
  const table = family === 4 ? ('unproven4' as const) : ('unproven6' as const);
  const walk = {
    flows: TUPLES,
    isRandom: false,
    isPeerSource: true,
    firstAddress: STRANGER_FIRST[family],
    portBits: 15,
  };
  const fresh = {
    family,
    program: inward,
    frame: packetOf(bed, inbound, true, SYN),
    wrapper: wrapperOf(family),
    walk,
    repeat: FRESH,
    floor: [insert, ring],
    floorTarget: 1.4,
    path: ['JUDGED', 'FLOW_NEW', 'PASS_NEW', 'EVENT_SENT'],
    grows: table,
  } as const;
  // A local address, then the peer: no address of its own, but a prefix.
  const known = ['hash_hit_4', 'hash_miss_16', 'lpm_hit'] as const;
  const end = { source: PEER[family], sourcePort: 1024, target: NODE[family] };
  const denied = frameOf({ ...end, targetPort: CLOSED, flags: SYN }, bed.near);
  const refused = { family, program: inward, frame: denied, wrapper: 'wrap_plain', repeat: COLD } as const;
  const through = frameOf({ ...end, target: POD[family], targetPort: OPEN, flags: ACK }, bed.near);
  const passing = { family, program: inward, wrapper: 'wrap_plain', repeat: COLD } as const;
  const rows: Scenario[] = [
    {
      ...fresh,
      name: label('host_ingress_new', family),
      target: 700,
      before: () => void bed.countFlows(table, true),
    },
    {
      ...fresh,
      name: label('host_ingress_new_evicting', family),
      walk: { ...walk, firstAddress: walk.firstAddress + (TUPLES >> walk.portBits) },
      target: 900,
      repeat: COLD,
    },
    {
      ...fresh,
      name: label('host_ingress_new_limited', family),
      floor: [insert],
      path: ['JUDGED', 'FLOW_NEW', 'PASS_NEW', 'EVENT_SUPPRESSED'],
      before: () => {
        bed.countFlows(table, true);
        bed.limitEvents(true);
      },
    },
    {
      // Each of another tuple: a repeat is counted, not told.
      ...refused,
      name: label('host_ingress_denied_syn', family),
      wrapper: wrapperOf(family),
      walk,
      floor: [...known, ring],
      path: ['JUDGED', 'DROP_POLICY_DENIED', 'EVENT_SENT'],
      target: 220,
    },
    {
      ...refused,
      name: label('host_ingress_denied_syn_repeated', family),
      floor: known,
      path: ['JUDGED', 'DROP_POLICY_DENIED'], // all but the first of each window without an event
    },
    {
      ...refused,
      name: label('host_ingress_denied_syn_limited', family),
      floor: known,
      path: ['JUDGED', 'DROP_POLICY_DENIED', 'EVENT_SUPPRESSED'],
      target: 120,
      before: () => bed.limitEvents(true),
    },
    {
      ...passing,
      name: label('host_ingress_forwarded', family),
      frame: through,
      floor: ['hash_hit_4', 'hash_hit_4', 'hash_miss_16'],
      path: ['PASS_FORWARDED'],
    },
  ];
  if (family === 4) {
    rows.push({
      ...passing,
      name: 'host_ingress_forwarded_by_route',
      frame: frameOf({ ...end, target: BEYOND, targetPort: OPEN, flags: ACK }, bed.near),
      floor: ['hash_hit_4', 'hash_hit_4', 'hash_miss_16', 'fib_lookup'],
      path: ['PASS_FORWARDED'],
    });
  }
  return rows;
}
