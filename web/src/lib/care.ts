/**
 * What is held back for a device: maintenance, and readings of a broken sensor.
 *
 * Invariant: loaded with the pages that show it, never with the first route.
 * Invariant: what is over by the time handed in is not told as holding.
 */
import { request, type Page } from '../api.ts';
import { minute, spanExact, toMs } from './time.ts';

/** A window of maintenance of one device; one that has begun counts as `maintenance` too. */
export interface Window {
  id: string;
  from: string;
  until: string;
  by: string;
  note: string | null;
}
/** A window with all devices it was planned for. */
export interface PlannedWindow extends Window {
  state: 'planned' | 'running';
  devices: number;
  /** The first of them by name. */
  names: { id: string; name: string }[];
}

export interface Care {
  maintenance: string | null;
  /** Readings that count as missing, and until when. */
  ignored: Record<string, string>;
  /** Absent from a server that cannot plan. */
  planned?: Window[];
}
export interface Quiet extends Care {
  device: { id: string; name: string };
}

export const lengths = ['30 min', '2 h', '8 h', '1 day', '7 day'];
/** A sensor is not mended as fast as a door is closed. */
export const sensor_lengths = ['1 day', '7 day', '30 day', '90 day'];
export const note_chars_max = 1000;

const id = encodeURIComponent;
const maintenance = (device: string) => `/devices/${id(device)}/maintenance`;
const windows = '/maintenance/windows';
const ignored = (device: string, reading: string) => `/devices/${id(device)}/ignored/${id(reading)}`;

export const careApi = {
  of: (device: string) => request<Care>(maintenance(device)),
  all: () => request<Page<Quiet>>('/maintenance'),
  maintain: (device: string, length: string, note: string) =>
    request<Care>(maintenance(device), { method: 'PUT', body: { for: length, ...noted(note) } }),
  end: (device: string) => request<Care>(maintenance(device), { method: 'DELETE' }),
  ignore: (device: string, reading: string, length: string, note: string) =>
    request<Care>(ignored(device, reading), { method: 'PUT', body: { for: length, ...noted(note) } }),
  heed: (device: string, reading: string) => request<Care>(ignored(device, reading), { method: 'DELETE' }),
  windows: () => request<Page<PlannedWindow>>(windows),
  plan: (device: string, from: string, length: string, note: string) =>
    request<{ window: PlannedWindow }>(windows, { method: 'POST', body: { devices: [device], from, for: length, ...noted(note) } }),
  cancel: (window: string) => request<PlannedWindow>(`${windows}/${id(window)}`, { method: 'DELETE' }),
};

function noted(note: string): { note?: string } {
  return note.trim() === '' ? {} : { note: note.trim() };
}

export interface Held {
  device: { id: string; name: string };
  /** `null`: the whole device is in maintenance. */
  reading: string | null;
  until: string;
}

/** One line a thing that is held back, what ends soonest first. */
export function heldBack(items: Quiet[], now: number): Held[] {
  const lines = items.flatMap(({ device, maintenance, ignored }): Held[] => [
    ...(maintenance === null ? [] : [{ device, reading: null, until: maintenance }]),
    ...Object.entries(ignored).map(([reading, until]) => ({ device, reading, until })),
  ]);
  const end = (one: Held) => toMs(one.until) ?? 0;
  return lines.filter((one) => end(one) > now).sort((a, b) => end(a) - end(b));
}

/** What has not begun, the first to begin first; what runs is told as maintenance. */
export function later<T extends Window>(planned: T[] | undefined, now: number): T[] {
  const begin = (one: Window) => toMs(one.from) ?? 0;
  return (planned ?? []).filter((one) => begin(one) > now).sort((a, b) => begin(a) - begin(b));
}

/** What a field of local date and time says, as an instant; `null` where it says none. */
export function instant(local: string): string | null {
  const at = new Date(local);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** "box-1, box-2 and 3 more" */
export function whose(window: PlannedWindow): string {
  const named = window.names.slice(0, 2).map((one) => one.name);
  const more = window.devices - named.length;
  return named.join(', ') + (more > 0 ? ` and ${more.toLocaleString('en')} more` : '');
}

/** "in 1 h 59 min": to the minute, rounded up, so that nothing seems to be over that is not. */
export function endsIn(until: string, now: number): string {
  const left = (toMs(until) ?? now) - now;
  return left <= 0 ? 'over' : `in ${spanExact(Math.ceil(left / minute) * minute)}`;
}
