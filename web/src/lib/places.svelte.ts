/**
 * Where the devices of a filter are: all of them, for the map.
 *
 * Invariant: an answer to an older question is dropped; a device counts in `points` or in
 * `nowhere`, never in neither.
 * Invariant: arrays instead of an object a device, so that ten thousand cost milliseconds.
 */
import { api, Problem, type Device, type DeviceStatus, type Origin } from '../api.ts';
import { states, toWorld, type Points } from './geo.ts';
import { live } from './live.svelte.ts';
import { Questions } from './load.svelte.ts';

export interface Place {
  id: string;
  name: string;
  status: DeviceStatus;
  origin: Origin;
  latitude: number;
  longitude: number;
  /** When the position was measured. */
  at: string;
  offset: number | null;
  property: string;
}
const page_items = 1000;
/** More than this is not asked for; the map says so. */
export const places_max = 50_000;
/** Up to here each device is followed live; beyond, all are asked again now and then. */
export const followed_max = 300;
const again_ms = 30_000;

export class Places {
  list = $state.raw<Place[]>([]);
  points = $state.raw<Points>(empty());
  /** Devices that match and told no position. */
  nowhere = $state(0);
  total = $state(0);
  problem = $state<Problem | null>(null);
  /** When all was asked for last; `null` until the first answer is whole. */
  wholeAt = $state<number | null>(null);
  loading = $state(false);
  offset = $state<string | null>(null);

  #questions = new Questions();
  #filter = '';

  async ask(filter: string): Promise<void> {
    if (filter !== this.#filter) this.wholeAt = null;
    this.#filter = filter;
    await this.#fetch(this.#questions.begin());
  }

  async #fetch(current: () => boolean): Promise<void> {
    this.loading = true;
    const found: Place[] = [];
    let [cursor, seen] = [null as string | null, 0];
    try {
      do {
        const { body, offset } = await api.devices({ filter: this.#filter, limit: page_items, cursor });
        if (!current()) return;
        seen += body.items.length;
        for (const device of body.items) {
          const place = placeOf(device);
          if (place) found.push(place);
        }
        cursor = body.next_cursor;
        this.total = body.total_matching ?? seen;
        this.offset = offset;
        // The first answer grows before the eyes; a repeated one replaces what is there at its end.
        if (this.wholeAt === null || cursor === null) this.#take([...found], seen);
      } while (cursor !== null && seen < places_max);
      this.#take(found, seen);
      this.wholeAt = Date.now();
      this.problem = null;
    } catch (error) {
      if (current()) this.problem = Problem.from(error);
    } finally {
      if (current()) this.loading = false;
    }
  }

  #take(found: Place[], seen: number): void {
    this.list = found;
    this.nowhere = seen - found.length;
    this.points = pointsOf(found);
  }

  /** Keeps what is shown fresh. Returns the function that ends it. */
  follow(): () => void {
    const ids = this.list.map((one) => one.id);
    const resync = () => void this.ask(this.#filter);
    if (ids.length > 0 && ids.length <= followed_max) {
      return live.subscribe(ids, ['reading', 'status'], {
        reading: (frame) => {
          const [property, reading] = Object.entries(frame.readings).find(([, one]) => position(one.value)) ?? [];
          if (!property || !reading) return;
          const [latitude, longitude] = position(reading.value)!;
          this.#change(frame.device, { latitude, longitude, at: reading.at, offset: frame.offset, property });
        },
        status: (frame) => this.#change(frame.device, { status: frame.status }),
        resync: (why) => why === 'connected' && this.wholeAt !== null && Date.now() - this.wholeAt > 2000 && resync(),
      });
    }
    const timer = setInterval(() => !document.hidden && !this.loading && resync(), again_ms);
    return () => clearInterval(timer);
  }

  #change(id: string, change: Partial<Place>): void {
    const at = this.list.findIndex((one) => one.id === id);
    const before = this.list[at];
    if (!before) return;
    this.list = this.list.with(at, { ...before, ...change });
    this.points = pointsOf(this.list);
  }
}

export function position(value: unknown): [number, number] | null {
  const [latitude, longitude] = Array.isArray(value) ? value : [];
  if (typeof latitude !== 'number' || typeof longitude !== 'number' || value instanceof Array && value.length !== 2) return null;
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? [latitude, longitude] : null;
}

export function placeOf(device: Device): Place | null {
  for (const [property, reading] of Object.entries(device.readings)) {
    const found = position(reading.value);
    if (!found) continue;
    const { id, name, status, origin } = device;
    return { id, name, status, origin: reading.origin ?? origin, latitude: found[0], longitude: found[1], at: reading.at, offset: reading.offset ?? null, property };
  }
  return null;
}

function empty(): Points {
  return { x: new Float64Array(0), y: new Float64Array(0), state: new Uint8Array(0), count: 0 };
}

export function pointsOf(list: Place[]): Points {
  const points = { x: new Float64Array(list.length), y: new Float64Array(list.length), state: new Uint8Array(list.length), count: list.length };
  list.forEach((one, at) => {
    const spot = toWorld(one.latitude, one.longitude);
    points.x[at] = spot.x;
    points.y[at] = spot.y;
    points.state[at] = states.indexOf(one.status);
  });
  return points;
}
