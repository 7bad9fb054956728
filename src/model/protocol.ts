/**
 * Protocol and ICMP type names as policies spell them, with their IANA numbers (policy.md §5.1, §5.3; those
 * that only host policies may name: host-firewall.md HF-1.6).
 */

/** Protocols with ports. `ANY` stands for these three. */
export const PORT_PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** Protocols without ports that every policy may name. */
export const PORTLESS_PROTOCOLS = { IGMP: 2, VRRP: 112 } as const;

/** Protocols without ports that only host policies may name. */
export const HOST_PROTOCOLS = {
  IPIP: 4,
  '6IN4': 41,
  GRE: 47,
  ESP: 50,
  AH: 51,
  OSPF: 89,
  PIM: 103,
  L2TP: 115,
} as const;

/** ICMPv6 types of Multicast Listener Discovery, which `protocol: MLD` of a host policy stands for. */
export const MLD_TYPES = [130, 131, 132, 143] as const;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_ICMP6 = 58;

/** Whether packets of this protocol have ports that a policy can name. */
export function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}

/** The name that people know a protocol by, or its number as text. */
export function protocolName(protocol: number): string {
  if (protocol === PROTOCOL_ICMP) return 'ICMP';
  if (protocol === PROTOCOL_ICMP6) return 'ICMPv6';
  const all = { ...PORT_PROTOCOLS, ...PORTLESS_PROTOCOLS, ...HOST_PROTOCOLS };
  const known = Object.entries(all).find(([, number]) => number === protocol);
  return known === undefined ? String(protocol) : known[0];
}

/** ICMP type names by family, as the CRD has them. */
export const ICMP_TYPES: Readonly<Record<4 | 6, Readonly<Record<string, number>>>> = {
  4: {
    EchoReply: 0,
    DestinationUnreachable: 3,
    Redirect: 5,
    Echo: 8,
    EchoRequest: 8,
    RouterAdvertisement: 9,
    RouterSelection: 10,
    TimeExceeded: 11,
    ParameterProblem: 12,
    Timestamp: 13,
    TimestampReply: 14,
    Photuris: 40,
    ExtendedEchoRequest: 42,
    ExtendedEchoReply: 43,
  },
  6: {
    DestinationUnreachable: 1,
    PacketTooBig: 2,
    TimeExceeded: 3,
    ParameterProblem: 4,
    EchoRequest: 128,
    EchoReply: 129,
    MulticastListenerQuery: 130,
    MulticastListenerReport: 131,
    MulticastListenerDone: 132,
    RouterSolicitation: 133,
    RouterAdvertisement: 134,
    NeighborSolicitation: 135,
    NeighborAdvertisement: 136,
    RedirectMessage: 137,
    RouterRenumbering: 138,
    ICMPNodeInformationQuery: 139,
    ICMPNodeInformationResponse: 140,
    InverseNeighborDiscoverySolicitation: 141,
    InverseNeighborDiscoveryAdvertisement: 142,
    HomeAgentAddressDiscoveryRequest: 144,
    HomeAgentAddressDiscoveryReply: 145,
    MobilePrefixSolicitation: 146,
    MobilePrefixAdvertisement: 147,
    DuplicateAddressRequestCodeSuffix: 157,
    DuplicateAddressConfirmationCodeSuffix: 158,
    ExtendedEchoRequest: 160,
    ExtendedEchoReply: 161,
  },
};
