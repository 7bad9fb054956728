import test from 'ava';
import { nameOf, sha256 } from '../../../src/policy/digest.ts';

test('digest – is that of FIPS 180-4', (t) => {
  t.is(sha256('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('digest – a short text is its own name, a long one has a short name', (t) => {
  t.is(nameOf('abc', 3), 'abc');
  t.regex(nameOf('abcd', 3), /^#[0-9a-f]{32}$/);
});
