/**
 * Seeded corruptions of what the attached programs read: one cell, row or column of a live slot in the kernel's
 * arena. Two things must notice. Packets: probes of the subject that is judged by it, through the attached
 * program, held against the oracle; they reach every identity that has an address. The read-back, as the agent
 * does it from time to time: it compares memory with what was stored there, and repairs.
 */
import { formatIp, parseCidr } from '#kit/ip';
import type { Direction } from '#model';
import type { World } from '#oracle';
import { EMPTY_NUMBERING, portOfIndex, prefixIdentities } from '#policy';
import { Bed } from '../packet/oracle/bed.ts';
import { type Done, disagreements } from '../packet/oracle/compare.ts';
import { clearFlows } from '../packet/oracle/flows.ts';
import { routeFlow, wantOf } from '../packet/oracle/route.ts';
import { frameOfFlow, randomShape } from '../packet/oracle/shape.ts';
import type { AddressFlow } from '../unit/policy/flows.ts';
import { randomWorld } from '../unit/policy/generate.ts';
import { Random } from '../unit/policy/random.ts';

export interface ArenaReport {
  readonly made: number;
  readonly byPackets: number;
  readonly byReadBack: number;
  /** Corruptions that neither noticed. */
  readonly survivors: readonly string[];
}

interface Corruption {
  readonly what: string;
  readonly subject: AddressFlow['subject'];
  readonly direction: Direction;
  readonly restore: () => void;
}

const A_WORLD = 4;
const MAX_PROBES = 3000;

/** Corrupts the arena `count` times. Throws when packets and oracle disagree without any corruption. */
export async function arenaMutants(count: number, seed: number): Promise<ArenaReport> {
  await using bed = await Bed.open({ ipv4: true, ipv6: true });
  const survivors: string[] = [];
  let made = 0;
  let byPackets = 0;
  let byReadBack = 0;
  for (let attempt = 0; made < count; attempt++) {
    const worldSeed = seed + 104729 * attempt;
    const world = randomWorld(worldSeed);
    if (!world.config.ipv4 || !world.config.ipv6) continue;
    await bed.enforce(world);
    const [damage] = await bed.datapath.policy.verify();
    if (damage !== undefined) throw new Error(`world ${worldSeed}: damaged before any corruption: ${damage}`);
    const random = new Random(worldSeed);
    for (let i = 0; i < A_WORLD && made < count; i++) {
      const corruption = corrupt(bed, world, random);
      if (corruption === undefined) continue;
      made++;
      const isSeen = (await disagreeingPackets(bed, world, corruption, random)).length > 0;
      const isRead = (await bed.datapath.policy.verify()).length > 0;
      if (isSeen) byPackets++;
      if (isRead) byReadBack++;
      else corruption.restore();
      if (!isSeen && !isRead) survivors.push(`world ${worldSeed}: ${corruption.what}`);
      const [wrong] = await disagreeingPackets(bed, world, corruption, random);
      if (wrong !== undefined)
        throw new Error(`world ${worldSeed}: ${corruption.what}: wrong after its repair: ${wrong}`);
    }
  }
  return { made, byPackets, byReadBack, survivors };
}

