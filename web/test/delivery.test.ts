/** What was delivered, in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentDown } from '../src/lib/delivery.ts';

test('almost all is not all, and what was never due has no share', () => {
  assert.equal(percentDown(0.999999), '99.99 %');
  assert.equal(percentDown(1), '100 %');
  assert.equal(percentDown(0.29), '29 %');
  assert.equal(percentDown(null), 'nothing due');
});
