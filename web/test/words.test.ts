import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Message, Refusal } from '../src/api.ts';
import { fixes, fromMessage, fromRefusal, headline, merge, type Heard } from '../src/lib/ear.ts';
import { rank, score } from '../src/lib/find.ts';
import {
  briefText,
  decimalsFor,
  digitsOf,
  firstReadings,
  fixedText,
  markText,
  numberText,
  settingText,
  shortTopic,
  split,
  timeSource,
  unitText,
  valueText,
} from '../src/lib/format.ts';
import { href, parse, type Route } from '../src/lib/router.ts';
import { diff, readValue } from '../src/lib/settings.ts';
import { mask, withToken } from '../src/lib/snippets.ts';
import { parts } from '../src/lib/toml.ts';
import { windowOf } from '../src/lib/virtual.ts';

const device = { id: 'dev_1', name: 'box-1' };
const message = (offset: number, outcome: Message['outcome'] = 'ok'): Message => ({
  at: new Date(offset * 1000).toISOString(), offset, direction: 'up', topic: 'me/telemetry', bytes: 2, text: '{}', outcome, reason: outcome === 'ok' ? null : 'why',
});
const refusal = (seconds: number, claimed: string, id: string | null): Refusal => ({
  at: new Date(seconds * 1000).toISOString(), claimed, device: id, peer: '10.0.0.7:1', reason: 'wrong token', detail: '', fix: 'rotate',
});

test('a number has its unit, its sign and no more digits than it needs', () => {
  assert.equal(valueText(3.9, 'Cel'), '3.9 °C');
  assert.equal(valueText(-7.25, 'Cel'), '−7.25 °C');
  assert.equal(valueText(1234.5678, null), '1,235');
  assert.equal(valueText(true), 'yes');
  assert.equal(valueText(null), 'no value');
  assert.equal(valueText('15 min', 's'), '15 min');
  assert.equal(valueText({ lat: 51.4, lon: 11.97 }), '51.4000, 11.9700');
  assert.deepEqual([decimalsFor(0.01234), numberText(0.01234), numberText(Infinity)], [3, '0.012', 'not a number']);
  assert.equal(unitText('1'), '');
});

test('a setting that is as wanted is one line, a pending one is two', () => {
  const at = '';
  const lines = diff({
    reported: { interval: { value: '10 s', at }, unit: { value: '°C', at } },
    desired: { interval: { value: '1 min', at }, unit: { value: '°C', at }, fresh: { value: 1, at } },
    pending: ['interval', 'fresh'],
  });
  assert.deepEqual(lines.map((line) => `${line.kind} ${line.name} ${line.value?.value ?? 'nothing'}`), [
    'reported fresh nothing',
    'desired fresh 1',
    'reported interval 10 s',
    'desired interval 1 min',
    'same unit °C',
  ]);
});

test('what a person types is a number, a yes or no, nothing, or text', () => {
  assert.deepEqual(['4.5', '-3', 'yes', 'false', '', 'null', '15 min'].map(readValue), [4.5, -3, true, false, null, null, '15 min']);
});

test('a token is masked on the page and whole in the copy', () => {
  const code = '-P {TOKEN} -t me/telemetry';
  assert.equal(mask(code, 'tok_secretk4Qe'), '-P ••••••••k4Qe -t me/telemetry');
  assert.equal(withToken(code, 'tok_secretk4Qe'), '-P tok_secretk4Qe -t me/telemetry');
  assert.equal(withToken(code, null), '-P TOKEN -t me/telemetry');
});

test('every address is read back as the page it was made for', () => {
  const routes: Route[] = [
    { page: 'home' }, { page: 'ventures' }, { page: 'fleet' }, { page: 'alarms' }, { page: 'connect' },
    { page: 'venture', venture: 'cool/box ü' }, { page: 'device', id: 'Box 7 %' },
  ];
  for (const route of routes) assert.deepEqual(parse(href(route)), route);
  assert.equal(parse('/devices/%zz').page, 'missing');
  assert.equal(parse('/devices/a/b').page, 'missing');
});

test('the ear puts the newest of this device first and leaves strangers below', () => {
  const heard = merge(
    [fromRefusal(refusal(30, 'somebody', null), device), fromRefusal(refusal(20, 'dev_1', 'dev_1'), device)],
    [fromMessage(message(10))!],
  );
  assert.deepEqual(heard.map((one) => one.kind), ['refused', 'refused', 'received']);
  assert.equal((headline(heard) as Extract<Heard, { kind: 'refused' }>).refusal.claimed, 'dev_1');
  assert.equal(headline([heard[0]!]), null);
  assert.equal(merge(heard, heard).length, 3);
  assert.deepEqual(fixes(refusal(1, '', null)), ['rotate']);
});

