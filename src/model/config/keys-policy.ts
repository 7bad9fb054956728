/** Keys of policy. */
import { key, reserved } from './key.ts';
import { bool, list, text, word } from './types.ts';

const nothing: readonly ('nodes' | 'pods')[] = [];

export const POLICY_KEYS = {
  'enable-policy': key(word('default', 'always', 'never'), 'default', 'policy §8.1', {
    aliases: ['policyEnforcementMode'],
  }),
  'policy-audit-mode': key(bool, false, 'policy §14.3, HF-5.4', {
    aliases: ['policyAuditMode', 'auditMode'],
  }),
  'policy-cidr-match-mode': key(list(word('nodes', 'pods')), ['nodes'], 'HF-4.3', {
    kubernetes: nothing,
    aliases: ['policyCIDRMatchMode'],
  }),
  'policy-default-local-cluster': key(bool, true, 'policy §3.4', { aliases: ['policyDefaultLocalCluster'] }),
  'enable-non-default-deny-policies': key(bool, true, 'policy §2', {
    aliases: ['enableNonDefaultDenyPolicies'],
  }),
  'enable-node-selector-labels': key(bool, false, 'policy §2', { aliases: ['nodeSelectorLabels'] }),
  'enable-extended-ip-protocols': key(bool, false, 'policy §5.1, HF-1.6', {
    aliases: ['extendedIPProtocols'],
    restart: true,
  }),
  'enable-icmp-rules': key(bool, true, 'policy §5.3'),
  'enable-l7-proxy': key(bool, true, 'policy §6', { aliases: ['l7Proxy'] }),
  'enable-k8s-networkpolicy': key(bool, true, 'policy §11'),
  'allow-localhost': key(word('auto', 'always', 'policy'), 'auto', 'policy §8.4', {
    aliases: ['allowLocalhost'],
  }),
  'allow-icmp-frag-needed': key(bool, true, 'policy §8.4, HF-2.4', { restart: true }),
  'policy-deny-response': reserved(word('none', 'icmp'), 'none', 'policy §14.4', {
    aliases: ['policyDenyResponse'],
  }),
  'enable-endpoint-lockdown-on-policy-overflow': reserved(bool, false, 'policy §13.7'),
  'policy-secrets-namespace': reserved(text, undefined, 'cec §6', { kubernetes: 'cilium-secrets' }),
};
