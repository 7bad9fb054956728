/** Keys of the flow API, named as Hubble's options. All of them are known; none is implemented yet. */
import { reserved } from './key.ts';
import { bool, bytes, duration, integer, listenAddress, path, text, textList, word } from './types.ts';

const count = integer(0, 2 ** 31 - 1);
const no = (spec: string, ...aliases: string[]) => reserved(bool, false, spec, { aliases });
const yes = (spec: string, ...aliases: string[]) => reserved(bool, true, spec, { aliases });
const words = textList(text, /[\s,]+/);
const TLS = '/var/lib/cilium/tls/hubble';
const certificate = (name: string, ...aliases: string[]) =>
  reserved(path, undefined, 'flow-api §15', { kubernetes: `${TLS}/${name}`, aliases });

export const FLOW_KEYS = {
  'enable-hubble': yes('flow-api §15', 'hubble.enabled'),
  'hubble-listen-address': reserved(listenAddress, '', 'flow-api §1', {
    kubernetes: ':4244',
    aliases: ['hubble.listenAddress'],
  }),
  'hubble-socket-path': reserved(path, '/var/run/cilium/hubble.sock', 'flow-api §1', {
    aliases: ['hubble.socketPath'],
  }),
  'hubble-event-buffer-capacity': reserved(count, 4095, 'flow-api §15', {
    aliases: ['hubble.eventBufferCapacity'],
  }),
  'hubble-event-queue-size': reserved(count, undefined, 'flow-api §15', {
    aliases: ['hubble.eventQueueSize'],
  }),
  'hubble-lost-event-send-interval': reserved(duration(), 1000, 'flow-api §15', {
    aliases: ['hubble.lostEventSendInterval'],
  }),
  'hubble-monitor-events': reserved(
    textList(
      word('drop', 'debug', 'capture', 'trace', 'policy-verdict', 'trace-sock', 'l7', 'agent'),
      /[\s,]+/,
    ),
    undefined,
    'flow-api §15',
  ),
  'hubble-prefer-ipv6': no('flow-api §15', 'hubble.preferIpv6'),
  'hubble-skip-unknown-cgroup-ids': yes('flow-api §15', 'hubble.skipUnknownCGroupIDs'),
  'hubble-network-policy-correlation-enabled': yes('flow-api §15', 'hubble.networkPolicyCorrelation.enabled'),
  'hubble-disable-tls': no('flow-api §15'),
  'hubble-tls-cert-file': certificate('server.crt'),
  'hubble-tls-key-file': certificate('server.key'),
  'hubble-tls-client-ca-files': reserved(textList(path, /[\s,]+/), undefined, 'flow-api §15', {
    kubernetes: [`${TLS}/client-ca.crt`],
  }),
  'hubble-metrics': reserved(words, undefined, 'flow-api §9', { aliases: ['hubble.metrics.enabled'] }),
  'hubble-metrics-server': reserved(listenAddress, '', 'flow-api §9', { kubernetes: ':9965' }),
  'enable-hubble-open-metrics': no('flow-api §15', 'hubble.metrics.enableOpenMetrics'),
  'hubble-dynamic-metrics-config-path': reserved(path, undefined, 'flow-api §15'),
  'hubble-metrics-server-enable-tls': no('flow-api §15'),
  'hubble-metrics-server-tls-cert-file': reserved(path, undefined, 'flow-api §15'),
  'hubble-metrics-server-tls-key-file': reserved(path, undefined, 'flow-api §15'),
  'hubble-metrics-server-tls-client-ca-files': reserved(textList(path, /[\s,]+/), undefined, 'flow-api §15'),
  'prometheus-serve-addr': reserved(listenAddress, '', 'flow-api §9', { kubernetes: ':9962' }),
  'hubble-export-file-path': reserved(text, '', 'flow-api §10'),
  'hubble-export-file-max-size-mb': reserved(count, 10, 'flow-api §10'),
  'hubble-export-file-max-backups': reserved(count, 5, 'flow-api §10'),
  'hubble-export-file-compress': no('flow-api §10'),
  'hubble-export-allowlist': reserved(words, undefined, 'flow-api §10'),
  'hubble-export-denylist': reserved(words, undefined, 'flow-api §10'),
  'hubble-export-fieldmask': reserved(words, undefined, 'flow-api §10'),
  'hubble-export-fieldaggregate': reserved(words, undefined, 'flow-api §10'),
  'hubble-export-aggregation-interval': reserved(duration(), 0, 'flow-api §10'),
  'hubble-flowlogs-config-path': reserved(path, undefined, 'flow-api §10'),
  'hubble-redact-enabled': no('flow-api §15', 'hubble.redact.enabled'),
  'hubble-redact-http-urlquery': no('flow-api §15', 'hubble.redact.http.urlQuery'),
  'hubble-redact-http-userinfo': yes('flow-api §15', 'hubble.redact.http.userInfo'),
  'hubble-redact-http-headers-allow': reserved(words, undefined, 'flow-api §15', {
    aliases: ['hubble.redact.http.headers.allow'],
  }),
  'hubble-redact-http-headers-deny': reserved(words, undefined, 'flow-api §15', {
    aliases: ['hubble.redact.http.headers.deny'],
  }),
  'hubble-redact-kafka-apikey': no('flow-api §15', 'hubble.redact.kafka.apiKey'),
  'hubble-drop-events': no('flow-api §15', 'hubble.dropEventEmitter.enabled'),
  'hubble-drop-events-interval': reserved(duration(), 120_000, 'flow-api §15', {
    aliases: ['hubble.dropEventEmitter.interval'],
  }),
  'hubble-drop-events-reasons': reserved(words, ['auth_required', 'policy_denied'], 'flow-api §15', {
    aliases: ['hubble.dropEventEmitter.reasons'],
  }),
  'hubble-drop-events-extended': no('flow-api §15'),
  'hubble-drop-events-rate-limit': reserved(count, undefined, 'flow-api §15'),
  'hubble.history.maxBytes': reserved(bytes, 0, 'flow-api M5'),
  'monitor-aggregation': reserved(word('none', 'low', 'medium', 'maximum'), 'medium', 'flow-api §4.1', {
    aliases: ['bpf.monitorAggregation'],
  }),
  'monitor-aggregation-interval': reserved(duration(), 5000, 'flow-api §15', {
    aliases: ['bpf.monitorInterval'],
  }),
  'monitor-aggregation-flags': reserved(words, undefined, 'flow-api §15', { aliases: ['bpf.monitorFlags'] }),
};
