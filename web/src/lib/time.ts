/**
 * Times and spans as people read them, and the time range as the URL writes it.
 *
 * Invariant: inside, time is UTC milliseconds; the browser's zone appears only in `clockTime` and
 * `dayTime`, which are for eyes and never go back to the server.
 */

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

const steps: [number, string][] = [
  [day, 'd'],
  [hour, 'h'],
  [minute, 'min'],
  [second, 's'],
];

/** "34 s", "2 min", "3 h", "4 d": one unit, floored, because an age must never look younger. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return 'unknown';
  const whole = Math.max(0, ms);
  if (whole < second) return '0 s';
  for (const [size, unit] of steps) {
    if (whole >= size) return `${Math.floor(whole / size)} ${unit}`;
  }
  return '0 s';
}

/** "1 h 30 min": two units, for gaps and windows where the rest matters. */
export function spanExact(ms: number): string {
  const whole = Math.max(0, Math.round(ms / second)) * second;
  for (let index = 0; index < steps.length; index += 1) {
    const [size, unit] = steps[index]!;
    if (whole < size) continue;
    const count = Math.floor(whole / size);
    const below = steps[index + 1];
    const rest = below ? Math.floor((whole % size) / below[0]) : 0;
    return rest > 0 && below ? `${count} ${unit} ${rest} ${below[1]}` : `${count} ${unit}`;
  }
  return '0 s';
}

/** The age of something, or "never". */
export function age(at: string | number | null | undefined, now: number): string {
  const ms = toMs(at);
  if (ms === null) return 'never';
  const old = now - ms;
  if (old < 0) return old < -2 * second ? `in ${span(-old)}` : 'now';
  return old < 1500 ? 'now' : `${span(old)} ago`;
}

export function toMs(at: string | number | null | undefined): number | null {
  if (at === null || at === undefined || at === '') return null;
  const ms = typeof at === 'number' ? at : Date.parse(at);
  return Number.isNaN(ms) ? null : ms;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const dayFormat = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

export function clockTime(at: string | number | null | undefined): string {
  const ms = toMs(at);
  return ms === null ? '' : clockFormat.format(ms);
}

/** The clock alone when it is near, before or after now, else with the day. */
export function dayTime(at: string | number | null | undefined, now: number): string {
  const ms = toMs(at);
  if (ms === null) return 'never';
  return Math.abs(now - ms) < 12 * hour ? clockFormat.format(ms) : dayFormat.format(ms).replace(',', '');
}

/** A window that ends now and moves, or a fixed one. */
export type Range = { kind: 'last'; ms: number } | { kind: 'fixed'; from: number; to: number };

export const presets: { text: string; words: string; ms: number }[] = [
  { text: '5m', words: '5 min', ms: 5 * minute },
  { text: '1h', words: '1 h', ms: hour },
  { text: '6h', words: '6 h', ms: 6 * hour },
  { text: '24h', words: '24 h', ms: day },
  { text: '7d', words: '7 d', ms: 7 * day },
  { text: '90d', words: '90 d', ms: 90 * day },
];

/** Longest and shortest window that the URL may ask for. */
export const range_ms_max = 3660 * day;
export const range_ms_min = 10 * second;

/** Reads `range=1h` or `from=...&to=...`; anything else is the window that ends now. */
export function readRange(search: URLSearchParams, otherwise_ms = hour): Range {
  const from = toMs(search.get('from'));
  const to = toMs(search.get('to'));
  if (from !== null && to !== null && to - from >= range_ms_min && to - from <= range_ms_max) {
    return { kind: 'fixed', from, to };
  }
  const found = /^(\d{1,5})(s|m|h|d)$/.exec(search.get('range') ?? '');
  if (found) {
    const unit = { s: second, m: minute, h: hour, d: day }[found[2] as 's' | 'm' | 'h' | 'd'];
    const ms = Number(found[1]) * unit;
    if (ms >= range_ms_min && ms <= range_ms_max) return { kind: 'last', ms };
  }
  return { kind: 'last', ms: otherwise_ms };
}

export function rangeBounds(range: Range, now: number): { from: number; to: number } {
  return range.kind === 'fixed'
    ? { from: range.from, to: range.to }
    : { from: now - range.ms, to: now };
}

/** The query parameters that write this range; `null` removes one. */
export function rangeQuery(range: Range): Record<string, string | null> {
  if (range.kind === 'fixed') {
    return {
      range: null,
      from: new Date(range.from).toISOString(),
      to: new Date(range.to).toISOString(),
    };
  }
  const known = presets.find((preset) => preset.ms === range.ms);
  const text = known ? known.text : `${Math.round(range.ms / second)}s`;
  return { range: text, from: null, to: null };
}

/** Zoom by a factor around the middle, or around the end while the window moves. */
export function zoom(range: Range, factor: number): Range {
  if (range.kind === 'last') {
    return { kind: 'last', ms: clamp(range.ms * factor, range_ms_min, range_ms_max) };
  }
  const middle = (range.from + range.to) / 2;
  const half = clamp((range.to - range.from) * factor, range_ms_min, range_ms_max) / 2;
  return { kind: 'fixed', from: Math.round(middle - half), to: Math.round(middle + half) };
}

/** Earlier or later by a share of the window; a window that reaches now moves with it again. */
export function shift(range: Range, share: number, now: number): Range {
  const { from, to } = rangeBounds(range, now);
  const by = Math.round((to - from) * share);
  // Time passed since the window was left, so nearly now is now.
  if (by > 0 && to + by >= now - (to - from) / 10) return { kind: 'last', ms: to - from };
  return { kind: 'fixed', from: Math.round(from) + by, to: Math.round(to) + by };
}

/** What the window is compared with: `1d`, `7d`, or the window just before. */
export type Compare = '1d' | '7d' | 'before';
export const compares: { value: Compare; words: string }[] = [
  { value: 'before', words: 'the window before' },
  { value: '1d', words: 'the day before' },
  { value: '7d', words: 'the week before' },
];

export function readCompare(search: URLSearchParams): Compare | null {
  return compares.find(({ value }) => value === search.get('compare'))?.value ?? null;
}

/** By how much older what is compared is. */
export function compareBy(compare: Compare, range: Range): number {
  if (compare === 'before') return range.kind === 'last' ? range.ms : range.to - range.from;
  return compare === '1d' ? day : 7 * day;
}

/** What a field of type datetime-local holds, in the reader's own zone. */
export function localText(ms: number): string {
  const date = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
