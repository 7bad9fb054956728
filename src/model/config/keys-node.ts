/** Keys of the node, its sources and devices. */
import { key, partly, reserved } from './key.ts';
import {
  bool,
  devicePattern,
  duration,
  integer,
  labelFilterEntry,
  labelMap,
  later,
  list,
  matching,
  path,
  port,
  text,
  textList,
  word,
} from './types.ts';
import { nodes } from './values.ts';

const clusterName = matching('1 to 32 of a-z, 0-9 and -', /^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/, 'default');
const guard = word('auto', 'off');

export const NODE_KEYS = {
  'cluster-name': key(clusterName, 'default', 'clustermesh §1.2', {
    aliases: ['clusterName', 'cluster.name'],
    restart: true,
  }),
  'cluster-id': reserved(integer(0, 511), 0, 'clustermesh, policy §12.1', {
    aliases: ['cluster.id'],
    restart: true,
  }),
  'max-connected-clusters': reserved(integer(255, 511), 255, 'clustermesh §4, §5', { restart: true }),
  labels: key(labelMap, {}, 'HF-11.5', { aliases: ['node-labels'] }),
  identityLabels: key(textList(labelFilterEntry, /\s+/), undefined, 'policy §12.2'),
  nodes: key(nodes, [], 'HF-11.6'),
  'sources.directory.paths': key(list(path), ['/etc/merlon/manifests.d'], 'HF-11.1', {
    kubernetes: [],
    aliases: ['static-cnp-path'],
    restart: true,
  }),
  'sources.directory.perFile': key(bool, false, 'HF-11.2'),
  'sources.directory.trustAnyOwner': key(bool, false, 'HF-11.2'),
  'sources.directory.guard': partly(guard, 'off', 'HF-7.5e', ['off']),
  'sources.kubernetes.kubeconfig': reserved(text, undefined, 'HF §13', { restart: true }),
  'sources.kubernetes.guard': reserved(guard, 'off', 'HF-7.5e'),
  'sources.syncTimeout': key(duration(10_000, 3_600_000), 300_000, 'HF-8.4'),
  'devices.patterns': key(list(devicePattern), [], 'HF-1.12', { aliases: ['devices'] }),
  'devices.requireAll': key(bool, false, 'HF-1.12'),
  'devices.internet': reserved(list(devicePattern), [], 'HF-9.2'),
  'enable-ipv4': key(bool, true, 'HF-2.1', { aliases: ['ipv4.enabled'], restart: true }),
  'enable-ipv6': key(bool, true, 'HF-2.1', { aliases: ['ipv6.enabled'], restart: true }),
  'routing-mode': reserved(word('native', 'tunnel'), 'native', 'HF-1.1', {
    kubernetes: 'tunnel',
    aliases: ['routingMode'],
    restart: true,
  }),
  'tunnel-protocol': reserved(word('vxlan', 'geneve'), 'vxlan', 'HF-1.1', {
    aliases: ['tunnelProtocol'],
    restart: true,
  }),
  'tunnel-port': reserved(port(0), 0, 'HF-1.1', { aliases: ['tunnelPort'], restart: true }),
  'cluster-health-port': reserved(port(), 4240, 'HF-6.2'),
  'datapath.marks': reserved(later('table of mark kinds'), undefined, 'marks-and-ports §1', {
    restart: true,
  }),
  'cni.devicePrefix': reserved(
    matching('at most 4 letters', /^[a-z]{1,4}$/, 'lxc'),
    'lxc',
    'marks-and-ports',
    { restart: true },
  ),
  'metrics.ciliumNames': reserved(bool, true, 'flow-api §9.6'),
};
