/** Devices that have not confirmed an interval, as they are listed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byNext, type Unconfirmed } from '../src/lib/intervals.ts';

const device = (name: string, next: string): Unconfirmed => ({
  device: `dev_${name}`, name, state: 'waiting', status: 'live', last_seen: null, told: null, reported: 60, next,
});

test('devices with the same fate stand together, and none is lost', () => {
  const groups = byNext([device('box-1', 'it is heard'), device('box-2', 'it is away'), device('box-3', 'it is heard')]);
  assert.deepEqual(groups.map((one) => [one.next, one.devices.map(({ name }) => name)]), [
    ['it is heard', ['box-1', 'box-3']],
    ['it is away', ['box-2']],
  ]);
  assert.deepEqual(byNext([]), []);
});
