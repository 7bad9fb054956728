import test from 'ava';
import { optionOf } from '../../../src/cli/option.ts';

const key = 'policy-audit-mode';
for (const word of ['Enabled', 'enable', 'TRUE', 'on', '1'])
  test(`optionOf – ${word} is on`, (t) =>
    t.deepEqual(optionOf(`PolicyAuditMode=${word}`), { key, isOn: true }));
for (const word of ['Disabled', 'disable', 'false', 'Off', '0'])
  test(`optionOf – ${word} is off`, (t) =>
    t.deepEqual(optionOf(`policyauditmode=${word}`), { key, isOn: false }));

test('optionOf – the key of the configuration means the same', (t) => {
  t.deepEqual(optionOf(`${key}=true`), { key, isOn: true });
});

const refused: readonly (readonly [text: string, message: RegExp])[] = [
  ['PolicyAuditMode', /Enabled or Disabled, not ""/],
  ['PolicyAuditMode=', /Enabled or Disabled, not ""/],
  ['PolicyAuditMode=2', /Enabled or Disabled, not "2"/],
  ['Debug=Enabled', /no option "Debug"/],
];
for (const [text, message] of refused)
  test(`optionOf – ${text} is refused`, (t) => t.throws(() => optionOf(text), { code: 'USAGE', message }));
