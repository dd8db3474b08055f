/**
 * The live feed of this tab. One connection serves all tabs of the browser, in a shared worker;
 * a browser without shared workers has one for each tab.
 *
 * Invariant: `link` tells the truth about the connection, `shared` about whose it is.
 * Invariant: after each (re)connection subscribers get `resync`, so what was missed is fetched.
 */
import type { DeviceCommand, DeviceStatus, Message, Refusal, Value } from '../api.ts';
import type { Alarm } from './alarms.ts';
import { start, type Link } from './fallback.ts';
import type { Feed, Hooks, Kind, Wish } from './feed.ts';
import { here_ms, type FromHub, type ToHub } from './hubwords.ts';
import { union, wants } from './wishes.ts';

export interface ReadingFrame {
  device: string;
  offset: number;
  readings: Record<string, { value: Value; at: string; mark?: string }>;
}
export interface Handlers {
  reading?: (frame: ReadingFrame) => void;
  message?: (frame: Message & { device: string }) => void;
  twin?: (frame: { device: string; desired_version: number; pending: string[] }) => void;
  status?: (frame: { device: string; status: DeviceStatus; last_seen: string | null }) => void;
  refusal?: (frame: Refusal) => void;
  command?: (frame: { device: string; command: DeviceCommand }) => void;
  alarm?: (frame: { device: string; transition: string | null; alarm: Alarm }) => void;
  /** Fetch again: after a connection, and at each beat while polling. */
  resync?: (why: 'connected' | 'poll') => void;
}
interface Subscription extends Wish {
  handlers: Handlers;
}

/** A worker that has not answered by then is not there: this tab connects itself. */
const hub_ms_max = 4000;

/** What carries the frames to this tab. */
interface Carrier {
  want: (wish: Wish) => void;
  starved: () => void;
  retry: () => void;
  end: () => void;
}

class Live {
  link = $state<Link>(start());
  /** When the last byte of the feed arrived. */
  byteAt = $state<number | null>(null);
  frames = $state(0);
  /** Tabs that share the connection; `null` when it is this tab's own. */
  tabs = $state<number | null>(null);

  #subscriptions = new Set<Subscription>();
  #carrier: Carrier | null = null;
  #wanted = '';

  /** `devices: null` is the whole fleet. Returns the function that ends it. */
  subscribe(devices: string[] | null, kinds: Kind[], handlers: Handlers): () => void {
    const subscription = { devices, kinds, handlers };
    this.#subscriptions.add(subscription);
    this.#refresh();
    return () => {
      this.#subscriptions.delete(subscription);
      this.#refresh();
    };
  }

  /**
   * For lists that the API counts: tells that something of these kinds changed in the fleet, once for
   * all that comes within `wait_ms`. Returns the function that ends it.
   */
  changes(kinds: Kind[], wait_ms: number, tell: () => void): () => void {
    let due: ReturnType<typeof setTimeout> | undefined;
    const soon = () => {
      due ??= setTimeout(() => {
        due = undefined;
        tell();
      }, wait_ms);
    };
    const handlers = Object.fromEntries([...kinds, 'resync'].map((kind) => [kind, soon]));
    const end = this.subscribe(null, kinds, handlers);
    return () => {
      clearTimeout(due);
      end();
    };
  }

  /** The API showed data which the feed did not carry: try the next way. */
  starved(): void {
    this.#carrier?.starved();
  }

  /** For a page that is not signed in: no way would carry. */
  end(): void {
    this.#carrier?.end();
    this.#carrier = null;
  }

  /** Connects also while nobody subscribes, because the shell shows the state of the link. */
  begin(): void {
    if (this.#carrier) return;
    this.#carrier = this.#join() ?? this.#own();
    this.#wanted = '';
    this.#refresh();
    addEventListener('online', () => this.#carrier?.retry());
  }

  #refresh(): void {
    const wish = union(this.#subscriptions);
    const wanted = JSON.stringify(wish);
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#carrier?.want(wish);
  }

  #hooks(): Hooks {
    return {
      link: (link) => (this.link = link),
      byte: (at) => (this.byteAt = at),
      frame: (kind, data) => this.#deliver(kind, data),
      resync: (why) => this.#each((handlers) => handlers.resync?.(why)),
    };
  }

  #own(): Carrier {
    this.tabs = null;
    let feed: Feed | null = null;
    let wish = union(this.#subscriptions);
    let ended = false;
    // Most browsers share one connection and never load this.
    void import('./feed.ts').then((loaded) => {
      if (ended) return;
      feed = new loaded.Feed(this.#hooks());
      feed.want(wish);
      feed.begin();
    });
    return {
      want: (now) => {
        wish = now;
        feed?.want(now);
      },
      starved: () => feed?.starved(),
      retry: () => feed?.retry(),
      end: () => {
        ended = true;
        feed?.end();
      },
    };
  }

  /** The browser's shared connection, or `null` where there is none to be had. */
  #join(): Carrier | null {
    if (typeof SharedWorker === 'undefined') return null;
    let worker: SharedWorker;
    try {
      worker = new SharedWorker(new URL('./hub.ts', import.meta.url), { type: 'module', name: 'iotbiz live' });
    } catch {
      // A browser may forbid workers altogether (private windows, policies).
      return null;
    }
    const { port } = worker;
    const say = (words: ToHub) => port.postMessage(words);
    let wish: Wish = union(this.#subscriptions);
    const here = setInterval(() => say({ say: 'want', wish }), here_ms);
    const leave = () => say({ say: 'bye' });
    const back = (event: PageTransitionEvent) => event.persisted && say({ say: 'want', wish });
    const end = () => {
      clearInterval(here);
      clearTimeout(late);
      removeEventListener('pagehide', leave);
      removeEventListener('pageshow', back);
      leave();
      port.close();
    };
    const carrier = { want: (now: Wish) => say({ say: 'want', wish: (wish = now) }), starved: () => say({ say: 'starved' }), retry: () => say({ say: 'retry' }), end };
    const alone = () => {
      if (this.#carrier !== carrier) return;
      end();
      this.#carrier = this.#own();
      this.#carrier.want(wish);
    };
    const late = setTimeout(alone, hub_ms_max);
    worker.onerror = alone;
    addEventListener('pagehide', leave);
    addEventListener('pageshow', back);
    port.onmessage = (event: MessageEvent<FromHub>) => {
      clearTimeout(late);
      this.#heard(event.data);
    };
    say({ say: 'want', wish });
    return carrier;
  }

  #heard(words: FromHub): void {
    switch (words.say) {
      case 'link':
        this.link = words.link;
        this.tabs = words.tabs;
        return;
      case 'byte':
        this.byteAt = words.at;
        return;
      case 'frame':
        this.byteAt = words.at;
        this.#deliver(words.kind, words.data);
        return;
      case 'resync':
        this.byteAt ??= Date.now();
        this.#each((handlers) => handlers.resync?.(words.why));
    }
  }

  #deliver(kind: string, data: unknown): void {
    this.frames += 1;
    for (const subscription of [...this.#subscriptions]) {
      if (!wants(subscription, kind, data)) continue;
      (subscription.handlers[kind as Kind] as ((data: unknown) => void) | undefined)?.(data);
    }
  }

  #each(act: (handlers: Handlers) => void): void {
    for (const subscription of [...this.#subscriptions]) act(subscription.handlers);
  }
}

export const live = new Live();
