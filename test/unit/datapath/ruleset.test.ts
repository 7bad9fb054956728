import test from 'ava';
import * as wire from '#wire/bpf';
import * as layout from '../../../src/datapath/layout.ts';
import { policyMemory } from '../../../src/datapath/memory.ts';
import { cellWords } from '../../../src/datapath/cells.ts';
import {
  encodeSlot,
  placeSlot,
  slotImage,
  slotMatches,
  slotWords,
  viewSlot,
  type DirTable,
} from '../../../src/datapath/ruleset.ts';
import { lookup, plainBuffers } from './policy-model.ts';

const shape = {
  generation: 7,
  classCapacity: 8,
  portCapacity: 4,
  classPosition: [0, 1, 0],
  portPosition: [0, 1],
};
const table = (n: number): DirTable => ({
  flags: layout.RSDIR_ENFORCED,
  rows: [0, 1],
  columns: [0, 1],
  columnCount: 2,
  rowCount: 2,
  cells: Uint32Array.from([1, 10, 2, 20, 3, 30, 4, 40].map((v) => v + n)),
});
const dirs = [table(0), table(100)] as const;

test('slot – a lookup as the datapath does it finds the cell of class and port class', (t) => {
  const mem = policyMemory(plainBuffers());
  const span = { offset: 512, words: slotWords(shape, dirs) };
  placeSlot(mem, 3, 2, encodeSlot(shape, [...dirs]), span);
  t.is(lookup(mem, 3, 2, 0, 0, 0), '1/10');
  t.is(lookup(mem, 3, 2, 0, 1, 1), '4/40');
  t.is(lookup(mem, 3, 2, 1, 1, 0), '103/130');
  t.is(lookup(mem, 3, 2, 1, 2, 1), '102/120', 'class 2 has the position of class 0');
  t.is(lookup(mem, 3, 2, 0, 5, 3), '1/10', 'a number without position is the unknown class');
  t.is(lookup(mem, 3, 2, 0, 500, 500), '1/10', 'as is one beyond the tables');
});

test('slot – an image read back from anywhere is the same file', (t) => {
  const mem = policyMemory(plainBuffers());
  const image = encodeSlot(shape, [...dirs]);
  for (const offset of [0, 64, 1024]) {
    const span = { offset, words: slotWords(shape, dirs) };
    placeSlot(mem, 1, 1, image, span);
    t.true(slotMatches(mem, 1, 1, image, span));
    const view = viewSlot(mem, 1, 1);
    t.deepEqual(slotImage(mem, view as NonNullable<typeof view>), image);
    mem.arena.u32[offset * 2 + 8] = 0xdead;
    t.false(slotMatches(mem, 1, 1, image, span));
  }
});

test('slot – a header that leads outside the arena is no slot', (t) => {
  const mem = policyMemory(plainBuffers());
  placeSlot(mem, 1, 0, encodeSlot(shape, [...dirs]), { offset: 0, words: 32 });
  mem.rulesets.u32[(1 * layout.RULESET_WORDS + layout.SLOT_FIRST_WORD) * 2 + 4] = 0x7fffffff;
  t.is(viewSlot(mem, 1, 0), undefined);
  t.is(viewSlot(mem, 1, 1), undefined, 'nor is an empty one');
});

test('slot – header, cells and control word have the layout of the generated codecs', (t) => {
  const buffers = plainBuffers();
  const mem = policyMemory(buffers);
  placeSlot(mem, 1, 3, encodeSlot(shape, [...dirs]), { offset: 40, words: 64 });
  const set = wire.readRuleset(new DataView(buffers.rulesets), wire.RULESET_SIZE);
  const slot = set.slot[3];
  t.is(slot?.generation, 7);
  t.is(slot?.n_classes, 8);
  t.is(slot?.n_port_classes, 4);
  t.is(slot?.dir[0]?.rows, 40);
  t.is(slot?.dir[1]?.n_columns, 2);
  t.is(slot?.dir[1]?.flags, layout.RSDIR_ENFORCED);
  const cell = new DataView(new ArrayBuffer(8));
  cellWords({ verdict: 'deny', origin: [], match: 'L3-L4', log: true }, 77).forEach((word, i) =>
    cell.setUint32(4 * i, word, true),
  );
  const { origin, verdict, flags, rs_port } = wire.readPolicyCell(cell);
  t.deepEqual(
    [origin, verdict, flags, rs_port],
    [77, wire.VERDICT.DENY, wire.POLICY_MATCH.L3_L4 | wire.CELL_LOG, 0],
  );
  const control = { active: 2, fallback: 1, state: 1, mode: 3, txn: 0xfffffffe };
  const word = layout.wordFromControl(control);
  t.deepEqual(layout.controlFromWord(word), control);
  t.is(Number((word >> BigInt(wire.CONTROL_MODE_SHIFT)) & 0xffn), 3);
  t.is(Number(word >> BigInt(wire.CONTROL_TXN_SHIFT)), 0xfffffffe);
});

test('layout – numbers agree with bpf/types.h', (t) => {
  t.is(layout.RULESET_WORDS * 8, wire.RULESET_SIZE);
  t.is(layout.SLOT_WORDS * 8, wire.RULESET_SLOT_SIZE);
  t.is(layout.SLOT_FIRST_WORD * 8, wire.RULESET.slot);
  t.is(layout.HOST_SLOTS, wire.HOST_SLOTS);
  t.is(layout.IDENTITY_PAGE_BITS, wire.IDENTITY_PAGE_BITS);
  t.is(layout.IDENTITY_PAGES_TOP, wire.IDENTITY_PAGES_TOP);
  t.is(layout.PORT_CLASS_ENTRIES, wire.PORT_CLASS_ENTRIES);
  t.is(layout.RSDIR_ENFORCED, wire.RSDIR_ENFORCED);
  t.is(layout.RSDIR_AUDIT, wire.RSDIR_AUDIT);
  t.is(layout.RSDIR_BLOCKS, wire.RSDIR_BLOCKS);
  t.is(layout.BLOCK_COLUMNS, wire.BLOCK_COLUMNS);
  t.is(layout.RSDIR_STAGED, wire.RSDIR_STAGED);
  t.is(layout.CELL_LOG, wire.CELL_LOG);
  const { allow, deny, redirect, auth } = layout.VERDICT;
  t.deepEqual(
    [allow, deny, layout.VERDICT['default-deny'], redirect, auth],
    [
      wire.VERDICT.ALLOW,
      wire.VERDICT.DENY,
      wire.VERDICT.DEFAULT_DENY,
      wire.VERDICT.REDIRECT,
      wire.VERDICT.AUTH,
    ],
  );
  t.is(layout.MATCH['proto-only'], wire.POLICY_MATCH.PROTO_ONLY);
  t.is(layout.MATCH['L3-L4'], wire.POLICY_MATCH.L3_L4);
  t.deepEqual(Object.values(layout.CONTROL_STATE), Object.values(wire.CONTROL_STATE));
  t.deepEqual(Object.values(layout.CONTROL_MODE), Object.values(wire.CONTROL_MODE));
});
