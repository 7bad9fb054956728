/** The architecture test sees only what this reading of import lines sees: every shape the formatter leaves. */
import test from 'ava';
import { exportsOf, type Import, importsOf } from '../../architecture/graph.ts';

const value = (from: string, ...names: string[]): Import => ({
  from,
  kind: 'value',
  names,
  isReexport: false,
});

const imports: readonly [what: string, text: string, want: readonly Import[]][] = [
  ['names', "import { a, b } from '#kit/ip';", [value('#kit/ip', 'a', 'b')]],
  ['names on several lines', "import {\n  a,\n  type B,\n} from './x.ts';", [value('./x.ts', 'a', 'B')]],
  ['a renamed name counts as it is exported', "import { a as b } from './x.ts';", [value('./x.ts', 'a')]],
  ['a default', "import test from 'ava';", [value('ava', 'default')]],
  ['a default and names', "import ava, { type T } from 'ava';", [value('ava', 'default', 'T')]],
  ['everything', "import * as fs from 'node:fs';", [value('node:fs', '*')]],
  ['an effect', "import './x.ts';", [value('./x.ts')]],
  ['types', "import type { A } from './x.ts';", [{ ...value('./x.ts', 'A'), kind: 'type' }]],
  [
    'nothing but types in braces',
    "import { type A } from './x.ts';",
    [{ ...value('./x.ts', 'A'), kind: 'type' }],
  ],
  ['a late one', "const { a } = await import('./x.ts');", [{ ...value('./x.ts', '*'), kind: 'late' }]],
  ['exported again', "export { a } from './x.ts';", [{ ...value('./x.ts', 'a'), isReexport: true }]],
  ['all exported again', "export * from './x.ts';", [{ ...value('./x.ts', '*'), isReexport: true }]],
  [
    'types exported again',
    "export type * from './x.ts';",
    [{ ...value('./x.ts', '*'), kind: 'type', isReexport: true }],
  ],
  ['a comment is none', " * import { a } from './x.ts';", []],
];
for (const [what, text, want] of imports) {
  test(`importsOf – ${what}`, (t) => t.deepEqual(importsOf(text), want));
}

const exported: readonly [what: string, text: string, want: Readonly<Record<string, boolean>>][] = [
  [
    'values',
    'export const a = 1;\nexport function b() {}\nexport async function c() {}',
    { a: false, b: false, c: false },
  ],
  ['types', 'export interface A {}\nexport type B = A;', { A: true, B: true }],
  ['classes', 'export class A {}\nexport abstract class B {}', { A: false, B: false }],
  ['a list', 'export { a, b as c };', { a: false, c: false }],
  ['what is not exported', 'const a = 1;\nfunction b() {}', {}],
];
for (const [what, text, want] of exported) {
  test(`exportsOf – ${what}`, (t) => t.deepEqual(Object.fromEntries(exportsOf(text)), want));
}
