/**
 * The list of devices for one filter, fetched page by page as it is scrolled.
 *
 * Invariant: rows of different filters never mix: an answer to an older question is dropped.
 * Invariant: the list is one plain array that grows; a device that changes is another object in
 * its place, and `version` counts what changed, so ten thousand cost no more than those on screen.
 * Invariant: `total` is the server's count, so the scroll bar is right before all is loaded.
 */
import { api, Problem, type Device, type Value } from '../api.ts';
import { live } from './live.svelte.ts';
import { Questions } from './load.svelte.ts';
import { toMs } from './time.ts';

export const page_items = 200;
/** When far behind, such as after a jump to the end or for a change to all. */
export const page_items_far = 1000;
const poll_long_ms = 30_000;

export class FleetList {
  /** Read `version` with it: the array stays the same while it grows. */
  items: Device[] = [];
  version = $state(0);
  /** Counts the pages that were taken in. */
  grown = $state(0);
  total = $state(0);
  problem = $state<Problem | null>(null);
  loaded = $state(false);
  loading = $state(false);
  offset = $state<string | null>(null);

  #filter = '';
  #cursor: string | null = null;
  #askedAt = 0;
  #questions = new Questions();
  #current = this.#questions.begin();
  #wanted = 0;
  #index = new Map<string, number>();

  async ask(filter: string): Promise<void> {
    this.#filter = filter;
    this.#askedAt = Date.now();
    this.#current = this.#questions.begin();
    this.#wanted = Math.max(page_items, this.items.length);
    await this.#fetch(this.#current, null);
  }

  /** Makes sure that the first `count` rows are there or on their way. */
  async reach(count: number): Promise<void> {
    if (count <= this.items.length || this.#cursor === null || this.loading) return;
    this.#wanted = Math.min(count + page_items, this.total);
    await this.#fetch(this.#current, this.#cursor);
  }

  /** Every device that matches, for a change to all of them. */
  async all(): Promise<Device[]> {
    for (;;) {
      // The list may be asked anew meanwhile (a reconnection, another filter): then that one counts.
      this.#wanted = Infinity;
      while (this.loading) await new Promise((done) => setTimeout(done, 50));
      if (this.problem) throw this.problem;
      if (this.#cursor === null) return this.items;
      await this.#fetch(this.#current, this.#cursor);
    }
  }

  async #fetch(current: () => boolean, from: string | null): Promise<void> {
    let cursor = from;
    let fresh = from === null;
    this.loading = true;
    try {
      do {
        const far = this.#wanted - (fresh ? 0 : this.items.length) > 2 * page_items;
        const values = { filter: this.#filter, limit: far ? page_items_far : page_items, cursor };
        const { body, offset } = await api.devices(values);
        if (!current()) return;
        if (fresh) this.#clear();
        fresh = false;
        this.#take(body.items);
        cursor = body.next_cursor;
        this.total = body.total_matching ?? this.items.length;
        this.offset = offset;
      } while (cursor !== null && this.items.length < this.#wanted);
      this.#cursor = cursor;
      this.problem = null;
      this.loaded = true;
    } catch (error) {
      if (current()) this.problem = Problem.from(error);
    } finally {
      if (current()) this.loading = false;
    }
  }

  /** Asks again, but while polling a long list only now and then: all of it would be fetched. */
  again(why: 'connected' | 'poll'): void {
    const long = this.items.length > page_items_far;
    if (why === 'poll' && (this.loading || (long && Date.now() - this.#askedAt < poll_long_ms))) return;
    void this.ask(this.#filter);
  }

  #clear(): void {
    this.items = [];
    this.#index.clear();
  }
  #take(more: Device[]): void {
    for (const one of more) {
      this.#index.set(one.id, this.items.length);
      this.items.push(one);
    }
    this.grown += 1;
    this.version += 1;
  }
  #change(id: string, change: (device: Device) => Partial<Device>): void {
    const at = this.#index.get(id);
    const device = at === undefined ? undefined : this.items[at];
    if (at === undefined || !device) return;
    this.items[at] = { ...device, ...change(device) };
    this.version += 1;
  }

  /** Keeps the rows on screen fresh; a fleet of ten thousand is not streamed to one page. */
  follow(ids: string[]): () => void {
    return live.subscribe(ids, ['reading', 'status'], {
      reading: (frame) => {
        this.#change(frame.device, (device) => {
          const readings = { ...device.readings };
          let { last_seen } = device;
          for (const [name, one] of Object.entries(frame.readings)) {
            const before = readings[name];
            if (before && (toMs(one.at) ?? 0) < (toMs(before.at) ?? 0)) continue;
            readings[name] = { unit: null, ...before, ...one };
            last_seen = later(last_seen, one.at);
          }
          return { readings, last_seen };
        });
      },
      status: (frame) => {
        this.#change(frame.device, ({ last_seen }) => ({ status: frame.status, last_seen: frame.last_seen ?? last_seen }));
      },
      resync: (why) => this.again(why),
    });
  }
}

function later(a: string | null, b: string): string {
  return a !== null && (toMs(a) ?? 0) > (toMs(b) ?? 0) ? a : b;
}

/** One change to many devices, a few at a time, with what failed and why. */
export interface BulkOutcome {
  done: number;
  total: number;
  failed: { device: Device; words: string }[];
}
/** Requests under way at once; the server is shared with the devices. */
export const bulk_parallel = 4;

export async function bulk(
  devices: Device[],
  change: (device: Device) => Promise<unknown>,
  progress: (outcome: BulkOutcome) => void,
  stopped: () => boolean = () => false,
): Promise<BulkOutcome> {
  const outcome: BulkOutcome = { done: 0, total: devices.length, failed: [] };
  const queue = [...devices];
  const work = async () => {
    for (let device = queue.shift(); device && !stopped(); device = queue.shift()) {
      try {
        await change(device);
      } catch (error) {
        const problem = Problem.from(error);
        const detail = problem.errors[0]?.message ?? problem.detail;
        outcome.failed.push({ device, words: detail === '' ? problem.message : `${problem.message}: ${detail}` });
      }
      outcome.done += 1;
      progress({ ...outcome, failed: [...outcome.failed] });
    }
  };
  await Promise.all(Array.from({ length: bulk_parallel }, work));
  return outcome;
}

/** Devices of one request; the progress is told after each. */
export const bulk_set_devices = 500;

/** One change of settings for many devices: the server judges each on its own. */
export async function bulkSet(
  devices: Device[],
  set: Record<string, Value>,
  progress: (outcome: BulkOutcome) => void,
  stopped: () => boolean = () => false,
): Promise<BulkOutcome> {
  const outcome: BulkOutcome = { done: 0, total: devices.length, failed: [] };
  const byId = new Map(devices.map((one) => [one.id, one]));
  for (let from = 0; from < devices.length && !stopped(); from += bulk_set_devices) {
    const some = devices.slice(from, from + bulk_set_devices);
    try {
      const { body } = await api.setDesiredOfMany(some.map((one) => one.id), set);
      for (const one of body.failed) {
        const device = byId.get(one.device);
        if (device) outcome.failed.push({ device, words: one.reason });
      }
    } catch (error) {
      const problem = Problem.from(error);
      const words = problem.detail === '' ? problem.message : `${problem.message}: ${problem.detail}`;
      outcome.failed.push(...some.map((device) => ({ device, words })));
    }
    outcome.done += some.length;
    progress({ ...outcome, failed: [...outcome.failed] });
  }
  return outcome;
}
