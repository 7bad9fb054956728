/** A world compiled: what the agent would put into the ipcache and the tables, and look-ups in both. */
import { formatIp, type Ip, parseCidr } from '#kit/ip';
import type { LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import { type Identity, type IdentityRow, RESERVED_IDENTITY } from '#model';
import type { Flow, World } from '#oracle';
import {
  type Cell,
  type CompiledPolicy,
  canonicalDump,
  compile,
  EMPTY_NUMBERING,
  judgeOf,
  type Numbering,
  prefixIdentities,
} from '#policy';

export interface CompiledWorld {
  readonly compiled: CompiledPolicy;
  readonly identities: readonly IdentityRow[];
  readonly numbering: Numbering;
  readonly dump: string;
  readonly identityOf: (address: Ip) => Identity;
  readonly labelsOf: (identity: Identity) => LabelSet | undefined;
  readonly cellOf: (flow: Flow) => Cell;
}

/** Compiles the world; `numbering` continues an older one. */
export function compileWorld(world: World, numbering: Numbering = EMPTY_NUMBERING): CompiledWorld {
  const prefixes = prefixIdentities({ ...world, numbering });
  const compiled = compile({ ...world, identities: prefixes.identities });
  return readCompiled(world, compiled, prefixes);
}

/** Look-ups in tables that were compiled (or corrupted) elsewhere. */
export function readCompiled(
  world: World,
  compiled: CompiledPolicy,
  prefixes: ReturnType<typeof prefixIdentities>,
): CompiledWorld {
  const ipcache = new Lpm<Identity>();
  for (const row of prefixes.ipcache) {
    const prefix = parseCidr(row.prefix);
    if (prefix === undefined) throw new Error(`not a prefix: ${row.prefix}`);
    ipcache.set(prefix, row.identity);
  }
  const labels = new Map(prefixes.identities.map((row) => [row.id, row.labels]));
  const judge = judgeOf(compiled);
  const identityOf = (address: Ip) => ipcache.lookup(address)?.value ?? worldOf(address, world);
  const labelsOf = (identity: Identity) => labels.get(identity);
  const byLabels = new Map(prefixes.identities.map((row) => [row.labels.key, row.id]));
  const identityOfPeer = (peer: Flow['peer']): Identity => {
    if (peer === 'unknown') return RESERVED_IDENTITY.unknown;
    return 'bytes' in peer ? identityOf(peer) : (byLabels.get(peer.key) ?? RESERVED_IDENTITY.unknown);
  };
  return {
    compiled,
    identities: prefixes.identities,
    numbering: prefixes.numbering,
    dump: canonicalDump(compiled, labelsOf),
    identityOf,
    labelsOf,
    cellOf: (flow) =>
      judge(flow.subject, flow.direction, identityOfPeer(flow.peer), flow.protocol, flow.port),
  };
}

/** Whom the datapath takes an address for that no prefix holds. */
function worldOf(address: Ip, { config }: World): Identity {
  if (!config.ipv4 || !config.ipv6) return RESERVED_IDENTITY.world;
  return RESERVED_IDENTITY[address.family === 4 ? 'world-ipv4' : 'world-ipv6'];
}

/** A flow as one line. */
export function flowText(flow: Flow): string {
  const side = flow.direction === 'ingress' ? 'from' : 'to';
  const port = flow.port === undefined ? 'unknown' : flow.port;
  return `${flow.subject} ${flow.direction} ${side} ${peerText(flow.peer)} protocol ${flow.protocol} port ${port}`;
}

function peerText(peer: Flow['peer']): string {
  if (peer === 'unknown') return peer;
  return 'bytes' in peer ? formatIp(peer) : `{${peer.key}}`;
}
