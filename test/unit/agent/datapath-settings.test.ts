import test from 'ava';
import { type NodeConfig, nodeConfigOf } from '#model/config';
import { datapathSettings } from '../../../src/agent/datapath-settings.ts';

const configOf = (body: string): NodeConfig =>
  nodeConfigOf([{ file: 'm.yaml', text: `apiVersion: merlon.io/v1\nkind: NodeConfig\n${body}` }]);

const cases: readonly [what: string, body: string, want: Readonly<Record<string, number | bigint>>][] = [
  ['both families are on', '', { cfg_no_ipv4: 0, cfg_no_ipv6: 0, cfg_strict_ethertypes: 0 }],
  [
    'IPv6 is off',
    'enable-ipv6: false',
    { cfg_no_ipv4: 0, cfg_no_ipv6: 1, cfg_identity_world4: 2, cfg_identity_world6: 0 },
  ],
  [
    'IPv4 is off',
    'enable-ipv4: false',
    { cfg_no_ipv4: 1, cfg_no_ipv6: 0, cfg_identity_world4: 0, cfg_identity_world6: 2 },
  ],
  [
    'ethertypes fill words of four',
    'hostfw: {strictEthertypes: [lldp, 0x8809, eapol, ptp, "0x1234"]}',
    {
      cfg_strict_ethertypes: 1,
      cfg_ethertypes0: 0x88f7_888e_8809_88ccn,
      cfg_ethertypes1: 0x1234n,
      cfg_ethertypes2: 0n,
      cfg_ethertypes3: 0n,
    },
  ],
];
for (const [what, body, want] of cases)
  test(`datapathSettings – ${what}`, (t) => {
    const settings: Readonly<Record<string, unknown>> = { ...datapathSettings(configOf(body)).settings };
    t.like(settings, want);
  });

test('datapathSettings – without a host firewall a family that is off is left alone', (t) => {
  const { settings } = datapathSettings(configOf('enable-ipv6: false\nhostfw: {enabled: false}'));
  t.false('cfg_no_ipv6' in (settings ?? {}));
});