test('the ear leaves out what goes down, and hears a refused message as a refusal only', () => {
  assert.equal(fromMessage({ ...message(1), direction: 'down' }), null);
  assert.equal(fromMessage(message(1, 'refused')), null);
  assert.equal(fromMessage(message(1, 'quarantined'))?.kind, 'quarantined');
});

test('the palette finds by start, word and letters in order', () => {
  const items = ['Fleet', 'Connect a device', 'box-0007', 'Theme: dark'].map((words) => ({ words }));
  assert.equal(rank(items, 'dark')[0]?.words, 'Theme: dark');
  assert.equal(rank(items, '0007')[0]?.words, 'box-0007');
  assert.equal(rank(items, 'cad')[0]?.words, 'Connect a device');
  assert.deepEqual(rank(items, ''), items);
  assert.equal(score('fleet', 'xyz'), 0);
});

test('a coloured line is the same text', () => {
  for (const line of ['temperature = { unit = "°C", min = -90 } # cold', '[device.box.readings]', 'x = "open', '', '# only']) {
    assert.equal(parts(line).map((part) => part.text).join(''), line);
  }
  assert.equal(parts('a = "x" # y').at(-1)?.kind, 'comment');
});

test('drawn rows and spacers are as high as ten thousand rows', () => {
  for (const scrolled_px of [-500, 0, 35, 36 * 5000, 36 * 9990, 10 ** 7]) {
    const found = windowOf({ scrolled_px, viewport_px: 900, row_px: 36, total: 10_000, spare: 8 });
    assert.equal(found.above_px + found.below_px + (found.last - found.first) * 36, 360_000);
    assert.ok(found.last - found.first < 60);
  }
});

test('a figure is its number and its unit, and a text without a unit stays whole', () => {
  assert.deepEqual(split('3.9 °C'), ['3.9', '°C']);
  assert.deepEqual(split('−7.2 °C'), ['−7.2', '°C']);
  assert.deepEqual(split('13 of 17'), ['13', 'of 17']);
  for (const whole of ['1,284', 'no', '51.4800, 11.9700', '']) assert.deepEqual(split(whole), [whole, '']);
});

test('a place is read from both of its forms', () => {
  assert.equal(valueText([51.48, 11.97]), '51.4800, 11.9700');
  assert.equal(valueText({ lat: 51.48, lon: 11.97 }), '51.4800, 11.9700');
  assert.equal(valueText([1]), '[1]');
});

test('a setting in seconds is read in the largest unit that loses nothing', () => {
  assert.equal(settingText(900, 's'), '15 min');
  assert.equal(settingText(7200, 's'), '2 h');
  assert.equal(settingText(90, 's'), '90 s');
  assert.equal(settingText(900, 'K'), '900 K');
});

test('only an unusual time of a reading is marked, every one is explained', () => {
  assert.deepEqual([markText('device_time'), markText('log_time'), markText(null)], ['', '', '']);
  assert.match(markText('future_clamped'), /ahead/);
  for (const mark of ['device_time', 'log_time', 'future_clamped', 'redecoded']) assert.notEqual(timeSource(mark), '');
});

test('a column has as many digits as its finest value, at most three', () => {
  assert.equal(digitsOf([3.5, 3.43, 4]), 2);
  assert.equal(digitsOf([1 / 3]), 3);
  assert.equal(digitsOf([]), 0);
  assert.equal(fixedText(-3.5, 2), '−3.50');
});

test('a message line shows the values of the long form, and any other text as it came', () => {
  assert.equal(briefText('{"ts":1795599435821,"values":{"temperature":5.1}}'), '{"temperature":5.1}');
  for (const text of ['{"ts":17,"val', '{"ts":17}', '{"temperature":3}', '[]', '']) assert.equal(briefText(text), text);
});

test('a topic is told below the device, whichever way it came', () => {
  for (const topic of ['telemetry', 'me/telemetry', 't/ten_1/d/dev_1/telemetry']) assert.equal(shortTopic(topic), 'telemetry');
});

test('what a device measures stands before what it says of itself', () => {
  const readings = { battery: { value: 64 }, lid_open: { value: false }, temperature: { value: 4 } };
  const names = (every?: Record<string, number>) => firstReadings(readings, every).map(([name]) => name);
  assert.deepEqual(names(), ['temperature', 'battery', 'lid_open']);
  assert.deepEqual(names({ battery: 1000, temperature: 60_000 }), ['battery', 'temperature', 'lid_open']);
});

test('firmware and hardware are reported, but are no settings', () => {
  const at = '2026-11-25T08:00:00Z';
  const lines = diff({ reported: { firmware: { value: '1.4.0', at }, interval: { value: 60, at } }, desired: {}, pending: [] });
  assert.deepEqual(lines.map((line) => line.name), ['interval']);
});
