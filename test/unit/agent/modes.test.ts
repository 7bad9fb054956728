import test from 'ava';
import fc from 'fast-check';
import type { HostMode } from '#datapath';
import type { Direction } from '#model';
import { type NodeConfig, nodeConfigOf } from '#model/config';
import {
  hostMode,
  HOST_MODES,
  isAuditEverywhere,
  type Modes,
  NO_MODES,
  withMode,
  withPolicyAudit,
} from '../../../src/agent/modes.ts';

const config = (text = ''): NodeConfig =>
  nodeConfigOf([{ file: 'm.yaml', text: `apiVersion: merlon.io/v1\nkind: NodeConfig\n${text}` }]);

const files = {
  nothing: config(),
  audit: config('hostfw: {mode: audit}'),
  off: config('hostfw: {mode: off}'),
  everything: config('policy-audit-mode: true'),
};

type Word = readonly [mode: HostMode, direction?: Direction] | boolean;
const after = (of: NodeConfig, words: readonly Word[]): Modes =>
  words.reduce<Modes>(
    (modes, word) =>
      typeof word === 'boolean' ? withPolicyAudit(of, modes, word) : withMode(of, modes, ...word),
    NO_MODES,
  );

const cases: readonly (readonly [
  what: string,
  files: NodeConfig,
  words: readonly Word[],
  mode: HostMode,
  audited: readonly Direction[],
])[] = [
  ['nothing said', files.nothing, [], 'enforce', []],
  ['a file alone', files.audit, [], 'audit', []],
  ['a file that speaks of everything', files.everything, [], 'audit', []],
  ['a verb above the file', files.audit, [['enforce']], 'enforce', []],
  ['a verb above a file that speaks of everything', files.everything, [['enforce']], 'enforce', []],
  ['one direction', files.nothing, [['audit', 'ingress']], 'enforce', ['ingress']],
  [
    'one, then the other',
    files.nothing,
    [
      ['audit', 'ingress'],
      ['audit', 'egress'],
    ],
    'enforce',
    ['egress', 'ingress'],
  ],
  ['one of two enforced', files.audit, [['enforce', 'ingress']], 'enforce', ['egress']],
  ['without a direction it is of both', files.nothing, [['audit', 'ingress'], ['enforce']], 'enforce', []],
  ['everything, after a part', files.nothing, [['audit', 'ingress'], true], 'audit', []],
  ['everything ends, parts with it', files.nothing, [['audit'], false], 'enforce', []],
  ['a part, after everything', files.nothing, [true, ['enforce', 'egress']], 'enforce', ['ingress']],
  ['everything does not wake what is off', files.nothing, [['off'], true], 'off', []],
];
for (const [what, of, words, mode, audited] of cases) {
  test(`modes – ${what}`, (t) => {
    const modes = after(of, words);
    t.is(hostMode(of, modes), mode);
    t.deepEqual(modes.audited, audited);
  });
}

test('modes – a word that repeats the file is taken back, so that the file counts again', (t) => {
  t.deepEqual(after(files.nothing, [['audit'], ['enforce']]), NO_MODES);
  t.deepEqual(after(files.audit, [['enforce'], ['audit']]), NO_MODES);
  t.deepEqual(after(files.everything, [false, true]), NO_MODES);
  t.true(isAuditEverywhere(files.everything, NO_MODES));
});

test('modes – a direction has no failsafe and no off', (t) => {
  for (const mode of ['failsafe', 'off'] as const) {
    t.throws(() => after(files.nothing, [[mode, 'ingress']]), { code: 'USAGE', message: /the whole node's/ });
    t.throws(() => after(files.nothing, [[mode], ['audit', 'ingress']]), {
      code: 'USAGE',
      message: /the mode is/,
    });
  }
});

test('modes – the last word holds, whatever was said before', (t) => {
  const mode = fc.constantFrom(...HOST_MODES);
  const word = fc.oneof(
    fc.boolean(),
    mode.map((m) => [m] as const),
    fc.tuple(fc.constantFrom('enforce', 'audit'), fc.constantFrom('ingress', 'egress')),
  ) as fc.Arbitrary<Word>;
  const said = (of: NodeConfig, words: readonly Word[]): Modes =>
    words.reduce<Modes>((modes, w) => {
      try {
        return typeof w === 'boolean' ? withPolicyAudit(of, modes, w) : withMode(of, modes, ...w);
      } catch {
        return modes;
      }
    }, NO_MODES);
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(files)), fc.array(word), mode, (of, words, last) => {
      const modes = withMode(of, said(of, words), last);
      return hostMode(of, modes) === last && modes.audited.length === 0;
    }),
  );
  t.pass();
});
