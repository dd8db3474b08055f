/**
 * The live feed of this tab: one connection, shared by everything on the page.
 *
 * Invariant: `link` tells the truth: `open` means bytes came within `starved_ms` or the API
 * confirms there was nothing to send.
 * Invariant: after each (re)connection subscribers get `onResync`, so what was missed is fetched.
 */
import { base, query, type DeviceStatus, type Message, type Refusal, type Value } from '../api.ts';
import { next, start, type Link, type LinkEvent } from './fallback.ts';
import { SseParser } from './sse.ts';

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
  /** Fetch again: after a connection, and at each beat while polling. */
  resync?: (why: 'connected' | 'poll') => void;
}
type Kind = 'reading' | 'message' | 'twin' | 'status' | 'refusal';
interface Subscription {
  devices: string[] | null;
  kinds: Kind[];
  handlers: Handlers;
}

const poll_ms = 2000;
/** Six connections per origin is all that HTTP/1.1 gives to a browser; two are kept free. */
const sse_slots = 4;

class Live {
  link = $state<Link>(start());
  /** When the last byte of the feed arrived. */
  byteAt = $state<number | null>(null);
  frames = $state(0);

  #subscriptions = new Set<Subscription>();
  #socket: WebSocket | null = null;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #poll: ReturnType<typeof setInterval> | null = null;
  #wanted = '';
  #running = false;

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

  /** The API showed data which the feed did not carry: try the next way. */
  starved(): void {
    this.#happened({ kind: 'starved', now: Date.now() });
  }

  /** For a page that is not signed in: no way would carry. */
  end(): void {
    this.#running = false;
    this.#close();
  }

  /** Connects also while nobody subscribes, because the shell shows the state of the link. */
  begin(): void {
    if (this.#running) return;
    this.#running = true;
    addEventListener('online', () => this.#happened({ kind: 'failed', now: Date.now() }));
    this.#connect();
  }

  #union(): { devices: string[] | null; kinds: Kind[] } {
    const devices = new Set<string>();
    const kinds = new Set<Kind>();
    let all = false;
    for (const subscription of this.#subscriptions) {
      for (const kind of subscription.kinds) kinds.add(kind);
      if (subscription.devices === null) all = true;
      else for (const device of subscription.devices) devices.add(device);
    }
    return { devices: all ? null : [...devices].sort(), kinds: [...kinds].sort() };
  }

  #refresh(): void {
    const union = this.#union();
    const wanted = JSON.stringify(union);
    if (!this.#running || wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (this.#socket?.readyState === WebSocket.OPEN) {
      // The wish sent last is the whole wish.
      this.#socket.send(JSON.stringify(union.kinds.length > 0 ? { subscribe: frame(union) } : { unsubscribe: {} }));
    } else if (this.link.mode === 'sse' && this.link.phase !== 'waiting') {
      this.#close();
      this.#connect();
    }
  }

  #happened(event: LinkEvent): void {
    this.#close();
    if (!this.#running) return;
    this.link = next(this.link, event);
    if (this.link.phase === 'connecting') this.#connect();
    else if (this.link.due !== null) this.#arm();
  }

