/** Scenarios of a pod's device. */
import type { Bed } from './bed.ts';
import { type Connection, establish, packetOf, programsOf, wrapperOf } from './flows.ts';
import { ACK, type Family, SYN } from './packets.ts';
import type { Scenario } from './scenario.ts';
import { STRANGER_FIRST } from './world.ts';

const HOT = 400_000;
const FRESH = 25_000;

const label = (name: string, family: Family) => (family === 4 ? name : `${name}_v6`);

/** What reaches the pod, what it sends, and what begins. */
export function podScenarios(bed: Bed, family: Family): Scenario[] {
  const inbound: Connection = { family, subject: 'pod', begunBy: 'peer' };
  const outbound: Connection = { family, subject: 'pod', begunBy: 'subject' };
  const { inward, outward } = programsOf(inbound);
  const table = family === 4 ? ('unproven4' as const) : ('unproven6' as const);
  const hot = {
    family,
    wrapper: 'wrap_plain',
    repeat: HOT,
    floor: [family === 4 ? 'hash_hit_16' : 'hash_hit_40'],
    path: ['PASS_ESTABLISHED'],
  } as const;
  return [
    {
      ...hot,
      name: label('pod_ingress_established', family),
      program: inward,
      frame: packetOf(bed, inbound, true, ACK),
      target: 100,
      prepare: () => establish(bed, inbound, 1),
    },
    {
      ...hot,
      name: label('pod_egress_established', family),
      program: outward,
      frame: packetOf(bed, outbound, false, ACK),
      target: 110,
      prepare: () => establish(bed, outbound, 1),
    },
    {
      family,
      name: label('pod_ingress_new', family),
      program: inward,
      frame: packetOf(bed, inbound, true, SYN),
      wrapper: wrapperOf(family),
      walk: {
        flows: 1 << 22,
        isRandom: false,
        isPeerSource: true,
        firstAddress: STRANGER_FIRST[family],
        portBits: 15,
      },
      repeat: FRESH,
      floor: family === 4 ? ['lru_insert_16', 'ring_submit_64'] : ['lru_insert_40', 'ring_submit_96'],
      path: ['JUDGED', 'FLOW_NEW', 'PASS_NEW', 'EVENT_SENT'],
      target: 750,
      grows: table,
      before: () => void bed.countFlows(table, true),
    },
  ];
}