/** Changes one number of a live slot to another meaning; undefined where the drawn one has none. */
function corrupt(bed: Bed, world: World, random: Random): Corruption | undefined {
  const { policy, endpoints } = bed.datapath;
  const subject = random.pick<AddressFlow['subject']>(['host', ...world.endpoints.map(({ id }) => id)]);
  const index = subject === 'host' ? 0 : (endpoints.rulesets().get(subject) ?? -1);
  const slot = policy.rulesets.live.get(index)?.active;
  const direction = random.pick<Direction>(['egress', 'ingress']);
  const table = slot?.dirs[direction === 'egress' ? 0 : 1];
  if (table === undefined || (table.flags & 1) === 0) return undefined;
  const inUse = (axis: { weights: ReadonlyMap<number, number> }) =>
    random.pick([...axis.weights].filter(([, weight]) => weight > 0).map(([number]) => number));
  const [identity, port] = [inUse(policy.identities.axis), inUse(policy.ports.axis)];
  const at = (table.rows[identity] ?? 0) * table.columnCount + (table.columns[port] ?? 0);
  const change = (list: Uint16Array | Uint32Array, i: number, to: number, what: string): Corruption => {
    const before = list[i] ?? 0;
    list[i] = to;
    const restore = () => void (list[i] = before);
    return { what: `${subject} ${direction} ${what} ${i}: ${before} to ${to}`, subject, direction, restore };
  };
  const rowAt = (row: number) =>
    table.cells.subarray(2 * row * table.columnCount, 2 * (row + 1) * table.columnCount);
  switch (random.pick(['verdict', 'verdict', 'origin', 'row', 'column'] as const)) {
    case 'verdict': {
      // Byte 6 of a cell: 1 allow, 2 deny, 3 default deny.
      const high = table.cells[2 * at + 1] ?? 0;
      const verdict = 1 + (((high >>> 16) & 0xf) % 3);
      return change(table.cells, 2 * at + 1, ((high & ~0xf0000) | (verdict << 16)) >>> 0, 'verdict of cell');
    }
    case 'origin':
      return change(table.cells, 2 * at, (table.cells[2 * at] ?? 0) + 1, 'origin of cell');
    case 'row': {
      const row = random.pick([...new Set(table.rows)]);
      const isSame = rowAt(row).every((word, i) => word === rowAt(table.rows[identity] ?? 0)[i]);
      return isSame ? undefined : change(table.rows, identity, row, 'row of class');
    }
    case 'column': {
      const column = random.pick([...new Set(table.columns)]);
      const rows = [...new Set(table.rows)];
      const cell = (row: number, c: number) =>
        rowAt(row)
          .subarray(2 * c, 2 * c + 2)
          .join();
      const isSame = rows.every((row) => cell(row, column) === cell(row, table.columns[port] ?? 0));
      return isSame ? undefined : change(table.columns, port, column, 'column of class');
    }
  }
}

/** First and last address of every prefix that is known, and strangers. */
function peersOf(world: World) {
  const { ipcache } = prefixIdentities({ ...world, numbering: EMPTY_NUMBERING });
  const strangers = ['198.51.100.9/32', '2001:db8:ffff::9/128'];
  return [...ipcache.map(({ prefix }) => prefix), ...strangers].flatMap((text) => {
    const prefix = parseCidr(text);
    if (prefix === undefined) return [];
    const last = prefix.ip.bytes.map(
      (byte, i) => byte | (0xff >> Math.min(8, Math.max(0, prefix.length - 8 * i))),
    );
    return [prefix.ip, { family: prefix.ip.family, bytes: last }];
  });
}

async function disagreeingPackets(
  bed: Bed,
  world: World,
  { subject, direction }: Corruption,
  random: Random,
): Promise<readonly string[]> {
  clearFlows(bed.datapath);
  const edges = (bed.compiled?.portClasses ?? []).flatMap(({ ranges }) => ranges.flat());
  const ports = [...new Set(edges)].map(portOfIndex);
  const peers = [...new Map(peersOf(world).map((ip) => [formatIp(ip), ip])).values()];
  const flows = peers.flatMap((peer) =>
    ports.map((port): AddressFlow => ({ subject, direction, peer, ...port })),
  );
  const done: Done[] = [];
  for (const [number, flow] of random.shuffle(flows).slice(0, MAX_PROBES).entries()) {
    const routed = routeFlow(world, flow, random);
    if (routed === undefined) continue;
    // A record of an earlier probe must not answer for the table.
    if (number % 64 === 0 || ![6, 17, 132].includes(flow.protocol)) clearFlows(bed.datapath);
    const shape = { ...randomShape(routed, random), sourcePort: 1024 + number, isSyn: true };
    const want = wantOf(world, routed, shape.hopLimit);
    const frame = frameOfFlow(routed, shape, random);
    const cameBy = routed.isForwarded ? bed.ifindex(0) : 0;
    const ran = bed.run(routed.program, frame, { device: routed.device, cameBy });
    const pair = { seed: number, routed, shape, want, frame };
    done.push({ pair, what: 'a probe', want, isOrphan: shape.fragment === 'later', ran });
  }
  return disagreements(bed, done);
}
