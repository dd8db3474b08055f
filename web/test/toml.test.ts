/** What a finding proposes, put into its line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grouped, personText, signs } from '../src/lib/format.ts';
import { parts, proposed, saidOf } from '../src/lib/toml.ts';

const line = 'temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }';

test('the value that a finding proposes replaces the one in its line, and nothing else', () => {
  const found = proposed('every = "15 min" costs 0.98 EUR, but alarm.too_warm could then take up to 25 min', line);
  assert.deepEqual(found, { words: 'every = "15 min"', line: 'temperature = { unit = "°C", min = -90, max = 80, every = "15 min" }' });
});

test('a help that proposes no value, or the one that is there, proposes nothing', () => {
  assert.equal(proposed('ask for 99.9 % in the gate, or promise 99.5 %', line), null);
  assert.equal(proposed('every = "1 min" is what it is', line), null);
  assert.equal(proposed('period = "1 min"', line), null);
  assert.equal(proposed(null, line), null);
});

test('the parts of a line joined are the line', () => {
  assert.equal(parts(line).map((one) => one.text).join(''), line);
});

test('long whole numbers of a sentence are grouped; fractions, times and ids are left', () => {
  assert.equal(grouped('198519 messages, 20405712 B in 198519 sessions'), '198,519 messages, 20,405,712 B in 198,519 sessions');
  assert.equal(grouped('2026-11-30, 34.3220046 EUR, 10000, gat_01MBN66'), '2026-11-30, 34.3220046 EUR, 10,000, gat_01MBN66');
});

test('a comparison is printed with one sign', () => {
  assert.deepEqual(['>= 30 %', '<= 0.5/device/month', '< 10 %'].map(signs), ['≥ 30 %', '≤ 0.5/device/month', '< 10 %']);
});

test('a session of this machine has no name of its own', () => {
  assert.deepEqual(['loopback', 'anna'].map(personText), ['this machine', 'anna']);
});

test('what becomes of an entry is said beside its path once', () => {
  const path = 'device.box.readings.temperature.every';
  assert.equal(saidOf({ path, words: `${path}: 1 min becomes 15 min` }), '1 min becomes 15 min');
  assert.equal(saidOf({ path, words: `${path} is new: 15 min` }), 'is new: 15 min');
  assert.equal(saidOf({ path, words: 'another sentence' }), 'another sentence');
});
