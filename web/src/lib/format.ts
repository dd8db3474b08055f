/**
 * Values as people read them: a number never without its unit, and never more digits than it has.
 *
 * Invariant: `valueText` shows what was measured; it rounds only for eyes and says so nowhere
 * else, so copies and exports take the raw value.
 */
import type { Value } from '../api.ts';

const unitWords: Record<string, string> = { Cel: '°C', '1': '', K: 'K', degF: '°F' };

/** The unit for eyes: `Cel` is stored, °C is read. */
export function unitText(unit: string | null | undefined): string {
  if (!unit) return '';
  return unitWords[unit] ?? unit;
}

const formats = new Map<number, Intl.NumberFormat>();

export function numberText(value: number, digits?: number): string {
  if (!Number.isFinite(value)) return 'not a number';
  const decimals = digits ?? decimalsFor(value);
  let format = formats.get(decimals);
  if (!format) {
    format = new Intl.NumberFormat('en', { maximumFractionDigits: decimals });
    formats.set(decimals, format);
  }
  return format.format(value).replace('-', '−');
}

/** With exactly so many digits, for columns whose points stand below each other. */
export function fixedText(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace('-', '−');
}

/** How many digits after the point these values have, at most three. */
export function digitsOf(values: number[]): number {
  let digits = 0;
  for (const value of values) {
    while (digits < 3 && Math.abs(value * 10 ** digits - Math.round(value * 10 ** digits)) > 1e-6) digits += 1;
  }
  return digits;
}

/** About four significant digits, at most three after the point. */
export function decimalsFor(value: number): number {
  const size = Math.abs(value);
  if (size >= 1000) return 0;
  if (size >= 100) return 1;
  if (size >= 1) return 2;
  return 3;
}

export function valueText(value: Value | undefined, unit?: string | null): string {
  if (value === null || value === undefined) return 'no value';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') {
    const words = unitText(unit);
    return words === '' ? numberText(value) : `${numberText(value)} ${words}`;
  }
  if (typeof value === 'string') return value === '' ? '""' : withUnit(value, unit);
  const place = position(value);
  return place ?? JSON.stringify(value);
}

/** A setting for eyes: 900 s is read as 15 min, when nothing is lost by it. */
export function settingText(value: Value | undefined, unit?: string | null): string {
  if (typeof value !== 'number' || unit !== 's' || value < 60) return valueText(value, unit);
  if (value % 3600 === 0) return `${numberText(value / 3600)} h`;
  return value % 60 === 0 ? `${numberText(value / 60)} min` : valueText(value, unit);
}

function withUnit(value: string, unit?: string | null): string {
  // A setting such as "15 min" carries its own unit in the text.
  const words = unitText(unit);
  return words === '' || /[a-z%°]/i.test(value) ? value : `${value} ${words}`;
}

/** A place comes as [latitude, longitude]. */
function position(value: unknown[] | Record<string, unknown>): string | null {
  const [lat, lon] = Array.isArray(value) ? value : [value['lat'], value['lon']];
  if (typeof lat !== 'number' || typeof lon !== 'number') return null;
  return `${lat.toFixed(4)}, ${lon.toFixed(4)}`;
}

/** A text such as "3.9 °C" as its number and its unit, for figures that set them apart. */
export function split(text: string): [string, string] {
  const found = /^([−-]?[\d.,]+(?: of [\d.,]+)?) (\D.*)$/.exec(text);
  return found ? [found[1]!, found[2]!] : [text, ''];
}

/** What is to be said of the time of a reading; an ordinary one needs no words. */
export function markText(mark: string | null | undefined): string {
  if (!mark || mark === 'device_time' || mark === 'log_time') return '';
  if (mark === 'future_clamped') return 'device clock ahead';
  return mark === 'redecoded' ? 'decoded again' : mark;
}

/** Where the time of a reading comes from, in a sentence. */
export function timeSource(mark: string | null | undefined): string {
  if (mark === 'device_time') return 'by the device’s clock';
  if (mark === 'log_time') return 'when it arrived';
  if (mark === 'future_clamped') return 'when it arrived: the device’s clock is ahead';
  return mark === 'redecoded' ? 'of the message that was decoded again' : '';
}

/** What a device says of itself; it stands after what it was made to measure. */
const housekeeping = ['battery', 'signal', 'rssi', 'uptime'];

/** What to show first: numbers, the most frequent, what it was made for, then by name. */
export function firstReadings<T extends { value: Value }>(
  readings: Record<string, T>,
  every: Record<string, number> = {},
): [string, T][] {
  const rank = ([name, one]: [string, T]) =>
    [typeof one.value === 'number' ? 0 : 1, every[name] ?? Infinity, housekeeping.includes(name) ? 1 : 0] as const;
  return Object.entries(readings).sort((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    const at = left.findIndex((value, index) => value !== right[index]);
    return at < 0 ? a[0].localeCompare(b[0]) : left[at]! < right[at]! ? -1 : 1;
  });
}

/** Below `me/`, whichever way the server wrote it. */
export function shortTopic(topic: string): string {
  return topic.replace(/^(me|t\/[^/]+\/d\/[^/]+)\//, '');
}

/** The values of the long form without its envelope, for one line; any other text as it is. */
export function briefText(text: string): string {
  if (!text.startsWith('{"ts":')) return text;
  try {
    const { values } = JSON.parse(text) as { values?: unknown };
    return values !== null && typeof values === 'object' ? JSON.stringify(values) : text;
  } catch {
    // Cut or not JSON: what came is shown.
    return text;
  }
}

/** Who did it: a session of this machine has no name of its own. */
export const personText = (by: string): string => (by === 'loopback' ? 'this machine' : by);

/** A comparison as it is printed: `>= 30 %` is read as `≥ 30 %`. */
export const signs = (text: string): string => text.replaceAll('>=', '≥').replaceAll('<=', '≤');

/** Long whole numbers of a server's sentence with their thousands apart; a fraction is left as it is. */
export function grouped(text: string): string {
  return text.replaceAll(/(?<![\w.,:-])\d{5,}(?![\w:-]|,\d)/g, (digits) => Number(digits).toLocaleString('en'));
}

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${numberText(bytes / 1000, 1)} kB`;
  return `${numberText(bytes / 1_000_000, 1)} MB`;
}

export function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString('en')} ${value === 1 ? one : many}`;
}

/** dev_01J...YS9E: enough to compare by eye, the whole id is copied. */
export function shortId(id: string): string {
  return id.length <= 18 ? id : `${id.slice(0, 10)}…${id.slice(-4)}`;
}
