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

function withUnit(value: string, unit?: string | null): string {
  // A setting such as "15 min" carries its own unit in the text.
  const words = unitText(unit);
  return words === '' || /[a-z%°]/i.test(value) ? value : `${value} ${words}`;
}

function position(value: Record<string, unknown>): string | null {
  const { lat, lon } = value;
  if (typeof lat !== 'number' || typeof lon !== 'number') return null;
  return `${lat.toFixed(4)}, ${lon.toFixed(4)}`;
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