  #arm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const wait = Math.max(0, (this.link.due ?? 0) - Date.now());
    // Spread over half the wait, so that a thousand consoles do not return in one moment.
    const jitter = wait * 0.5 * Math.random();
    this.#timer = setTimeout(() => this.#happened({ kind: 'due', now: Date.now() }), wait + jitter);
  }

  #opened(): void {
    this.link = next(this.link, { kind: 'opened', now: Date.now() });
    this.byteAt = Date.now();
    if (this.link.due !== null) this.#arm();
    this.#each((handlers) => handlers.resync?.('connected'));
  }

  #close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#poll) clearInterval(this.#poll);
    this.#timer = null;
    this.#poll = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#abort?.abort();
    this.#abort = null;
  }

  #connect(): void {
    const union = this.#union();
    this.#wanted = JSON.stringify(union);
    if (this.link.mode === 'websocket') this.#connectSocket(union);
    else if (this.link.mode === 'sse') void this.#connectSse(union);
    else this.#connectPolling();
  }

  #connectSocket(union: { devices: string[] | null; kinds: Kind[] }): void {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}${base}/stream`);
    this.#socket = socket;
    socket.onopen = () => {
      // A socket carries everything until it is told what is wanted.
      socket.send(JSON.stringify(union.kinds.length > 0 ? { subscribe: frame(union) } : { unsubscribe: {} }));
      this.#opened();
    };
    socket.onmessage = (event) => {
      this.byteAt = Date.now();
      const parsed = parse(String(event.data)) as { kind?: string; data?: unknown } | null;
      if (parsed?.kind) this.#deliver(parsed.kind, parsed.data);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#happened({ kind: 'failed', now: Date.now() });
    };
  }

  async #connectSse(union: { devices: string[] | null; kinds: Kind[] }): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const run = async () => {
      const search = query({
        devices: union.devices?.join(',') ?? null,
        // Naming no kind would mean all of them; refusals are the fewest.
        kinds: union.kinds.join(',') || 'refusal',
      });
      const response = await fetch(`${base}/stream${search}`, {
        headers: { accept: 'text/event-stream' },
        signal: abort.signal,
      });
      const type = response.headers.get('content-type') ?? '';
      if (!response.ok || !type.startsWith('text/event-stream') || !response.body) {
        throw new Error(`stream answered ${response.status}`);
      }
      this.#opened();
      await this.#read(response.body, abort);
    };
    try {
      await withSlot(abort.signal, run);
    } catch {
      // The reason is the same for the reader of the page: this way does not carry.
    }
    if (this.#abort === abort) this.#happened({ kind: 'failed', now: Date.now() });
  }

  async #read(body: ReadableStream<Uint8Array>, abort: AbortController): Promise<void> {
    const parser = new SseParser();
    const decoder = new TextDecoder();
    const reader = body.getReader();
    while (!abort.signal.aborted) {
      const { done, value } = await reader.read();
      if (done) return;
      this.byteAt = Date.now();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        this.#deliver(event.event, parse(event.data));
      }
    }
  }

  #connectPolling(): void {
    this.#opened();
    this.#poll = setInterval(() => {
      this.byteAt = Date.now();
      this.#each((handlers) => handlers.resync?.('poll'));
    }, poll_ms);
  }

  #deliver(kind: string, data: unknown): void {
    if (data === null || typeof data !== 'object') return;
    this.frames += 1;
    // The server dropped what this page could not take in time: what was missed is fetched.
    if (kind === 'behind') return this.#each((handlers) => handlers.resync?.('connected'));
    const device = (data as { device?: string | null }).device ?? null;
    for (const subscription of [...this.#subscriptions]) {
      if (!subscription.kinds.includes(kind as Kind)) continue;
      const { devices, handlers } = subscription;
      // A refusal may name no device; the subscriber decides whether it is meant.
      if (devices !== null && kind !== 'refusal' && !(device && devices.includes(device))) continue;
      (handlers[kind as Kind] as ((data: unknown) => void) | undefined)?.(data);
    }
  }

  #each(act: (handlers: Handlers) => void): void {
    for (const subscription of [...this.#subscriptions]) act(subscription.handlers);
  }
}

function frame(union: { devices: string[] | null; kinds: Kind[] }): object {
  return union.devices === null
    ? { kinds: union.kinds }
    : { devices: union.devices, kinds: union.kinds };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Runs with one of the browser's few stream slots, or throws when other tabs hold them all. */
async function withSlot(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  if (!('locks' in navigator)) return run();
  for (let slot = 0; slot < sse_slots && !signal.aborted; slot += 1) {
    const taken = await navigator.locks.request(
      `iotbiz.stream.${slot}`,
      { ifAvailable: true },
      async (lock) => {
        if (lock === null) return false;
        await run();
        return true;
      },
    );
    if (taken) return;
  }
  throw new Error(`all ${sse_slots} stream slots are in use`);
}

export const live = new Live();
