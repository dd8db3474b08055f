/** What may be wanted of many devices, and what a text is worth before it is sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device, KindSetting, Venture } from '../src/api.ts';
import { boundsText, settables, wrongValue } from '../src/lib/settings.ts';

const interval: KindSetting = { name: 'interval', title: null, type: 'number', unit: 's', min: 10, max: 3600, default: null, drives: 'temperature.every', limits: [] };
const limit: KindSetting = { ...interval, name: 'limit', unit: 'Cel', min: null, max: 8, drives: null };
const beep: KindSetting = { ...interval, name: 'beep', type: 'boolean', unit: null, min: null, max: null };

test('bounds are read in the unit that people read', () => {
  assert.equal(boundsText(interval), '10 s to 1 h');
  assert.equal(boundsText(limit), 'at most 8 °C');
  assert.equal(boundsText(beep), 'yes or no');
  assert.equal(boundsText({ ...limit, max: null }), 'a number in °C');
});

test('a value is judged with its unit, and one of an unknown unit is left to the server', () => {
  for (const good of ['10', '15 min', '1 h', '3600', '900s', '0.5 h']) assert.equal(wrongValue(interval, good), null, good);
  for (const bad of ['9', '2 h', '9 s', '-1', '1 d', 'often', '1,5 min']) assert.notEqual(wrongValue(interval, bad), null, bad);
  assert.equal(wrongValue(interval, '1 fortnight'), null);
  assert.equal(wrongValue(limit, '8 °C'), null);
  assert.match(wrongValue(limit, '8.5')!, /at most 8 °C/);
  assert.equal(wrongValue(beep, 'yes'), null);
  assert.match(wrongValue(beep, '3')!, /yes or no/);
});

test('only settings that a chosen device has are offered, the one of most devices first', () => {
  const device = (id: string, kind: string) => ({ id, kind, venture: 'coolbox' }) as Device;
  const chosen = [device('a', 'box'), device('b', 'base'), device('c', 'base')];
  const kind = (name: string, settings: KindSetting[]) => ({ name, devices: 1, live: 1, settings });
  const venture = { venture: 'coolbox', kinds: [kind('box', [interval, { ...beep, type: 'position' }]), kind('base', [limit]), kind('lamp', [beep])] } as Venture;
  const found = settables([venture, { ...venture, venture: 'soil' }], chosen);
  assert.deepEqual(found.map((one) => [one.key, one.devices.length]), [['coolbox/base/limit', 2], ['coolbox/box/interval', 1]]);
});
