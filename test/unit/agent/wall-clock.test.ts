/** The same moment is told alike each time, unless somebody sets the clock. */
import test from 'ava';
import { WallClock } from '../../../src/agent/view/wall-clock.ts';

const START_MS = Date.UTC(2026, 10, 21, 12);

/** Two clocks that stand until they are told to move; the wall clock may be set beside that. */
function clocks() {
  const state = { ns: 1_000_000_000n, setMs: START_MS };
  return {
    state,
    clock: new WallClock({
      wallMs: () => state.setMs + Number((state.ns - 1_000_000_000n) / 1_000_000n),
      monotonicNs: () => state.ns,
    }),
  };
}

test('wall clock – readings that fall anywhere within a millisecond tell the same time', (t) => {
  const { state, clock } = clocks();
  const first = clock.timeOf(1);
  t.is(first, '2026-11-21T12:00:00.000Z');
  for (let i = 0; i < 100; i++) {
    state.ns += 7_777_777n;
    t.is(clock.timeOf(1), first);
  }
  t.is(clock.timeOf(61), '2026-11-21T12:01:00.000Z');
});

test('wall clock – set to another time, it tells every moment by that', (t) => {
  const { state, clock } = clocks();
  t.is(clock.timeOf(1), '2026-11-21T12:00:00.000Z');
  state.setMs += 3_600_000;
  t.is(clock.timeOf(1), '2026-11-21T13:00:00.000Z');
  state.setMs -= 7_200_000;
  t.is(clock.timeOf(1), '2026-11-21T11:00:00.000Z');
});

test('wall clock – one that drifts slowly is followed', (t) => {
  const { state, clock } = clocks();
  const first = clock.offsetNs;
  for (let i = 0; i < 20; i++) {
    state.setMs += 1;
    t.true(clock.offsetNs - first <= BigInt(i + 1) * 1_000_000n);
  }
  t.true(clock.offsetNs - first >= 15_000_000n);
});
