/** What a person asks for when they add an endpoint, checked. Pure. */
import { MerlonError } from '#kit/errors';
import { cidrContainsIp, formatCidrOrIp, parseCidr, parseCidrOrIp } from '#kit/ip';
import {
  formatLabel,
  isDnsLabel,
  isDnsSubdomain,
  type Label,
  type LabelSet,
  labelKeyProblem,
  labelSet,
  labelValueProblem,
  parseLabel,
} from '#kit/labels';
import { isAgentLabelKey, type PodOrigin, podLabels } from '#model';

/** As asked; texts are not yet believed. */
export interface EndpointRequest {
  readonly name: string;
  /** Default `default`. */
  readonly namespace?: string;
  /** Name under /run/netns, absolute path, or process id. */
  readonly netns: string;
  /** `key=value` (source k8s) or `source:key=value`. */
  readonly labels: readonly string[];
  /** Addresses, and prefixes it may also use. At least one address. */
  readonly ips: readonly string[];
}

/** The request, checked and in canonical form. */
export interface EndpointSpec {
  readonly name: string;
  readonly namespace: string;
  readonly netns: string;
  readonly labels: LabelSet;
  readonly addresses: readonly string[];
}

const NEVER: readonly (readonly [cidr: string, what: string])[] = [
  ['0.0.0.0/8', 'unspecified'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['224.0.0.0/3', 'multicast or reserved'],
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
];

/** The canonical text of an address or prefix that an endpoint may have. Error: ENDPOINT_ADDRESS. */
export function endpointAddress(text: string): string {
  const cidr = parseCidrOrIp(text);
  if (cidr === undefined)
    throw new MerlonError('ENDPOINT_ADDRESS', `"${text}" is neither an address nor a prefix`);
  for (const [range, what] of NEVER) {
    const never = parseCidr(range);
    if (never !== undefined && cidrContainsIp(never, cidr.ip)) {
      throw new MerlonError('ENDPOINT_ADDRESS', `${text} is ${what}: an endpoint cannot have it`);
    }
  }
  return formatCidrOrIp(cidr);
}

/** One label as written on a command line; without a source, `k8s`. Error: LABEL_SYNTAX. */
function endpointLabel(text: string): Label {
  const label = parseLabel(text, 'k8s');
  const problem = label && (labelKeyProblem(label.key) ?? labelValueProblem(label.value));
  if (label === undefined || problem !== undefined) {
    throw new MerlonError(
      'LABEL_SYNTAX',
      `"${text}" is no label${problem === undefined ? '' : `: ${problem}`}`,
    );
  }
  if (label.source === 'reserved') {
    throw new MerlonError(
      'LABEL_SYNTAX',
      `"${text}": labels of the source reserved are not given to endpoints`,
    );
  }
  if (isAgentLabelKey(label.key)) {
    throw new MerlonError('LABEL_SYNTAX', `"${text}": the agent sets ${label.key} itself`);
  }
  return label;
}

/** All labels of an endpoint: those given and the agent's. */
export function endpointLabels(texts: readonly string[], origin: PodOrigin): LabelSet {
  const given = new Map<string, Label>();
  for (const text of texts) {
    const label = endpointLabel(text);
    const key = `${label.source}:${label.key}`;
    const other = given.get(key);
    if (other !== undefined && other.value !== label.value) {
      const both = `${formatLabel(other)} and ${formatLabel(label)}`;
      throw new MerlonError('LABEL_SYNTAX', `${both} contradict each other`);
    }
    given.set(key, label);
  }
  return labelSet([...podLabels(origin, {}).labels, ...given.values()]);
}

/** Checks a request. Errors: USAGE, LABEL_SYNTAX, ENDPOINT_ADDRESS. */
export function endpointSpec(request: EndpointRequest, cluster: string): EndpointSpec {
  const { name, namespace = 'default', netns } = request;
  if (!isDnsSubdomain(name)) throw new MerlonError('USAGE', `"${name}" is no name: a–z, 0–9, - and . only`);
  if (!isDnsLabel(namespace))
    throw new MerlonError('USAGE', `"${namespace}" is no namespace: a–z, 0–9 and - only`);
  const addresses = [...new Set(request.ips.map(endpointAddress))];
  if (!addresses.some((address) => !address.includes('/'))) {
    throw new MerlonError('ENDPOINT_ADDRESS', `endpoint ${namespace}/${name} has no address of its own`, {
      hint: 'give it one with --ip, and one of each family if it shall speak both',
    });
  }
  const labels = endpointLabels(request.labels, { namespace, cluster });
  return { name, namespace, netns, labels, addresses };
}

/** Smallest MTU with which IPv6 works (RFC 8200 §5). */
const MTU_MIN = 1280;

/** The MTU of an endpoint's device. Error: ENDPOINT_DEVICE, when its addresses cannot do with it. */
export function mtuFor({ addresses, namespace, name }: EndpointSpec, mtu: number): number {
  if (mtu < MTU_MIN && addresses.some((address) => address.includes(':'))) {
    throw new MerlonError(
      'ENDPOINT_DEVICE',
      `${namespace}/${name} has IPv6, which needs an MTU of ${MTU_MIN}, not ${mtu}`,
    );
  }
  return mtu;
}
