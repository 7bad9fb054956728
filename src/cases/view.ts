/**
 * The world as one node's agent sees it: what that agent would compile, compiled, and the look-ups that its
 * datapath makes. Case worlds and snapshots of a running agent both become this.
 */
import { type Ip, parseCidrOrIp } from '#kit/ip';
import { type LabelSet, labelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import {
  type FailsafeRow,
  type Identity,
  type IpcacheRow,
  NO_FACTS,
  type NamedPort,
  type NodeRow,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  RESERVED_IDENTITY,
} from '#model';
import {
  type CompiledPolicy,
  compile,
  type CompileInput,
  EMPTY_NUMBERING,
  type HeldPolicies,
  type Judge,
  judgeOf,
  type Numbering,
  type PrefixLabels,
  prefixIdentities,
} from '#policy';

/** An endpoint that this node knows of, on it or elsewhere: all of them give port names their meaning. */
export interface WorldEndpoint {
  /** `namespace/name`. */
  readonly name: string;
  readonly id: number;
  readonly addresses: readonly string[];
  /** Those of its identity. */
  readonly labels: LabelSet;
  readonly namedPorts?: readonly NamedPort[];
  /** On another node: it is a peer here and no subject. */
  readonly isElsewhere?: boolean;
  /** Fixed number of its identity, for example that of `health`. */
  readonly identity?: Identity;
}

/** Everything that one agent decides from. */
export interface NodeWorld {
  /** Name of the node. */
  readonly node: string;
  readonly policies: readonly Policy[];
  readonly endpoints: readonly WorldEndpoint[];
  /** Other nodes. */
  readonly nodes: readonly NodeRow[];
  readonly localAddresses: readonly string[];
  readonly nodeLabels: LabelSet;
  readonly failsafe?: readonly FailsafeRow[];
  /** What policies refer to besides. */
  readonly facts?: PolicyFacts;
  /** What stays in force for subjects that cannot be computed. */
  readonly held?: HeldPolicies;
  readonly config: PolicyConfig;
  /** Numbers of identities given so far. */
  readonly numbering?: Numbering;
}

/** Number of an endpoint, or the node itself. */
export type Subject = number | 'host';

/** Who an address is, and by which prefix. */
export interface Known {
  readonly identity: Identity;
  readonly labels: LabelSet;
  /** The prefix of the ipcache; undefined: none contains the address. */
  readonly prefix: string | undefined;
}

export interface NodeView {
  readonly world: NodeWorld;
  readonly compiled: CompiledPolicy;
  readonly ipcache: readonly IpcacheRow[];
  readonly identities: CompileInput['identities'];
  readonly judge: Judge;
  /** The identity of an address. */
  identityOf(ip: Ip): Known;
  /** The labels of an identity; undefined when nobody knows it. */
  labelsOf(identity: Identity): LabelSet | undefined;
}

const NO_LABELS = labelSet([]);

/** Compiles a world. `also`: documents whose prefixes are told apart too, though they are not enforced. */
export function viewOf(world: NodeWorld, also?: Pick<NodeWorld, 'policies' | 'facts'>): NodeView {
  const { ipcache, identities } = prefixIdentities({
    ...world,
    policies: [...world.policies, ...(also?.policies ?? [])],
    prefixLabels: also === undefined ? [] : [...prefixesOf(world.facts), ...prefixesOf(also.facts)],
    endpoints: world.endpoints.map(({ addresses, labels, identity }) =>
      identity === undefined ? { addresses, labels } : { addresses, labels, identity },
    ),
    numbering: world.numbering ?? EMPTY_NUMBERING,
  });
  const compiled = compile({ ...world, identities });
  const byId = new Map(identities.map((row) => [row.id, row.labels]));
  const lpm = new Lpm<IpcacheRow>();
  for (const row of ipcache) {
    const cidr = parseCidrOrIp(row.prefix);
    if (cidr !== undefined) lpm.set(cidr, row);
  }
  const labelsOf = (identity: Identity) => byId.get(identity);
  const identityOf = (ip: Ip): Known => {
    const found = lpm.lookup(ip)?.value;
    const identity = found?.identity ?? worldIdentity(ip.family, world.config);
    return { identity, labels: labelsOf(identity) ?? NO_LABELS, prefix: found?.prefix };
  };
  return { world, compiled, ipcache, identities, judge: judgeOf(compiled), identityOf, labelsOf };
}

/** Prefixes that documents of another time would tell apart: by themselves they say nothing. */
function prefixesOf(facts: PolicyFacts = NO_FACTS): PrefixLabels[] {
  const { cidrGroups, endpointSlices, names, cloudGroups, apiservers } = facts;
  const texts = [
    ...cidrGroups.flatMap((group) => group.cidrs),
    ...[...endpointSlices, ...cloudGroups].flatMap((row) => row.addresses),
    ...names.map((row) => row.address),
    ...apiservers,
  ];
  return [...new Set(texts)].map((prefix) => ({ prefix, labels: NO_LABELS }));
}

/** The identity of what no known prefix contains. */
export function worldIdentity(family: 4 | 6, { ipv4, ipv6 }: PolicyConfig): Identity {
  if (!ipv4 || !ipv6) return RESERVED_IDENTITY.world;
  return RESERVED_IDENTITY[family === 4 ? 'world-ipv4' : 'world-ipv6'];
}
