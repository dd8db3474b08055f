/** What is held back, and the code that makes a phone a device. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endsIn, heldBack, instant, later, whose, type PlannedWindow, type Quiet } from '../src/lib/care.ts';
import { modulePath } from '../src/lib/qr.ts';

const now = Date.parse('2026-11-29T12:00:00Z');
const at = (minutes: number) => new Date(now + minutes * 60_000).toISOString();

test('what is over is not told as holding, and what ends soonest comes first', () => {
  const items: Quiet[] = [
    { device: { id: 'a', name: 'box-1' }, maintenance: at(90), ignored: { temperature: at(-1), battery: at(30) } },
    { device: { id: 'b', name: 'box-2' }, maintenance: null, ignored: {} },
  ];
  assert.deepEqual(heldBack(items, now).map((one) => [one.device.name, one.reading]), [['box-1', 'battery'], ['box-1', null]]);
});

test('the end is told to the minute and never too early', () => {
  assert.equal(endsIn(at(119.2), now), 'in 2 h');
  assert.equal(endsIn(at(118.2), now), 'in 1 h 59 min');
  assert.equal(endsIn(at(0), now), 'over');
});

test('what has begun is not planned any more, and the first to begin comes first', () => {
  const window = (id: string, from: number) => ({ id, from: at(from), until: at(from + 60), by: 'usr_1', note: null });
  const planned = [window('c', 90), window('a', -1), window('b', 30)];
  assert.deepEqual(later(planned, now).map((one) => one.id), ['b', 'c']);
  assert.deepEqual(later(undefined, now), []);
});

test('a window says whose it is, and an empty field is no instant', () => {
  const names = ['box-1', 'box-2', 'box-3'].map((name) => ({ id: name, name }));
  const window: PlannedWindow = { id: 'a', from: at(1), until: at(2), by: 'usr_1', note: null, state: 'planned', devices: 1200, names };
  assert.equal(whose(window), 'box-1, box-2 and 1,198 more');
  assert.equal(whose({ ...window, devices: 1, names: names.slice(0, 1) }), 'box-1');
  assert.equal(instant(''), null);
  assert.equal(instant('2026-11-29T12:00'), new Date('2026-11-29T12:00').toISOString());
});

test('each dark module is drawn once, at its place', () => {
  assert.equal(modulePath(['1101', '0000', '0001']), 'M0 0h2v1h-2zM3 0h1v1h-1zM3 2h1v1h-1z');
});
