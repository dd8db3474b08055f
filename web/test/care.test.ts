/** What is held back, and the code that makes a phone a device. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endsIn, heldBack, type Quiet } from '../src/lib/care.ts';
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

test('each dark module is drawn once, at its place', () => {
  assert.equal(modulePath(['1101', '0000', '0001']), 'M0 0h2v1h-2zM3 0h1v1h-1zM3 2h1v1h-1z');
});
