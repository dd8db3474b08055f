/**
 * The alarms that are open now, for the rail, the rows of the fleet and the page of a device.
 *
 * Invariant: `known` is false until a server has answered that it has alarms; then nothing is
 * claimed and the feed is not asked for them.
 */
import { Problem, request, type Page } from '../api.ts';
import type { Alarm } from './alarms.ts';

/** More are counted as "more than". */
const open_max = 200;
const again_ms = 10_000;

class OpenAlarms {
  items = $state.raw<Alarm[]>([]);
  known = $state(false);
  /** There are more than `items` holds. */
  more = $state(false);
  byDevice = $derived(group(this.items));

  #asking = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  begin(): void {
    if (this.#timer) return;
    void this.refresh();
    this.#timer = setInterval(() => !document.hidden && void this.refresh(), again_ms);
  }

  async refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const { body } = await request<Page<Alarm>>(`/alarms?state=open&limit=${open_max}`);
      this.items = body.items;
      this.more = body.next_cursor !== null;
      this.known = true;
    } catch (error) {
      // An older server has none; another reason is told by the live mark and the page itself.
      if (Problem.from(error).status === 404) this.known = false;
    } finally {
      this.#asking = false;
    }
  }

  /** One alarm as the feed or an act told it. */
  take(alarm: Alarm): void {
    const others = this.items.filter((one) => one.id !== alarm.id);
    if (alarm.cleared !== null) this.items = others;
    else this.items = [alarm, ...others].sort((a, b) => b.id.localeCompare(a.id));
  }

  get text(): string {
    return this.more ? `${open_max}+` : String(this.items.length);
  }
}

function group(items: Alarm[]): Map<string, Alarm[]> {
  const found = new Map<string, Alarm[]>();
  for (const one of items) found.set(one.device.id, [...(found.get(one.device.id) ?? []), one]);
  return found;
}

/** Open alarms that nobody took or put off, the worst first. */
export function nobodyHas(items: Alarm[], now: number): Alarm[] {
  const rank = { critical: 0, warning: 1, info: 2 };
  const free = items.filter((one) => one.cleared === null && !one.acknowledged && !(one.shelved !== null && Date.parse(one.shelved) > now));
  return free.sort((a, b) => rank[a.severity] - rank[b.severity]);
}

export const openAlarms = new OpenAlarms();
