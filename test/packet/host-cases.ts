/** Single packets to and from a node without state: what happens to each, and why. */
import {
  authentication,
  destinationOptions,
  ethernet,
  extension,
  fragment6,
  frame,
  hopByHop,
  ip,
  ipv4,
  ipv6,
  type Layer,
  MAC_PEER,
  raw,
  routing,
  sctp,
  tcp,
  udp,
  vlan,
} from './builder.ts';
import { NODE, OTHER, PEER, POD, type ProgramName } from './fixture.ts';
import { echo, type Family, inbound, outbound } from './kit.ts';

/** Of both families. */
export const single: readonly [
  what: string,
  program: ProgramName,
  make: (v: Family) => Uint8Array<ArrayBuffer>,
  want: string,
][] = [
  [
    'an allowed SYN',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1000, dst: 80, flags: 'S' })),
    'pass PASS_NEW',
  ],
  [
    'a SYN with data (fast open)',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', data: 9 })),
    'pass PASS_NEW',
  ],
  [
    'a SYN that nothing allows',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1000, dst: 82, flags: 'S' })),
    'drop POLICY_DENIED',
  ],
  [
    'a SYN that a rule denies',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1000, dst: 81, flags: 'S' })),
    'drop POLICY_DENY',
  ],
  [
    'an unknown source',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1000, dst: 80, flags: 'S' }), OTHER[v]),
    'drop POLICY_DENIED',
  ],
  ['an allowed datagram', 'host_ingress', (v) => inbound(v, udp({ src: 1000, dst: 53 })), 'pass PASS_NEW'],
  [
    'a refused datagram',
    'host_ingress',
    (v) => inbound(v, udp({ src: 1000, dst: 54 })),
    'drop POLICY_DENIED',
  ],
  [
    'port 0 is no wildcard',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1000, dst: 0, flags: 'S' })),
    'drop POLICY_DENIED',
  ],
  ['SCTP with ports', 'host_ingress', (v) => inbound(v, sctp({ src: 1000, dst: 9 })), 'pass PASS_NEW'],
  [
    'SCTP to another port',
    'host_ingress',
    (v) => inbound(v, sctp({ src: 1000, dst: 10 })),
    'drop POLICY_DENIED',
  ],
  [
    'a known protocol without ports',
    'host_ingress',
    (v) => inbound(v, raw([0, 0, 0, 0], { protocol: 112 })),
    'pass PASS_NEW',
  ],
  [
    'another protocol without ports',
    'host_ingress',
    (v) => inbound(v, raw([0, 0, 0, 0], { protocol: 89 })),
    'drop POLICY_DENIED',
  ],
  ['an echo request', 'host_ingress', (v) => inbound(v, echo(v, 'request')), 'pass PASS_NEW'],
  [
    'an echo reply that nobody asked for',
    'host_ingress',
    (v) => inbound(v, echo(v, 'reply')),
    'drop POLICY_DENIED',
  ],
  [
    'an outgoing SYN',
    'host_egress',
    (v) => outbound(v, tcp({ src: 1000, dst: 443, flags: 'S' })),
    'pass PASS_NEW',
  ],
  [
    'SYN and FIN',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, flags: 'SF' })),
    'drop INVALID_TCP_FLAGS',
  ],
  [
    'SYN and RST',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, flags: 'SR' })),
    'drop INVALID_TCP_FLAGS',
  ],
  [
    'no TCP flag',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, flags: '' })),
    'drop INVALID_TCP_FLAGS',
  ],
  [
    'Xmas flags',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, flags: 'FPU' })),
    'drop INVALID_TCP_FLAGS',
  ],
  [
    'odd flags to somebody else',
    'host_ingress',
    (v) => frame(ethernet(), ip({ src: PEER[v], dst: POD[v] }), tcp({ src: 1, dst: 80, flags: 'SF' })),
    'pass PASS_FORWARDED',
  ],
  [
    'TTL 0',
    'host_ingress',
    (v) => frame(ethernet(), ip({ src: PEER[v], dst: NODE[v], ttl: 0 }), tcp({ src: 1, dst: 80 })),
    'drop TTL_EXCEEDED',
  ],
  [
    'source equal to destination',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }), NODE[v]),
    'drop LAND',
  ],
  [
    'a loopback source',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }), v === 'v4' ? '127.0.0.1' : '::1'),
    'drop MARTIAN',
  ],
  [
    'a multicast source',
    'host_ingress',
    (v) => inbound(v, udp({ src: 1, dst: 53 }), v === 'v4' ? '224.0.0.1' : 'ff02::1'),
    'drop MARTIAN',
  ],
  [
    "a pod's source from the wire",
    'host_ingress',
    (v) => inbound(v, udp({ src: 1, dst: 53 }), POD[v]),
    'drop INVALID_SOURCE_IP',
  ],
  [
    'to a pod: not judged',
    'host_ingress',
    (v) => frame(ethernet(), ip({ src: PEER[v], dst: POD[v] }), tcp({ src: 1, dst: 82, flags: 'S' })),
    'pass PASS_FORWARDED',
  ],
  [
    'from a pod: not judged',
    'host_egress',
    (v) =>
      frame(
        ethernet({ dst: MAC_PEER }),
        ip({ src: POD[v], dst: PEER[v] }),
        tcp({ src: 1, dst: 82, flags: 'S' }),
      ),
    'pass PASS_FORWARDED',
  ],
  [
    'multicast is delivered here',
    'host_ingress',
    (v) =>
      frame(
        ethernet({ dst: v === 'v4' ? '01:00:5e:00:00:fb' : '33:33:00:00:00:fb' }),
        ip({ src: PEER[v], dst: v === 'v4' ? '224.0.0.251' : 'ff02::fb' }),
        udp({ src: 5353, dst: 5353 }),
      ),
    'drop POLICY_DENIED',
  ],
  [
    'ARP',
    'host_ingress',
    () => frame(ethernet({ type: 0x0806 }), raw(new Uint8Array(28))),
    'pass PASS_NON_IP',
  ],
  [
    'LLDP',
    'host_ingress',
    () => frame(ethernet({ type: 0x88cc, dst: '01:80:c2:00:00:0e' }), raw(new Uint8Array(40))),
    'pass PASS_NON_IP',
  ],
  [
    '802.3 length format (STP)',
    'host_ingress',
    () => frame(ethernet({ type: 38, dst: '01:80:c2:00:00:00' }), raw(new Uint8Array(38))),
    'pass PASS_NON_IP',
  ],
  [
    'a truncated TCP header',
    'host_ingress',
    (v) => inbound(v, raw(new Uint8Array(12), { protocol: 6 })),
    'drop INVALID',
  ],
  [
    'a TCP header that says less than 20 bytes',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, dataOffset: 4 })),
    'drop INVALID',
  ],
  [
    'a TCP header longer than the packet',
    'host_ingress',
    (v) => inbound(v, tcp({ src: 1, dst: 80, dataOffset: 15 })),
    'drop INVALID',
  ],
  [
    'a truncated UDP header',
    'host_ingress',
    (v) => inbound(v, raw(new Uint8Array(6), { protocol: 17 })),
    'drop INVALID',
  ],
];
/** Headers of one family. */
const v4Frame = (o: Partial<Parameters<typeof ipv4>[0]>, ...rest: Layer[]) =>
  frame(ethernet(), ipv4({ src: PEER.v4, dst: NODE.v4, ...o }), ...rest);
