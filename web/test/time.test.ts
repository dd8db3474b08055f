import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as time from '../src/lib/time.ts';

test('an age is floored, so it never looks younger than it is', () => {
  assert.equal(time.span(34_999), '34 s');
  assert.equal(time.span(59 * time.minute + 59_000), '59 min');
  assert.equal(time.span(47 * time.hour), '1 d');
  assert.equal(time.age(null, 0), 'never');
  assert.equal(time.age('2026-11-25T05:44:41Z', Date.parse('2026-11-25T05:45:15Z')), '34 s ago');
  assert.equal(time.age(10_000, 1000), 'in 9 s');
});

test('a gap is told with its rest', () => {
  assert.equal(time.spanExact(6 * time.minute), '6 min');
  assert.equal(time.spanExact(90 * time.minute), '1 h 30 min');
  assert.equal(time.spanExact(0), '0 s');
});

test('a range is read from the address and written to it', () => {
  const read = (text: string) => time.readRange(new URLSearchParams(text), time.hour);
  assert.deepEqual(read('range=24h'), { kind: 'last', ms: time.day });
  const fixed = read('from=2026-11-25T00:00:00Z&to=2026-11-25T06:00:00Z');
  assert.equal(fixed.kind, 'fixed');
  const query = time.rangeQuery(fixed);
  assert.deepEqual(read(`from=${query.from}&to=${query.to}`), fixed);
  for (const preset of time.presets) {
    const text = time.rangeQuery({ kind: 'last', ms: preset.ms }).range;
    assert.deepEqual(read(`range=${text}`), { kind: 'last', ms: preset.ms });
  }
});

test('a range that is nonsense, too short or turned round is the default', () => {
  for (const text of ['range=0s', 'range=abc', 'range=-5m', 'range=99999d', 'from=x&to=y', 'from=2026-11-25T06:00:00Z&to=2026-11-25T00:00:00Z']) {
    assert.deepEqual(time.readRange(new URLSearchParams(text), 5000), { kind: 'last', ms: 5000 }, text);
  }
});

test('zooming keeps the middle of a fixed window and the end of a moving one', () => {
  assert.deepEqual(time.zoom({ kind: 'fixed', from: 0, to: 100_000 }, 0.5), { kind: 'fixed', from: 25_000, to: 75_000 });
  assert.deepEqual(time.zoom({ kind: 'last', ms: time.hour }, 2), { kind: 'last', ms: 2 * time.hour });
  assert.deepEqual(time.zoom({ kind: 'last', ms: time.range_ms_min }, 0.5), { kind: 'last', ms: time.range_ms_min });
});

test('a window moved back and forth reaches now again, and moves with it', () => {
  const now = 1_000_000_000;
  const back = time.shift({ kind: 'last', ms: 300_000 }, -0.5, now);
  assert.deepEqual(back, { kind: 'fixed', from: now - 450_000, to: now - 150_000 });
  assert.deepEqual(time.shift(back, 0.5, now + 4000), { kind: 'last', ms: 300_000 });
  assert.deepEqual(time.shift(back, -0.5, now), { kind: 'fixed', from: now - 600_000, to: now - 300_000 });
});

test('a comparison is read from the address, and any other text is none', () => {
  assert.equal(time.readCompare(new URLSearchParams('compare=7d')), '7d');
  assert.equal(time.readCompare(new URLSearchParams('compare=3y')), null);
  assert.equal(time.compareBy('before', { kind: 'fixed', from: 5, to: 105 }), 100);
  assert.equal(time.compareBy('1d', { kind: 'last', ms: 10 }), time.day);
});

test('a time that is days away is told with its day, before and after now', () => {
  const now = Date.parse('2026-11-29T12:00:00Z');
  for (const days of [-3, 7]) assert.match(time.dayTime(now + days * time.day, now), /[A-Z][a-z]{2}/, String(days));
  for (const hours of [-3, 3]) assert.doesNotMatch(time.dayTime(now + hours * time.hour, now), /[A-Za-z]/, String(hours));
});
