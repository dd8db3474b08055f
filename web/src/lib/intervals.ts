/** Intervals of a blueprint that a setting drives, and which devices keep to them. */
import { request, type BulkSet, type DeviceStatus, type Value } from '../api.ts';

/** An interval that another text changes: devices keep theirs until they are told. */
export interface MovedInterval {
  kind: string;
  setting: string;
  drives: string;
  words: string;
  devices: number;
}
export interface Unconfirmed {
  device: string;
  name: string;
  state: 'waiting' | 'untold';
  status: DeviceStatus;
  last_seen: string | null;
  told: string | null;
  reported: Value | null;
  /** What happens with it now. */
  next: string;
}
export interface Interval {
  kind: string;
  setting: string;
  drives: string;
  value: number;
  words: string;
  devices: number;
  confirmed: number;
  waiting: number;
  untold: number;
  open: Unconfirmed[];
}
export interface Intervals {
  revision: number;
  items: Interval[];
}

const path = (venture: string) => `/ventures/${encodeURIComponent(venture)}/intervals`;

export const intervalsApi = {
  of: (venture: string) => request<Intervals>(path(venture)),
  /** Tells every device that was not told yet. */
  tell: (venture: string) => request<BulkSet>(path(venture), { method: 'POST' }),
};

/** Devices of the same fate together, in the order of the first of each. */
export function byNext(open: Unconfirmed[]): { next: string; devices: Unconfirmed[] }[] {
  const groups = new Map<string, Unconfirmed[]>();
  for (const one of open) groups.set(one.next, [...(groups.get(one.next) ?? []), one]);
  return [...groups].map(([next, devices]) => ({ next, devices }));
}