const v6Frame = (...rest: Layer[]) => frame(ethernet(), ipv6({ src: PEER.v6, dst: NODE.v6 }), ...rest);
const to80 = tcp({ src: 1000, dst: 80, flags: 'S' });
const times = (n: number, layer: Layer): Layer[] => Array.from({ length: n }, () => layer);

export const headers: readonly [what: string, bytes: Uint8Array<ArrayBuffer>, want: string][] = [
  ['IPv4 header length below five words', v4Frame({ ihl: 4 }, to80), 'drop INVALID'],
  ['IPv4 total length below its header', v4Frame({ totalLength: 10 }, to80), 'drop INVALID'],
  ['IPv4 total length beyond the frame', v4Frame({ totalLength: 1400 }, to80), 'drop INVALID'],
  ['IPv4 no-operation options', v4Frame({ options: [1, 1, 1, 1] }, to80), 'pass PASS_NEW'],
  ['IPv4 forty bytes of options', v4Frame({ options: Array(40).fill(1) }, to80), 'pass PASS_NEW'],
  ['IPv4 router alert', v4Frame({ options: [148, 4, 0, 0] }, to80), 'pass PASS_NEW'],
  ['IPv4 loose source routing', v4Frame({ options: [131, 7, 4, 10, 0, 0, 1, 0] }, to80), 'drop IP_OPTION'],
  [
    'IPv4 strict source routing after padding',
    v4Frame({ options: [1, 1, 137, 7, 4, 10, 0, 0, 1, 0] }, to80),
    'drop IP_OPTION',
  ],
  [
    'IPv4 source routing after the end of options',
    v4Frame({ options: [0, 131, 7, 4, 10, 0, 0, 1] }, to80),
    'pass PASS_NEW',
  ],
  ['IPv4 an option of length 0', v4Frame({ options: [7, 0, 0, 0] }, to80), 'drop INVALID'],
  ['IPv4 an option beyond the header', v4Frame({ options: [7, 9, 0, 0] }, to80), 'drop INVALID'],
  ['IPv6 hop-by-hop first', v6Frame(hopByHop(), to80), 'pass PASS_NEW'],
  ['IPv6 destination options', v6Frame(destinationOptions(2), to80), 'pass PASS_NEW'],
  ['IPv6 authentication header', v6Frame(authentication(), to80), 'pass PASS_NEW'],
  ['IPv6 routing header type 2', v6Frame(routing(2), to80), 'pass PASS_NEW'],
  ['IPv6 routing header type 0', v6Frame(routing(0), to80), 'drop INVALID_EXTHDR'],
  ['IPv6 hop-by-hop not first', v6Frame(destinationOptions(), hopByHop(), to80), 'drop INVALID_EXTHDR'],
  ['IPv6 six headers', v6Frame(...times(6, destinationOptions()), to80), 'pass PASS_NEW'],
  ['IPv6 seven headers', v6Frame(...times(7, destinationOptions()), to80), 'drop INVALID_EXTHDR'],
  ['IPv6 256 bytes of headers', v6Frame(destinationOptions(31), to80), 'pass PASS_NEW'],
  ['IPv6 264 bytes of headers', v6Frame(destinationOptions(32), to80), 'drop INVALID_EXTHDR'],
  ['IPv6 no next header', v6Frame(extension(60, { next: 59 })), 'pass PASS_NEW'],
  ['IPv6 ESP stops the walk', v6Frame(raw(new Uint8Array(16), { protocol: 50 })), 'pass PASS_NEW'],
  [
    'IPv6 a fragment header after another',
    v6Frame(fragment6(), fragment6({ offset: 8 }), to80),
    'drop INVALID_EXTHDR',
  ],
  ['IPv6 atomic fragment', v6Frame(fragment6(), to80), 'pass PASS_NEW'],
  ['IPv6 an extension header cut short', v6Frame(raw([6, 0, 1], { protocol: 60 })), 'drop INVALID'],
  [
    'VLAN 0 is judged as untagged',
    frame(ethernet(), vlan(0), ip({ src: PEER.v4, dst: NODE.v4 }), to80),
    'pass PASS_NEW',
  ],
  [
    'a VLAN without sub-device is judged',
    frame(ethernet(), vlan(7), ip({ src: PEER.v4, dst: NODE.v4 }), tcp({ src: 1, dst: 82, flags: 'S' })),
    'drop POLICY_DENIED',
  ],
  [
    'QinQ is judged',
    frame(
      ethernet(),
      vlan(7, 0x88a8),
      vlan(8),
      ip({ src: PEER.v6, dst: NODE.v6 }),
      tcp({ src: 1, dst: 82, flags: 'S' }),
    ),
    'drop POLICY_DENIED',
  ],
  [
    'a VLAN with a program of its own passes',
    frame(ethernet(), vlan(9), ip({ src: PEER.v4, dst: NODE.v4 }), tcp({ src: 1, dst: 82, flags: 'S' })),
    'pass PASS_FORWARDED',
  ],
];
