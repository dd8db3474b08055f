import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bucket } from '../src/api.ts';
import { append, extent, fromHistory, gapsOf, join, lowerBound, toCsv, type Series } from '../src/lib/buckets.ts';
import { random } from './random.ts';

function series(buckets: Bucket[], bucket_ms = 1000, gaps: [number, number][] = []): Series {
  return fromHistory({ property: 't', unit: 'Cel', from: '', to: '', points: buckets.length, bucket_ms, buckets, gaps, source: 'memory', note: null });
}
const one = (t: number, value: number): Bucket => [t, value, value, value, value, 1];

test('live readings fall into the bucket of their time', () => {
  const made = series([one(1000, 5)]);
  append(made, 1400, 9);
  append(made, 1900, 2);
  append(made, 2000, 3);
  assert.deepEqual(made.buckets, [[1000, 2, 9, 5, 2, 3], one(2000, 3)]);
});

test('a late reading goes to its own place and not to the end', () => {
  const made = series([one(1000, 1), one(5000, 5)]);
  append(made, 3000, 3);
  assert.deepEqual(made.buckets.map((bucket) => bucket[0]), [1000, 3000, 5000]);
});

test('buckets of the server that start at odd times take the live reading inside them', () => {
  const made = series([one(1234, 1)]);
  append(made, 2100, 7);
  assert.deepEqual(made.buckets, [[1234, 1, 7, 1, 7, 2]]);
});

test('appending anything anywhere keeps order, min and max of a plain list', () => {
  const next = random(42);
  const made = series([], 500);
  const all: number[] = [];
  for (let round = 0; round < 2000; round += 1) {
    const value = Math.round(next() * 1000) / 10;
    all.push(value);
    assert.equal(append(made, Math.floor(next() * 60_000), value), true);
  }
  const times = made.buckets.map((bucket) => bucket[0]);
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
  assert.equal(new Set(times).size, times.length);
  assert.deepEqual(extent(made, 0, 60_000), [Math.min(...all), Math.max(...all)]);
  assert.equal(made.buckets.reduce((sum, bucket) => sum + bucket[5], 0), all.length);
  assert.equal(append(made, 1, NaN), false);
});

test('silence longer than three intervals is a gap, shorter is not', () => {
  const made = series([one(0, 1), one(3000, 1), one(10_000, 1)]);
  assert.deepEqual(gapsOf(made, 1000), [[4000, 10_000]]);
  assert.deepEqual(gapsOf(made, 5000), []);
  assert.deepEqual(gapsOf(made, null), []);
});

test('a gap the server named is not told twice', () => {
  const made = series([one(0, 1), one(60_000, 1)], 1000, [[500, 60_000]]);
  assert.deepEqual(gapsOf(made, 1000), [[500, 60_000]]);
});

test('the line breaks in a gap and runs on where only another series has a point', () => {
  const a = series([one(0, 1), one(1000, 2), one(10_000, 3)]);
  const b = series([one(500, 8), one(1500, 9)]);
  const { x, columns } = join([
    { series: a, gaps: gapsOf(a, 1000) },
    { series: b, gaps: [] },
  ]);
  assert.deepEqual(x, [0, 0.5, 1, 1.5, 5.5, 10]);
  assert.deepEqual(columns[0]!.last, [1, undefined, 2, undefined, null, 3]);
  assert.deepEqual(columns[1]!.last, [undefined, 8, undefined, 9, undefined, undefined]);
});

test('a gap at the end of the data breaks nothing, because no line goes there', () => {
  const a = series([one(0, 1)], 1000, [[1000, 9000]]);
  assert.deepEqual(join([{ series: a, gaps: a.gaps }]).x, [0]);
});

test('the bucket that straddles the left edge counts for the range', () => {
  const made = series([[0, -50, 50, 0, 0, 9], one(10_000, 1)], 10_000);
  assert.deepEqual(extent(made, 5000, 20_000), [-50, 50]);
  assert.equal(extent(series([]), 0, 1), null);
  assert.equal(lowerBound(made.buckets, 1), 1);
});

test('the CSV has a line per bucket with times in UTC', () => {
  assert.equal(toCsv([series([one(0, 3.9)])]), 'property,unit,from,bucket_ms,min,max,first,last,count\nt,Cel,1970-01-01T00:00:00.000Z,1000,3.9,3.9,3.9,3.9,1\n');
});
