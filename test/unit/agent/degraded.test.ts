import test from 'ava';
import { MerlonError } from '#kit/errors';
import type { Logger } from 'pino';
import { Degraded } from '../../../src/agent/degraded.ts';

function bed() {
  const logged: string[] = [];
  const log = (_: unknown, sentence: string) => void logged.push(sentence);
  return { logged, degraded: new Degraded({ warn: log, info: log } as unknown as Logger) };
}

test('Degraded – a topic says one thing at a time, until it is over', (t) => {
  const { degraded, logged } = bed();
  degraded.problem('DATAPATH', 'the kernel was repaired: a cell', undefined, 'contents');
  degraded.problem('DATAPATH', 'the thread has died', new Error('of age'), 'thread');
  degraded.problem('DATAPATH', 'the kernel was repaired: a row', undefined, 'contents');
  t.deepEqual(degraded.list(), [
    { code: 'DATAPATH', message: 'the thread has died: of age' },
    { code: 'DATAPATH', message: 'the kernel was repaired: a row' },
  ]);
  degraded.over('contents');
  degraded.over('contents');
  t.deepEqual(degraded.list(), [{ code: 'DATAPATH', message: 'the thread has died: of age' }]);
  t.deepEqual(logged, ['degraded', 'degraded', 'degraded', 'degraded no longer']);
});

test('Degraded – the code is the topic unless one is named; what has none stands for itself', (t) => {
  const { degraded } = bed();
  degraded.addError('STATE_WRITE', new MerlonError('FAILED', 'no room'));
  degraded.addError('STATE_WRITE', new Error('no room at all'));
  degraded.add(new MerlonError('STATE_CORRUPT', 'one', { at: { file: 'a.json', line: 3 } }));
  degraded.add(new MerlonError('STATE_CORRUPT', 'another'));
  degraded.over('STATE_WRITE');
  t.deepEqual(degraded.list(), [
    { code: 'STATE_CORRUPT', message: 'one', file: 'a.json', line: 3 },
    { code: 'STATE_CORRUPT', message: 'another' },
  ]);
});

test('Degraded – what is said again is logged once, and of very much the latest is kept', (t) => {
  const { degraded, logged } = bed();
  for (let n = 0; n < 3; n++) degraded.problem('DATAPATH', 'the same', undefined);
  t.deepEqual(logged, ['degraded']);
  for (let n = 0; n < 100; n++) degraded.problem('X', `number ${n}`, undefined, `topic ${n}`);
  t.is(degraded.list().length, 64);
  t.is(degraded.list().at(-1)?.message, 'number 99');
});

test('Degraded – an entry is one line, whatever a parser quotes', (t) => {
  const { degraded } = bed();
  degraded.problem('STATE_CORRUPT', 'a file is unreadable', new Error('"garbage\n  " is not JSON'));
  t.deepEqual(degraded.list(), [
    { code: 'STATE_CORRUPT', message: 'a file is unreadable: "garbage " is not JSON' },
  ]);
});
