import test from 'ava';
import { failsafeRows, sshWarning } from '#hostfw';

const none = { sshPorts: [], resolvers: [] };
const brief = (rows: ReturnType<typeof failsafeRows>): string[] =>
  rows.map((r) => `${r.entry} ${r.direction} ${r.protocol} ${r.port} ${r.cidrs.join(',')}`);

test('failsafeRows – SSH is open to any peer until sshFrom is set, and says so', (t) => {
  const config = { entries: 'auto', sshFrom: undefined } as const;
  t.is(brief(failsafeRows(config, none))[0], '1 in 6 22 0.0.0.0/0,::/0');
  t.regex(sshWarning(config) ?? '', /failsafe\.sshFrom/);
});

test('failsafeRows – sshFrom narrows SSH, and sshd on another port is let in there too', (t) => {
  const config = { entries: 'auto', sshFrom: ['10.0.0.0/8'] } as const;
  const rows = brief(failsafeRows(config, { sshPorts: [2222, 22], resolvers: [] }));
  t.deepEqual(rows.slice(0, 2), ['1 in 6 22 10.0.0.0/8', '2 in 6 2222 10.0.0.0/8']);
  t.is(sshWarning(config), undefined);
});

test('failsafeRows – resolvers are reached on port 53 by UDP and TCP, each as a host prefix', (t) => {
  const config = { entries: 'auto', sshFrom: ['10.0.0.0/8'] } as const;
  const rows = brief(failsafeRows(config, { sshPorts: [], resolvers: ['192.0.2.53', '2001:db8::53'] }));
  t.deepEqual(rows.slice(-2), [
    '6 out 17 53 192.0.2.53/32,2001:db8::53/128',
    '7 out 6 53 192.0.2.53/32,2001:db8::53/128',
  ]);
});

test('failsafeRows – a written list replaces the automatic one; no cidrs means any peer', (t) => {
  const entry = { direction: 'in', protocol: 6, port: 8006, endPort: 8008, cidrs: [], device: '' } as const;
  t.deepEqual(brief(failsafeRows({ entries: [entry], sshFrom: undefined }, none)), [
    '1 in 6 8006 0.0.0.0/0,::/0',
  ]);
  t.is(sshWarning({ entries: [entry], sshFrom: undefined }), undefined);
});
