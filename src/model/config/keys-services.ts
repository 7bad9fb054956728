/** Keys of the load balancer and of announcements. All of them are known; none is implemented yet. */
import { reserved } from './key.ts';
import { bool, cidr, device, duration, integer, later, matching, path, text, word } from './types.ts';

const no = (spec: string) => reserved(bool, false, spec);
const yes = (spec: string) => reserved(bool, true, spec);
const PRIMES = ['251', '509', '1021', '2039', '4093', '8191', '16381', '32749', '65521', '131071'];

export const SERVICE_KEYS = {
  'kube-proxy-replacement': reserved(bool, undefined, 'services', {
    kubernetes: false,
    aliases: ['kubeProxyReplacement'],
  }),
  'k8s-service-proxy-name': reserved(text, '', 'services §1'),
  'node-port-range': reserved(
    matching('first,last', /^\d{1,5},\d{1,5}$/, '30000,32767'),
    '30000,32767',
    'services §1',
  ),
  'bpf-lb-algorithm': reserved(word('random', 'maglev'), 'random', 'services §4, §5'),
  'bpf-lb-mode': reserved(word('snat', 'dsr', 'hybrid', 'annotation'), 'snat', 'services §4, §5'),
  'bpf-lb-dsr-dispatch': reserved(word('opt', 'geneve', 'ipip'), 'opt', 'services §4, §5'),
  'bpf-lb-acceleration': reserved(word('disabled', 'native', 'best-effort'), 'disabled', 'services §4, §5'),
  'bpf-lb-maglev-table-size': reserved(
    { name: `one of ${PRIMES.join(', ')}`, read: integer(251, 131071).read },
    16381,
    'services §4',
  ),
  'bpf-lb-maglev-hash-seed': reserved(
    matching('12 bytes in base64', /^[A-Za-z0-9+/]{16}$/, 'JLfvgnHc2kaSUFaI'),
    undefined,
    'services §4',
  ),
  'bpf-lb-map-max': reserved(integer(1024, 16 * 1024 * 1024), 65536, 'services §3'),
  'bpf-lb-external-clusterip': no('services'),
  'bpf-lb-source-range-all-types': no('services'),
  'bpf-lb-algorithm-annotation': no('services'),
  'bpf-lb-mode-annotation': no('services'),
  'bpf-lb-sock-hostns-only': no('services'),
  'lb-sock-terminate-all-protos': no('services'),
  'enable-service-topology': no('services'),
  'bpf-lb-sock': yes('services §6, §10'),
  'enable-health-check-nodeport': yes('services §6, §10'),
  'enable-health-check-loadbalancer-ip': no('services §6, §10'),
  'service-no-backend-response': reserved(word('reject', 'drop'), 'reject', 'services §6'),
  'kube-proxy-replacement-healthz-bind-address': reserved(text, '', 'services §10'),
  'enable-lb-ipam': yes('lb-ipam §3'),
  'default-lb-service-ipam': reserved(word('lbipam', 'nodeipam', 'none'), 'lbipam', 'lb-ipam §3'),
  'enable-l2-announcements': no('l2 §3'),
  'l2-announcements-lease-duration': reserved(duration(), 15_000, 'l2 §3'),
  'l2-announcements-renew-deadline': reserved(duration(), 5000, 'l2 §3'),
  'l2-announcements-retry-period': reserved(duration(), 2000, 'l2 §3'),
  'l2.availabilityOverConsistency': no('l2 §8'),
  'l2.keyFile': reserved(path, undefined, 'l2 §8'),
  'enable-l2-pod-announcements': no('l2 §11'),
  'l2-pod-announcements-interface': reserved(device, undefined, 'l2 §11'),
  'l2-pod-announcements-interface-pattern': reserved(text, undefined, 'l2 §11'),
  'enable-bgp-control-plane': no('bgp A.2, A.6'),
  'bgp-secrets-namespace': reserved(text, undefined, 'bgp A.2, A.6'),
  'bgp-router-id-allocation-mode': reserved(word('default', 'ip-pool'), 'default', 'bgp A.2, A.6'),
  'bgp-router-id-allocation-ip-pool': reserved(cidr, undefined, 'bgp A.2, A.6'),
  'clustermesh.etcd': reserved<unknown>(later('settings of the mesh etcd'), undefined, 'marks-and-ports §9'),
};
