import test from 'ava';
import { MAPS } from '#wire/bpf';
import { FLOW_RECORD_BYTES, mapSizes } from '../../../src/datapath/sizes.ts';

const GIB = 2 ** 30;
const of = (gib: number, over = {}) => mapSizes({ memoryBytes: gib * GIB, cpus: 2, rings: 1, ...over });

test('mapSizes – flow tables take a quarter of a percent of memory, TCP two thirds of it', (t) => {
  const s = of(256);
  const records = s.flow_tcp4 + s.flow_tcp6 + s.flow_any4 + s.flow_any6;
  t.true(Math.abs((records * FLOW_RECORD_BYTES) / (256 * GIB) - 0.0025) < 1e-5);
  t.true(Math.abs(s.flow_tcp4 / s.flow_any4 - 2) < 0.001);
  t.is(s.flow_tcp4, s.flow_tcp6);
});

test('mapSizes – small and huge machines stay within bounds, what is set counts exactly', (t) => {
  t.is(of(1).flow_tcp4, 65536);
  t.is(of(1_000_000).flow_tcp4, 16 * 1024 * 1024);
  t.is(of(64, { maxTcp: 5000 }).flow_tcp6, 5000);
  t.is(of(64, { maxTcp: 5000 }).overflow4, 5000, 'side tables are never larger than the main one');
  t.is(of(64, { maxOther: 1 }).flow_any4, 4096);
});

test('mapSizes – an unproven table has sets of eight places', (t) => {
  t.is(of(256).unproven4, 65536 / 8);
  t.is(of(64, { maxTcp: 5000 }).unproven6, 625);
});

test('mapSizes – every map has a size, overrides win', (t) => {
  const s = of(8, { overrides: { rulesets: 7 } });
  t.deepEqual(Object.keys(s).sort(), Object.keys(MAPS).sort());
  t.true(Object.values(s).every((n) => n > 0));
  t.is(s.rulesets, 7);
});
