/**
 * The demo as data: seven scenes, what each writes into the manifest directory, and what sockets must see then.
 * Every probe runs over IPv4 and IPv6. A probe names the rule that has to explain its outcome, so that a right
 * answer for a wrong reason fails, too.
 */
import type { EventView } from '#api/client';

export type HostName = 'node' | 'admin' | 'monitor' | 'outside' | 'worker2' | 'metadata' | PodName;
export type PodName = 'deathstar-1' | 'deathstar-2' | 'tiefighter' | 'xwing';

export const PODS: readonly {
  readonly name: PodName;
  readonly labels: readonly string[];
  readonly host: number;
}[] = [
  { name: 'deathstar-1', labels: ['org=empire', 'class=deathstar'], host: 11 },
  { name: 'deathstar-2', labels: ['org=empire', 'class=deathstar'], host: 12 },
  { name: 'tiefighter', labels: ['org=empire', 'class=tiefighter'], host: 21 },
  { name: 'xwing', labels: ['org=alliance', 'class=xwing'], host: 22 },
];

export interface Because {
  readonly verdict: EventView['verdict'];
  /** Id of a rule, or of the spec whose default decided; absent: no policy had a say. */
  readonly rule?: string;
  readonly isFailsafe?: boolean;
}

export interface Probe {
  readonly from: HostName;
  readonly to: HostName;
  readonly proto: 'tcp' | 'http' | 'icmp';
  /** Absent for ICMP. */
  readonly port?: number;
  readonly expect: 'open' | 'timeout';
  readonly because: Because;
  /** Default: both. */
  readonly families?: readonly (4 | 6)[];
  /** What the probe stands for, where its port does not say it. */
  readonly what?: string;
}

export interface Scene {
  readonly title: string;
  /** Files of `deploy/examples` that come into the manifest directory. */
  readonly manifests: readonly string[];
  /** What happens besides: audit begins and ends, the agent dies, or a manifest is refused. */
  readonly event?: 'audit' | 'kill' | 'invalid';
  readonly says: string;
  readonly probes: readonly Probe[];
}

const open = (rule?: string): Pick<Probe, 'expect' | 'because'> => ({
  expect: 'open',
  because: rule === undefined ? { verdict: 'ALLOWED' } : { verdict: 'ALLOWED', rule },
});

const closed = (rule: string): Pick<Probe, 'expect' | 'because'> => ({
  expect: 'timeout',
  because: { verdict: 'DENIED', rule },
});

const EMPIRE = 'default/rule1';
const WORKER = 'worker-host-firewall';
const METADATA = 'deny-metadata';

const nothing: readonly Probe[] = [
  { from: 'tiefighter', to: 'deathstar-1', proto: 'http', port: 80, ...open() },
  { from: 'xwing', to: 'deathstar-1', proto: 'http', port: 80, ...open() },
  { from: 'xwing', to: 'deathstar-2', proto: 'icmp', ...open() },
  { from: 'xwing', to: 'metadata', proto: 'http', port: 80, ...open(), what: 'the metadata service' },
  { from: 'outside', to: 'node', proto: 'tcp', port: 10250, ...open(), what: 'the kubelet' },
  { from: 'outside', to: 'node', proto: 'tcp', port: 22, ...open(), what: 'SSH' },
];

const starWars: readonly Probe[] = [
  { from: 'tiefighter', to: 'deathstar-1', proto: 'http', port: 80, ...open(`${EMPIRE}/0/ingress/0`) },
  { from: 'tiefighter', to: 'deathstar-2', proto: 'http', port: 80, ...open(`${EMPIRE}/0/ingress/0`) },
  { from: 'xwing', to: 'deathstar-1', proto: 'http', port: 80, ...closed(`${EMPIRE}/0`) },
  {
    from: 'tiefighter',
    to: 'deathstar-1',
    proto: 'http',
    port: 8080,
    ...closed(`${EMPIRE}/0`),
    what: 'the exhaust port',
  },
  { from: 'xwing', to: 'deathstar-2', proto: 'icmp', ...closed(`${EMPIRE}/0`) },
];

const worker: readonly Probe[] = [
  {
    from: 'worker2',
    to: 'node',
    proto: 'tcp',
    port: 10250,
    ...open(`${WORKER}/0/ingress/0`),
    what: 'the kubelet',
  },
  { from: 'outside', to: 'node', proto: 'tcp', port: 10250, ...closed(`${WORKER}/0`), what: 'the kubelet' },
  {
    from: 'monitor',
    to: 'node',
    proto: 'tcp',
    port: 22,
    ...open(`${WORKER}/0/ingress/1`),
    families: [4],
    what: 'SSH from 10.0.0.0/8',
  },
  { from: 'monitor', to: 'node', proto: 'tcp', port: 10250, ...closed(`${WORKER}/0`), what: 'the kubelet' },
  { from: 'outside', to: 'node', proto: 'tcp', port: 22, ...closed(`${WORKER}/0`), what: 'SSH' },
  {
    from: 'admin',
    to: 'node',
    proto: 'tcp',
    port: 22,
    expect: 'open',
    because: { verdict: 'ALLOWED', isFailsafe: true },
    what: 'SSH, by failsafe',
  },
];

const metadata: readonly Probe[] = [
  {
    from: 'xwing',
    to: 'metadata',
    proto: 'http',
    port: 80,
    ...closed(`${METADATA}/0/egressDeny/0`),
    what: 'the metadata service',
  },
  {
    from: 'xwing',
    to: 'outside',
    proto: 'tcp',
    port: 443,
    ...open(`${METADATA}/0/egress/0`),
    what: 'the wide allow',
  },
  { from: 'xwing', to: 'deathstar-1', proto: 'http', port: 80, ...closed(`${EMPIRE}/0`) },
];

export const SCENES: readonly Scene[] = [
  { title: 'Nothing', manifests: [], says: 'No policy: everything passes.', probes: nothing },
  {
    title: 'The L3/L4 policy',
    manifests: ['policies/star-wars-l3-l4.yaml'],
    says: 'Only org=empire reaches the deathstars, and only on port 80.',
    probes: starWars,
  },
  {
    title: 'The worker host firewall',
    manifests: ['policies/host-firewall-worker.yaml'],
    says: 'The node itself: the kubelet for other nodes, SSH from 10.0.0.0/8.',
    probes: worker,
  },
  {
    title: 'A deny inside a wide allow',
    manifests: ['policies/deny-metadata.yaml'],
    says: 'Pods may go anywhere but to the metadata service.',
    probes: metadata,
  },
  {
    title: 'Audit, then enforcement',
    manifests: ['policies/host-firewall-audit.yaml'],
    event: 'audit',
    says: 'The node reports what it would refuse, then refuses it: the same connections are cut.',
    probes: [],
  },
  {
    title: 'The agent is killed',
    manifests: [],
    event: 'kill',
    says: 'SIGKILL in mid-traffic: the kernel goes on enforcing, nothing changes.',
    probes: [],
  },
  {
    title: 'An invalid policy',
    manifests: ['broken/port-out-of-range.yaml'],
    event: 'invalid',
    says: 'It is refused with its line, and the old policies hold.',
    probes: [...starWars.slice(0, 3), ...worker.slice(0, 2), ...metadata.slice(0, 2)],
  },
];
