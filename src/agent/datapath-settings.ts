/** NodeConfig → what the datapath is loaded with. Pure. */
import type { DatapathOptions } from '#datapath';
import { RESERVED_IDENTITY } from '#model';
import { ETHERTYPES, type NodeConfig } from '#model/config';

type Loaded = Pick<DatapathOptions, 'settings' | 'timeouts' | 'maxTcp' | 'maxOther' | 'xdpMode'>;

/** Keys that are fixed at load; a reload names them as needing a restart. */
export function datapathSettings({ values }: NodeConfig): Loaded {
  const maxTcp = values['hostfw.ct.maxTCP'];
  const maxOther = values['hostfw.ct.maxOther'];
  return {
    settings: {
      ...worldIdentities(values),
      ...disabledFamilies(values),
      ...strictEthertypes(values['hostfw.strictEthertypes'] ?? []),
      cfg_builtin_dhcp: values['hostfw.builtin.dhcp'] === false ? 0 : 1,
      cfg_icmp6_redirect_pass: values['hostfw.builtin.icmp6Redirect'] === 'pass' ? 1 : 0,
      cfg_extended_protocols: values['enable-extended-ip-protocols'] === true ? 1 : 0,
      cfg_allow_icmp_frag_needed: values['allow-icmp-frag-needed'] === false ? 0 : 1,
    },
    timeouts: {
      tcp: values['bpf-ct-timeout-regular-tcp'] ?? 8000,
      tcpSyn: values['bpf-ct-timeout-regular-tcp-syn'] ?? 60,
      tcpFin: values['bpf-ct-timeout-regular-tcp-fin'] ?? 10,
      udp: values['bpf-ct-timeout-regular-any'] ?? 60,
      icmp: values['bpf-ct-timeout-regular-any'] ?? 60,
      udpStream: values['ct-timeout-udp-stream'] ?? 120,
      generic: values['ct-timeout-generic'] ?? 600,
    },
    ...(maxTcp === undefined ? {} : { maxTcp }),
    ...(maxOther === undefined ? {} : { maxOther }),
    xdpMode: values['xdp.mode'] ?? 'auto',
  };
}

/** With one family alone the world is one, as policy takes it; of the other family nobody is known. */
function worldIdentities(values: NodeConfig['values']) {
  const has4 = values['enable-ipv4'] !== false;
  const has6 = values['enable-ipv6'] !== false;
  const alone = (isEnabled: boolean) => RESERVED_IDENTITY[isEnabled ? 'world' : 'unknown'];
  return {
    cfg_identity_world4: has4 && has6 ? RESERVED_IDENTITY['world-ipv4'] : alone(has4),
    cfg_identity_world6: has4 && has6 ? RESERVED_IDENTITY['world-ipv6'] : alone(has6),
  };
}

/** A family that is off takes nothing new at the node; without a host firewall it is left alone (HF-2.1). */
function disabledFamilies(values: NodeConfig['values']): Loaded['settings'] {
  if (values['hostfw.enabled'] === false) return {};
  return {
    cfg_no_ipv4: values['enable-ipv4'] === false ? 1 : 0,
    cfg_no_ipv6: values['enable-ipv6'] === false ? 1 : 0,
  };
}

/** Four numbers a word, the first in the lowest bits; the type bounds their number. */
function strictEthertypes(list: readonly (string | number)[]): Loaded['settings'] {
  const numbers = list.map((one) => (typeof one === 'number' ? one : (ETHERTYPES[one] ?? 0)));
  const word = (at: number): bigint =>
    numbers.slice(at, at + 4).reduce((sum, number, i) => sum | (BigInt(number) << BigInt(16 * i)), 0n);
  return {
    cfg_strict_ethertypes: numbers.length === 0 ? 0 : 1,
    cfg_ethertypes0: word(0),
    cfg_ethertypes1: word(4),
    cfg_ethertypes2: word(8),
    cfg_ethertypes3: word(12),
  };
}
