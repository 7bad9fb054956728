/** Who is missing gets time to come: neither a condition nor a warning before that. */
import test from 'ava';
import { fakeClock } from '#kit/clock';
import type { Finding, FindingCode } from '#model';
import { Grace, GRACE_MS } from '../../../src/agent/grace.ts';
import { isDoubtful, statusOfFindings } from '../../../src/agent/view/findings.ts';

const finding = (code: FindingCode, policy = 'one', hint = ''): Finding => ({
  code,
  policy,
  message: 'the subject selector selects no endpoint',
  at: { file: 'a.yaml', line: 2 },
  ...(hint === '' ? {} : { hint }),
});
const missing = finding('selects-nothing');

test('grace – a subject or peer that nobody is becomes a condition and a warning only after its time', async (t) => {
  const clock = fakeClock(5000);
  const grace = new Grace(clock);
  const all = [missing, finding('peers-select-nothing')];
  grace.see(all, clock.nowMs());
  await clock.advance(GRACE_MS - 1);
  const young = statusOfFindings(all, grace);
  t.deepEqual(young.conditions, []);
  t.deepEqual(
    young.findings.map(({ code, settling }) => [code, settling]),
    [
      ['selects-nothing', true],
      ['peers-select-nothing', true],
    ],
  );
  t.false(young.findings.some(isDoubtful));
  await clock.advance(1);
  const old = statusOfFindings(all, grace);
  t.deepEqual(
    old.conditions.map(({ type, status, reason }) => ({ type, status, reason })),
    [
      { type: 'merlon.io/NoSubjectsSelected', status: 'True', reason: 'selects-nothing' },
      { type: 'merlon.io/NoPeersSelected', status: 'True', reason: 'peers-select-nothing' },
    ],
  );
  t.true(old.findings.every(isDoubtful));
});

test('grace – what cannot pass by itself is told at once', (t) => {
  const grace = new Grace(fakeClock());
  const all = [finding('conflict'), finding('foreign-namespace')];
  grace.see(all, 0);
  t.deepEqual(
    statusOfFindings(all, grace).conditions.map(({ type }) => type),
    ['merlon.io/Conflict', 'merlon.io/NoSubjectsSelected'],
  );
});

test('grace – counts from when the state was reached, not from when somebody looked', async (t) => {
  const clock = fakeClock();
  const grace = new Grace(clock);
  await clock.advance(GRACE_MS);
  grace.see([missing], 0);
  t.false(grace.isOpen(missing));
});

test('grace – goes on through other changes, and begins anew after a break', async (t) => {
  const clock = fakeClock();
  const grace = new Grace(clock);
  grace.see([missing], 0);
  await clock.advance(GRACE_MS / 2);
  grace.see([finding('selects-nothing', 'one', 'did you mean app=web?'), finding('staged')], clock.nowMs());
  await clock.advance(GRACE_MS / 2);
  t.false(grace.isOpen(missing), 'the same is missing all the time');
  grace.see([], clock.nowMs());
  grace.see([missing], clock.nowMs());
  t.true(grace.isOpen(missing), 'somebody was there meanwhile');
  grace.see([missing, finding('selects-nothing', 'two')], clock.nowMs() + 1);
  await clock.advance(GRACE_MS);
  t.deepEqual(
    [missing, finding('selects-nothing', 'two')].map((one) => grace.isOpen(one)),
    [false, true],
    'each policy has its own',
  );
});
