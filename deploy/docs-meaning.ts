/** What configuration keys mean, in the words of docs/. The list itself is elsewhere. */
import type { ConfigKey } from '#model/config';

/** What each key does, for people. Keys of which only the default has an effect are listed by name alone. */
export const KEY_MEANING: Readonly<Partial<Record<ConfigKey, string>>> = {
  'cluster-name': 'The cluster this node belongs to, as policies name it.',
  labels:
    "The node's own labels, which `nodeSelector` selects by. Those the agent finds out itself come on top.",
  nodes: 'Other nodes: their addresses get the identity `remote-node`, with the labels given here.',
  'sources.directory.paths': 'Directories whose manifests are enforced.',
  'sources.directory.perFile': 'Take over each valid file alone, instead of all files or none.',
  'sources.directory.trustAnyOwner': 'Read manifests that users other than root can change.',
  'sources.directory.guard': 'Whether changes from the directory wait for confirmation.',
  'sources.syncTimeout':
    'How long a start waits for the first listing of a source before it keeps what is enforced.',
  'devices.patterns':
    'Devices to attach to: `eth+`, `!eth3`. Empty: those that carry traffic to other machines.',
  'devices.requireAll': 'Refuse the configuration when a pattern matches no device, instead of saying so.',
  'enable-ipv4': 'Off: the node takes no IPv4 but answers, failsafe and DHCP, whatever policy says.',
  'enable-ipv6':
    'Off: the node takes no IPv6 but answers, failsafe, DHCP and what ICMPv6 needs, whatever policy says.',
  'enable-policy':
    'Whether an endpoint that no policy selects is open (`default`, `never`) or closed (`always`).',
  'policy-audit-mode':
    'What policy refuses is reported and passes, for the node and every endpoint that says nothing else of itself.',
  'policy-cidr-match-mode': 'What a CIDR in a policy matches besides addresses outside the cluster.',
  'enable-node-selector-labels': 'Tell other nodes apart by their labels: `fromNodes` and `toNodes` work.',
  'policy-default-local-cluster': 'A selector that names no cluster means this one.',
  'enable-non-default-deny-policies': 'Honour `enableDefaultDeny: false`.',
  identityLabels:
    'Which labels make the identity of an endpoint, beside the defaults: `k8s:app` keeps, `!team` drops; with one that keeps, all others are dropped.',
  'enable-extended-ip-protocols':
    'Pods may speak VRRP and IGMP, and policies may leave the port empty. Off: such packets of pods are dropped.',
  'enable-icmp-rules': 'Accept `icmps` in policies.',
  'enable-l7-proxy': 'Accept layer 7, TLS and listener rules in policies.',
  'enable-k8s-networkpolicy': 'Enforce NetworkPolicy objects.',
  'allow-localhost': 'Whether the node always reaches its own endpoints, or only where policy allows it.',
  'allow-icmp-frag-needed': 'Let path MTU messages pass whatever policy says.',
  'hostfw.enabled': 'Enforce policies with `nodeSelector` on this node.',
  'hostfw.mode': 'What the host firewall does: enforce, only report, only failsafe, nothing.',
  'hostfw.guard': 'Whether a change that could lock you out waits for confirmation.',
  'hostfw.allowSelfSource': "Devices on which packets may arrive from the node's own addresses.",
  'hostfw.strictEthertypes':
    'Ethertypes besides IP that pass, by name (`lldp`) or number (`0x88cc`). ARP and frames in 802.3 length format always do. Empty: all pass.',
  'hostfw.builtin.dhcp': 'Let the node get its address by DHCP whatever policy says.',
  'hostfw.builtin.icmp6Redirect': 'What to do with ICMPv6 redirects.',
  'hostfw.ct.maxTCP': 'Size of the flow table for TCP, per family. Unset: a share of memory.',
  'hostfw.ct.maxOther': 'Size of the flow table for all else, per family. Unset: a share of memory.',
  'failsafe.entries': 'What stands above every policy. `auto`: SSH, DHCP and DNS, as the node uses them.',
  'failsafe.sshFrom': 'From where the failsafe lets SSH in. Unset: from anywhere, with a warning.',
  'failsafe.iUnderstand': 'Accept an empty list of entries, which lets nobody in when policy is wrong.',
  'xdp.mode': 'How the early checks attach; where they are not attached, the later hook makes them.',
  'bpf-ct-timeout-regular-tcp': 'Idle time after which an established TCP flow is forgotten.',
  'bpf-ct-timeout-regular-tcp-syn': 'The same before the handshake is done.',
  'bpf-ct-timeout-regular-tcp-fin': 'The same once both sides have closed.',
  'bpf-ct-timeout-regular-any': 'The same for a single exchange of any other protocol.',
  'ct-timeout-udp-stream': 'The same for UDP that goes back and forth.',
  'ct-timeout-generic': 'The same for protocols without ports.',
};
