/**
 * Two policies that exclude each other on the running node (policy.md §9.6): the subject keeps what it had,
 * both objects say so, a restart changes nothing, and once one goes the other counts. The bed is that of
 * operator/bed.ts.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { PolicyStatusView } from '#api/client';
import { startAgent, writeManifests } from '#lab';
import { type Bed, configOf, operatorBed, PROGRAM } from '../operator/bed.ts';

/** Allows `client` port 80 in a mode of authentication, and everybody another port. */
const asks = (name: string, mode: string, port: number) => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ${name}}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress:
    - fromEndpoints: [{matchLabels: {app: client}}]
      toPorts: [{ports: [{port: "80", protocol: TCP}]}]
      authentication: {mode: ${mode}}
    - toPorts: [{ports: [{port: "${port}", protocol: TCP}]}]
`;

async function apply({ agent }: Bed, t: ExecutionContext): Promise<void> {
  t.is((await agent.merlon(['reload'])).code, 0);
  t.is((await agent.merlon(['manifests', 'status', '--wait'])).code, 0);
}

async function statusOf({ agent }: Bed, name: string): Promise<{ state: string; warnings: string }> {
  const { policies } = await agent.json<PolicyStatusView>(['policy', 'status']);
  const status = policies.find((policy) => policy.name === name)?.status;
  return { state: status?.state ?? '', warnings: status?.warnings.join('\n') ?? '' };
}

test('conflict – the policy that was there stays, through a restart, until one of the two goes', async (t) => {
  t.timeout(100_000);
  await using bed = await operatorBed('cnfl');
  const { node, client } = bed.net.hosts;
  const open = () => Promise.all([80, 81].map((port) => client.probeTcp('10.1.0.10', port)));
  const keeps = async (when: string) => {
    t.deepEqual(await open(), ['open', 'timeout'], when);
    const later = await statusOf(bed, 'later');
    t.is(later.state, 'held', when);
    t.regex(later.warnings, /merlon\.io\/Conflict/);
    t.regex(later.warnings, /default\/first\/0\/ingress\/0 and default\/later\/0\/ingress\/0/);
    t.regex((await statusOf(bed, 'first')).warnings, /default\/later\/0\/ingress\/0/);
  };
  await writeManifests(node, { 'first.yaml': asks('first', 'disabled', 8080) });
  await apply(bed, t);
  t.deepEqual(await open(), ['open', 'timeout']);

  await writeManifests(node, { 'later.yaml': asks('later', 'required', 81) });
  await apply(bed, t);
  await keeps('both are there');

  await bed.agent.stop();
  bed.agent = await startAgent(node, { program: PROGRAM, config: configOf(bed.net) });
  await keeps('after a restart');

  await rm(join(node.dirs?.manifestsDir ?? '', 'first.yaml'));
  await apply(bed, t);
  t.deepEqual(await open(), ['timeout', 'open'], 'the later one counts: nobody can prove who they are');
  t.is((await statusOf(bed, 'later')).state, 'applied');
});
