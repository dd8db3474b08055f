/** Many wishes on one connection: nobody misses what it asked for, nobody hears more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kind, Wish } from '../src/lib/feed.ts';
import { union, wants } from '../src/lib/wishes.ts';
import { pick, random } from './random.ts';

const kinds: Kind[] = ['reading', 'message', 'twin', 'status', 'refusal'];

test('the union covers every wish, whatever they are', () => {
  const next = random(5);
  for (let round = 0; round < 300; round += 1) {
    const wishes: Wish[] = Array.from({ length: 1 + Math.floor(next() * 4) }, () => ({
      devices: next() < 0.2 ? null : Array.from({ length: Math.floor(next() * 4) }, () => `dev_${Math.floor(next() * 6)}`),
      kinds: kinds.filter(() => next() < 0.5),
    }));
    const all = union(wishes);
    const kind = pick(next, kinds);
    const data = { device: `dev_${Math.floor(next() * 6)}` };
    if (wishes.some((wish) => wants(wish, kind, data))) assert.ok(wants(all, kind, data));
  }
});

test('a tab hears its own devices and kinds only, and every refusal it asked for', () => {
  const wish: Wish = { devices: ['a'], kinds: ['reading', 'refusal'] };
  assert.ok(wants(wish, 'reading', { device: 'a' }));
  assert.ok(!wants(wish, 'reading', { device: 'b' }));
  assert.ok(!wants(wish, 'message', { device: 'a' }));
  assert.ok(wants(wish, 'refusal', { device: null }));
  assert.ok(wants({ devices: null, kinds: ['status'] }, 'status', { device: 'b' }));
});

test('nobody asking asks for nothing', () => {
  assert.deepEqual(union([]), { devices: [], kinds: [] });
});
