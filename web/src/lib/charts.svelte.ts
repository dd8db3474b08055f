/**
 * The series of one device's chart: fetched for the window, then fed live.
 *
 * Invariant: a series on screen belongs to the window it was asked for; an answer to an older
 * question is dropped, and a reading that lies behind a window with an end of its own is not taken.
 */
import { api, Problem, type Bucket, type Value } from '../api.ts';
import { append, fromHistory, gapsOf, join, type Joined, type Series } from './buckets.ts';
import { Questions } from './load.svelte.ts';
import type { Range } from './time.ts';

export class ChartData {
  list = $state.raw<Series[]>([]);
  /** The same properties of an older window, moved onto this one. */
  compared = $state.raw<Series[]>([]);
  joined = $state.raw<Joined>({ x: [], columns: [] });
  gaps = $state.raw<{ from: number; to: number; open: boolean }[]>([]);
  problem = $state<Problem | null>(null);
  loading = $state(false);
  /** Time of the answer in ms, for the caption. */
  took_ms = $state(0);
  offset = $state<string | null>(null);

  #questions = new Questions();
  #abort: AbortController | null = null;
  #dirty = false;
  #early: { at: number; property: string; value: number }[] = [];
  /** The newest time of the window asked for; a window that ends now has none. */
  #until = Infinity;

  async load(
    device: string,
    properties: string[],
    window: { from: number; to: number; kind: Range['kind']; px: number; compare_ms: number | null },
    every: Record<string, number>,
  ): Promise<void> {
    const current = this.#questions.begin();
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.loading = true;
    this.#early = [];
    this.#until = window.kind === 'fixed' ? window.to : Infinity;
    const began = performance.now();
    try {
      const ask = (property: string, from: number, to: number) =>
        api.history(device, { property, from: new Date(from).toISOString(), to: new Date(to).toISOString(), px: Math.round(window.px) }, abort.signal);
      const older = window.compare_ms;
      const [answers, before] = await Promise.all([
        Promise.all(properties.map((property) => ask(property, window.from, window.to))),
        // A quarter more, because a window that ends now moves on into it.
        Promise.all(older === null ? [] : properties.map((property) => ask(property, window.from - older, window.to - older + (window.to - window.from) / 4))),
      ]);
      if (!current()) return;
      this.compared = before.map((answer) => moved(fromHistory(answer.body), older ?? 0));
      this.took_ms = performance.now() - began;
      this.list = answers.map((answer) => fromHistory(answer.body));
      this.offset = answers[0]?.offset ?? null;
      this.problem = null;
      // Readings that arrived while the answer was on its way are newer than it may know.
      for (const { property, at, value } of this.#early) {
        const series = this.list.find((one) => one.property === property);
        const newest = series?.buckets.at(-1)?.[0] ?? 0;
        if (series && at >= newest + series.bucket_ms) append(series, at, value);
      }
      this.#dirty = true;
      this.paint(every, window.to);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return;
      if (current()) this.problem = Problem.from(error);
    } finally {
      if (current()) this.loading = false;
    }
  }

  live(property: string, at: number, value: Value): void {
    if (typeof value !== 'number' || at > this.#until) return;
    if (this.loading) this.#early.push({ property, at, value });
    const series = this.list.find((one) => one.property === property);
    if (series && append(series, at, value)) this.#dirty = true;
  }

  /** Joins again when something came; called with the clock, so a burst costs one join. */
  paint(every: Record<string, number>, now: number): void {
    const parts = this.list.map((series) => ({
      series,
      gaps: gapsOf(series, every[series.property] ?? null),
    }));
    if (this.#dirty) {
      this.#dirty = false;
      const began = performance.now();
      const old = this.compared.map((series) => ({ series, gaps: gapsOf(series, every[series.property] ?? null) }));
      this.joined = join([...parts, ...old]);
      performance.measure('iotbiz chart join', { start: began });
    }
    const shown = parts.flatMap((part) => part.gaps.map(([from, to]) => ({ from, to, open: false })));
    for (const { series } of parts) {
      const last = series.buckets.at(-1);
      const limit = Math.max(3 * (every[series.property] ?? 0), 2 * series.bucket_ms, 15_000);
      if (last && now - last[0] - series.bucket_ms > limit) {
        shown.push({ from: last[0] + series.bucket_ms, to: now, open: true });
      }
    }
    this.gaps = unique(shown);
  }
}

function moved(series: Series, by: number): Series {
  const buckets = series.buckets.map((one): Bucket => [one[0] + by, one[1], one[2], one[3], one[4], one[5]]);
  return { ...series, buckets, gaps: series.gaps.map(([from, to]) => [from + by, to + by]) };
}

function unique(gaps: { from: number; to: number; open: boolean }[]) {
  const seen = new Set<string>();
  return gaps.filter((gap) => {
    const key = `${Math.round(gap.from / 1000)} ${Math.round(gap.to / 1000)}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
