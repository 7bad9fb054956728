/** Random settings of a node. */
import type { PolicyConfig } from '#model';
import type { Random } from './random.ts';

export function randomConfig(random: Random): PolicyConfig {
  const families = random.weighted(
    [8, () => ({ ipv4: true, ipv6: true })],
    [1, () => ({ ipv4: true, ipv6: false })],
    [1, () => ({ ipv4: false, ipv6: true })],
  );
  return {
    ...families,
    enforcement: random.weighted<PolicyConfig['enforcement']>(
      [30, () => 'default'],
      [3, () => 'always'],
      [2, () => 'never'],
    ),
    hostFirewall: random.chance(80),
    allowLocalhost: random.chance(25),
    clusterName: 'default',
    cidrMatchNodes: random.chance(60),
    cidrMatchPods: random.chance(10),
    nodeSelectorLabels: random.chance(30),
  };
}
