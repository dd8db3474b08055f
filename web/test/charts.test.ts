/** Which live readings a chart takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Range } from '../src/lib/time.ts';

// Outside a browser a rune is the value it begins with.
Object.assign(globalThis, { $state: Object.assign((value: unknown) => value, { raw: (value: unknown) => value }) });
const { ChartData } = await import('../src/lib/charts.svelte.ts');

const [from, to, now] = [1_000_000, 2_000_000, 9_000_000];

/** A chart of a window without readings, in which one reading comes before the answer and one after it. */
async function chart(kind: Range['kind']) {
  let answer: (response: Response) => void = () => {};
  globalThis.fetch = () => new Promise((done) => (answer = done));
  const data = new ChartData();
  const loaded = data.load('dev_1', ['temperature'], { from, to, kind, px: 100, compare_ms: null }, {});
  data.live('temperature', now, 4);
  answer(Response.json({ property: 'temperature', unit: '°C', points: 0, bucket_ms: 10_000, buckets: [], gaps: [], source: 'history' }));
  await loaded;
  data.live('temperature', now + 20_000, 5);
  return data.list[0]?.buckets.map((one) => one[4]);
}

test('a window that ends now takes what comes, also while it loads', async () => {
  assert.deepEqual(await chart('last'), [4, 5]);
});

test('a window with an end of its own takes nothing that is newer', async () => {
  assert.deepEqual(await chart('fixed'), []);
});
