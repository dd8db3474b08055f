/**
 * Series for the chart: buckets from the server, live readings on top, joined to columns.
 *
 * Invariant: no line is drawn over missing data: a gap is a `null` row, a timestamp that only
 * another series has is `undefined`, and the painter breaks at the first and skips the second.
 * Invariant: min and max of a bucket survive every merge, so no spike is hidden.
 */
import type { Bucket, History } from '../api.ts';

export interface Series {
  property: string;
  unit: string | null;
  bucket_ms: number;
  buckets: Bucket[];
  gaps: [number, number][];
  points: number;
  source: string;
  note: string | null;
}

/** Buckets kept in memory for one series; older ones are dropped while the chart moves. */
export const series_buckets_max = 20_000;
/** After this many expected intervals without a reading the line is broken. */
export const gap_intervals = 3;

export function fromHistory(history: History): Series {
  return {
    property: history.property,
    unit: history.unit,
    bucket_ms: Math.max(1, history.bucket_ms),
    buckets: [...history.buckets].sort((a, b) => a[0] - b[0]),
    gaps: history.gaps ?? [],
    points: history.points,
    source: history.source,
    note: history.note ?? null,
  };
}

/** Adds one live reading; late readings find their bucket. Returns whether anything changed. */
export function append(series: Series, at: number, value: number): boolean {
  if (!Number.isFinite(value) || !Number.isFinite(at)) return false;
  const start = Math.floor(at / series.bucket_ms) * series.bucket_ms;
  const index = lowerBound(series.buckets, start);
  const found = series.buckets[index];
  if (found && found[0] === start) {
    found[1] = Math.min(found[1], value);
    found[2] = Math.max(found[2], value);
    found[4] = value;
    found[5] += 1;
  } else {
    // The server's buckets need not start at multiples of their width; a reading inside the one
    // before belongs to it.
    const before = series.buckets[index - 1];
    if (before && at < before[0] + series.bucket_ms && at >= before[0]) {
      before[1] = Math.min(before[1], value);
      before[2] = Math.max(before[2], value);
      before[4] = value;
      before[5] += 1;
    } else {
      series.buckets.splice(index, 0, [start, value, value, value, value, 1]);
    }
  }
  series.points += 1;
  if (series.buckets.length > series_buckets_max) series.buckets.splice(0, 1000);
  return true;
}

/** First index whose bucket does not start before `t`. */
export function lowerBound(buckets: Bucket[], t: number): number {
  let low = 0;
  let high = buckets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (buckets[middle]![0] < t) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Gaps the server named, and those seen here: more than three expected intervals of silence. */
export function gapsOf(series: Series, every_ms: number | null): [number, number][] {
  const named = series.gaps.map(([from, to]) => [from, to] as [number, number]);
  if (!every_ms) return named;
  const limit = Math.max(gap_intervals * every_ms, 2 * series.bucket_ms);
  for (let index = 1; index < series.buckets.length; index += 1) {
    const from = series.buckets[index - 1]![0];
    const to = series.buckets[index]![0];
    if (to - from <= limit) continue;
    const known = named.some(([start, end]) => start < to && end > from);
    if (!known) named.push([from + series.bucket_ms, to]);
  }
  return named.sort((a, b) => a[0] - b[0]);
}

type Cell = number | null | undefined;
export interface Column {
  first: Cell[];
  min: Cell[];
  max: Cell[];
  last: Cell[];
}
export interface Joined {
  /** Seconds, as the chart library wants them. */
  x: number[];
  columns: Column[];
}

/** One time axis for all series; see the invariants above for `null` and `undefined`. */
export function join(list: { series: Series; gaps: [number, number][] }[]): Joined {
  const times = new Set<number>();
  const breaks: Set<number>[] = [];
  for (const { series, gaps } of list) {
    const own = new Set<number>();
    for (const bucket of series.buckets) times.add(bucket[0]);
    for (const [from, to] of gaps) {
      const middle = breakTime(series.buckets, from, to);
      if (middle === null) continue;
      own.add(middle);
      times.add(middle);
    }
    breaks.push(own);
  }
  const all = [...times].sort((a, b) => a - b);
  const columns = list.map(({ series }, index) => column(all, series.buckets, breaks[index]!));
  return { x: all.map((t) => t / 1000), columns };
}

/** A moment inside the gap where no bucket stands, or nothing if the gap is at an end. */
function breakTime(buckets: Bucket[], from: number, to: number): number | null {
  const before = lowerBound(buckets, (from + to) / 2);
  const left = buckets[before - 1];
  const right = buckets[before];
  if (!left || !right) return null;
  return (left[0] + right[0]) / 2;
}

function column(times: number[], buckets: Bucket[], breaks: Set<number>): Column {
  const made: Column = { first: [], min: [], max: [], last: [] };
  let at = 0;
  for (const time of times) {
    const bucket = buckets[at];
    if (bucket && bucket[0] === time) {
      push(made, bucket[3], bucket[1], bucket[2], bucket[4]);
      at += 1;
    } else {
      const cell = breaks.has(time) ? null : undefined;
      push(made, cell, cell, cell, cell);
    }
  }
  return made;
}

function push(made: Column, first: Cell, min: Cell, max: Cell, last: Cell): void {
  made.first.push(first);
  made.min.push(min);
  made.max.push(max);
  made.last.push(last);
}

/** Smallest and largest value in the window, with the bucket that straddles its left edge. */
export function extent(series: Series, from: number, to: number): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  for (let i = Math.max(0, lowerBound(series.buckets, from) - 1); i < series.buckets.length; i += 1) {
    const bucket = series.buckets[i]!;
    if (bucket[0] > to) break;
    low = Math.min(low, bucket[1]);
    high = Math.max(high, bucket[2]);
  }
  return low <= high ? [low, high] : null;
}

/** Comma separated values of what is drawn, one bucket a line, times in UTC. */
export function toCsv(list: Series[]): string {
  const lines = ['property,unit,from,bucket_ms,min,max,first,last,count'];
  for (const series of list) {
    for (const [t, min, max, first, last, count] of series.buckets) {
      const at = new Date(t).toISOString();
      lines.push(
        [series.property, series.unit ?? '', at, series.bucket_ms, min, max, first, last, count].join(','),
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
