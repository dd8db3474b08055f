/** Alarms as people read them, and one rule inside the text of a blueprint. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reasonText, lanesOf, levels, lookedText, mark, readingsOf, sentence, standing, who, type Alarm, type Looked } from '../src/lib/alarms.ts';
import { findRule, withKeys } from '../src/lib/rule.ts';

const minute = 60_000;
const iso = (minutes: number) => new Date(minutes * minute).toISOString();
const alarm = (id: string, raised: number, more: Partial<Alarm> = {}): Alarm => ({
  id, device: { id: `dev_${id}`, name: `box-${id}` }, venture: 'coolbox', rule: 'too_warm', title: 'Too warm', origin: 'real', severity: 'critical', worst: 'critical',
  state: 'raised', role: 'operator', raised: iso(raised), raised_log: iso(raised), cleared: null, acknowledged: null, verdict: null, shelved: null, escalated: null, why: '', ...more,
});
const looked = (name: string, value: number | null, text: string | null = null): Looked => ({ name, value, text, time: null });
const signed = (at: number) => ({ by: 'anna', note: null, at: iso(at) });

test('an open alarm is told by who has it, a cleared one by its verdict', () => {
  const now = 60 * minute;
  assert.equal(standing(alarm('1', 1), now), 'raised');
  assert.equal(standing(alarm('1', 1, { escalated: iso(20) }), now), 'escalated');
  assert.equal(standing(alarm('1', 1, { escalated: iso(20), acknowledged: signed(30) }), now), 'acknowledged');
  assert.equal(standing(alarm('1', 1, { shelved: iso(90) }), now), 'shelved');
  assert.equal(standing(alarm('1', 1, { shelved: iso(50) }), now), 'raised');
  assert.equal(standing(alarm('1', 1, { cleared: iso(50) }), now), 'cleared, not judged');
  assert.equal(standing(alarm('1', 1, { cleared: iso(50), verdict: { ...signed(51), verdict: 'false' } }), now), 'false alarm');
  assert.deepEqual([mark(alarm('1', 1)), mark(alarm('1', 1, { cleared: iso(2) })), mark(alarm('1', 1, { severity: 'info' }))], ['crit', 'ok', 'info']);
});

test('the sentence says how many are open, how bad, and whether anybody has them', () => {
  assert.equal(sentence([], 0), 'No alarm is open.');
  assert.equal(sentence([alarm('1', 1)], 0), 'One critical alarm is open. Nobody has it yet.');
  assert.equal(sentence([alarm('1', 1), alarm('2', 1, { acknowledged: signed(2), severity: 'warning' })], 0), '2 alarms are open, 1 of them critical. Nobody has 1 of them yet.');
  assert.equal(sentence([alarm('2', 1, { acknowledged: signed(2), severity: 'warning' })], 0), 'One alarm is open. Somebody has it.');
});

test('a lane is a device, bars stay inside the window, and what hangs on another stands below it', () => {
  const items = [alarm('box', 50), alarm('base', 40, { acknowledged: signed(55) }), alarm('old', 1, { cleared: iso(10) }), alarm('long', 5)];
  const lanes = lanesOf(items, { from: 20 * minute, to: 60 * minute }, { dev_box: ['dev_base'], dev_base: [], dev_long: ['dev_elsewhere'] });
  assert.deepEqual(lanes.map((lane) => [lane.device.name, lane.behind]), [['box-base', null], ['box-box', 'dev_base'], ['box-long', null]]);
  assert.deepEqual([lanes[0]!.bars[0]!.from, lanes[0]!.bars[0]!.to, lanes[0]!.bars[0]!.taken], [0.5, 1, 0.875]);
  assert.deepEqual([lanes[2]!.bars[0]!.from, lanes[2]!.bars[0]!.before], [0, true]);
});

test('two devices that hang on each other are both shown, once', () => {
  const lanes = lanesOf([alarm('a', 5), alarm('b', 6)], { from: 0, to: 60 * minute }, { dev_a: ['dev_b'], dev_b: ['dev_a'] });
  assert.deepEqual(lanes.map((lane) => lane.device.name).sort(), ['box-a', 'box-b']);
});

test('the bars of a condition are its comparisons of readings with numbers', () => {
  assert.deepEqual(levels('temperature > 8 °C'), [{ property: 'temperature', sign: '>', value: 8, unit: '°C' }]);
  assert.deepEqual(levels('avg(temperature, 10 min) >= -18.5 °C and not lid_open').map((one) => [one.property, one.sign, one.value]), [['temperature', '>=', -18.5]]);
  assert.deepEqual(levels('humidity < 20 % or humidity > 80 %').map((one) => one.value), [20, 80]);
  assert.deepEqual(levels('rpm > 3 and torque < 4').map((one) => one.unit), ['', '']);
  for (const none of ['silent(30 min)', 'base.signal < -90 dBm', '', 'state == "run"']) assert.deepEqual(levels(none), []);
});

test('the readings of a trace are those the device has', () => {
  const inputs = [looked('avg(temperature, 10 min)', 9), looked('temperature', 9), looked('silent(30 min)', 1), looked('base.signal', -70)];
  assert.deepEqual(readingsOf(inputs, ['temperature', 'battery']), ['temperature']);
});

test('what was looked at is a number, a text, a yes, or missing', () => {
  assert.deepEqual([looked('t', 9.30001), looked('t', -3), looked('t', null), looked('t', null, 'run'), looked('silent(1 h)', 1), looked('silent(1 h)', 0)].map(lookedText), ['9.3', '−3', 'missing', 'run', 'yes', 'no']);
  const units = { t: 'Cel', n: '1' };
  assert.deepEqual([looked('t', 9), looked('avg(t, 10 min)', 9), looked('delta(t, 1 h)', 2), looked('rate(t, 1 h)', 2), looked('n', 2), looked('base.t', 2)].map((one) => lookedText(one, units)), ['9 °C', '9 °C', '2 K', '2', '2', '2']);
  assert.equal(who('usr_01J0000000000000000000ANNA'), 'usr_…ANNA');
  assert.equal(who('this machine'), 'this machine');
});

const text = `[device.box.readings]
temperature = "°C"

[alarm.too_warm] # the promise
device   = "box"
when     = "temperature > 8 °C"   # as sold
for      = "10 min"
severity = "critical"
[alarm.too_warm_base]
when = "signal < -90 dBm"
`;

test('a rule is found by its whole name and read without its comments', () => {
  const rule = findRule(text, 'too_warm');
  assert.deepEqual(rule?.keys, { device: 'box', when: 'temperature > 8 °C', for: '10 min', severity: 'critical' });
  assert.equal(findRule(text, 'too'), null);
  assert.equal(findRule(text, 'too_warm_base')?.keys.when, 'signal < -90 dBm');
});

test('a change touches the lines of its keys alone', () => {
  const rule = findRule(text, 'too_warm')!;
  assert.equal(withKeys(text, rule, rule.keys), text);
  const other = withKeys(text, rule, { when: 'temperature > 9 °C', for: '', clear: 'temperature < 7 °C' });
  assert.deepEqual(other.split('\n').filter((line) => !text.split('\n').includes(line)), ['when     = "temperature > 9 °C"   # as sold', 'clear    = "temperature < 7 °C"']);
  assert.equal(findRule(other, 'too_warm')?.keys.for, undefined);
  const quoted = withKeys(text, rule, { when: 'state == "run"' });
  assert.equal(findRule(quoted, 'too_warm')?.keys.when, 'state == "run"');
});

test('a reason has its times in the reader’s zone, and not the id of its own alarm', () => {
  const now = Date.parse('2026-11-30T00:34:00Z');
  const words = reasonText('temperature > 8 °C for 5 s, since 2026-11-30T00:33:17.025Z: temperature = 15.4 at 2026-11-30T00:33:21.065Z', now);
  assert.match(words, /since \d\d:33:17: temperature = 15\.4 at \d\d:33:21$/);
  assert.equal(reasonText('raised as alm_01M8MXXR390000000000000000G', now), 'raised');
});
