/** Keys of the host firewall, its failsafe, its early drops and the flow tables. */
import { ethertypes } from './ethertypes.ts';
import { key, partly, reserved } from './key.ts';
import {
  bool,
  cidr,
  devicePattern,
  duration,
  either,
  integer,
  isText,
  later,
  list,
  matching,
  seconds,
  word,
} from './types.ts';
import { failsafeEntries } from './values.ts';

const HOUR = 3_600_000;
const maxFlows = integer(4096, 16 * 1024 * 1024);
const rate = integer(0, 10_000_000);
const percent = matching('a percentage', /^(100|[1-9]?\d)%$/, '10%');

export const HOSTFW_KEYS = {
  'hostfw.enabled': key(bool, true, 'policy §10', {
    kubernetes: false,
    aliases: ['enable-host-firewall', 'hostFirewall', 'hostFirewall.enabled'],
  }),
  'hostfw.mode': key(word('enforce', 'audit', 'failsafe', 'off'), 'enforce', 'HF-5.4'),
  'hostfw.guard': partly(word('auto', 'off'), 'off', 'HF-7.5e', ['off']),
  'hostfw.autoConfirm.hold': reserved(duration(10_000, HOUR), 60_000, 'HF-7.5e'),
  'hostfw.rollout.maxUnconfirmed': reserved(
    either(percent, isText, integer(1, 100_000)),
    undefined,
    'HF-7.5f',
  ),
  'hostfw.probe.watch': reserved(duration(0, HOUR), 600_000, 'HF-7.5d'),
  'hostfw.probe.inbound': reserved(word('off', 'peer', 'syn'), 'off', 'HF-7.5d'),
  probes: reserved<unknown>(later('list of probes'), undefined, 'HF-7.5d'),
  'hostfw.boot.onMissing': reserved(word('failsafe', 'open'), 'failsafe', 'HF-8.3'),
  'hostfw.onInternalError': reserved(word('failsafe', 'open'), 'failsafe', 'HF-8.7'),
  'hostfw.onRevoke': reserved(word('drop', 'reset'), 'drop', 'HF-3.3'),
  'hostfw.denyResponse': reserved(word('none', 'reject'), 'none', 'HF-5.6'),
  'hostfw.rejectWorld': reserved(bool, false, 'HF-5.6'),
  'hostfw.foreignDnat': reserved(word('enforce', 'exempt'), 'enforce', 'HF-1.11'),
  'hostfw.allowSelfSource': key(list(devicePattern), [], 'HF-1.5'),
  'hostfw.strictEthertypes': key(ethertypes, [], 'HF-2.1', { restart: true }),
  'hostfw.builtin.dhcp': key(bool, true, 'HF-2.2', { restart: true }),
  'hostfw.builtin.icmp6Redirect': key(word('drop', 'pass'), 'drop', 'HF-2.3', { restart: true }),
  'hostfw.learnWindow': reserved(duration(0, 60_000), 2000, 'HF-3.8'),
  'hostfw.nodeHold': reserved(duration(0, 24 * HOUR), 600_000, 'HF-4.5'),
  'hostfw.ct.maxTCP': key(maxFlows, undefined, 'HF-3.5', {
    aliases: ['bpf-ct-global-tcp-max', 'bpf.ctTcpMax'],
    restart: true,
  }),
  'hostfw.ct.maxOther': key(maxFlows, undefined, 'HF-3.5', {
    aliases: ['bpf-ct-global-any-max', 'bpf.ctAnyMax'],
    restart: true,
  }),
  'failsafe.entries': key(failsafeEntries, 'auto', 'HF-6'),
  'failsafe.sshFrom': key(list(cidr), undefined, 'HF-6'),
  'failsafe.iUnderstand': key(bool, false, 'HF-6'),
  'xdp.mode': key(word('auto', 'native', 'generic', 'off'), 'auto', 'HF §9'),
  'xdp.martians': reserved(word('basic', 'strict'), 'basic', 'HF-9.2'),
  'xdp.denyLists': reserved<unknown>(later('list of deny lists'), undefined, 'HF-9.1'),
  'xdp.allowLists': reserved<unknown>(later('list of allow lists'), undefined, 'HF-9.1'),
  'xdp.limits.syn.rate': reserved(rate, 100, 'HF-9.3'),
  'xdp.limits.syn.burst': reserved(rate, 300, 'HF-9.3'),
  'xdp.limits.udp.rate': reserved(rate, 2000, 'HF-9.3'),
  'xdp.limits.udp.burst': reserved(rate, 4000, 'HF-9.3'),
  'xdp.limits.icmpEcho.rate': reserved(rate, 20, 'HF-9.3'),
  'xdp.limits.icmpEcho.burst': reserved(rate, 50, 'HF-9.3'),
  'xdp.syn.threshold': reserved(integer(1, 10_000_000), undefined, 'HF-9.4'),
  'xdp.syn.cookiePorts': reserved(list(integer(1, 65535)), [], 'HF-9.4'),
  'bpf-ct-timeout-regular-tcp': key(seconds(1), 8000, 'HF-3.4', { restart: true }),
  'bpf-ct-timeout-regular-tcp-syn': key(seconds(1), 60, 'HF-3.4', { restart: true }),
  'bpf-ct-timeout-regular-tcp-fin': key(seconds(1), 10, 'HF-3.4', { restart: true }),
  'bpf-ct-timeout-regular-any': key(seconds(1), 60, 'HF-3.4', { restart: true }),
  'ct-timeout-udp-stream': key(seconds(1), 120, 'HF-3.4', { restart: true }),
  'ct-timeout-generic': key(seconds(1), 600, 'HF-3.4', { restart: true }),
  'bpf-ct-timeout-service-tcp': reserved(seconds(1), 8000, 'HF-3.4', { restart: true }),
  'bpf-ct-timeout-service-any': reserved(seconds(1), 60, 'HF-3.4', { restart: true }),
};
