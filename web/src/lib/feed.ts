/**
 * One connection to the server's feed: WebSocket, else server-sent events, else polling.
 *
 * Invariant: `link` tells the truth: `open` means bytes came within `starved_ms` or the API
 * confirms there was nothing to send.
 * Invariant: after a break the server is asked for what came after the last offset heard, and
 * `resync` tells that the rest must be fetched.
 * Invariant: no page and no framework in here, so it runs in a shared worker as well.
 */
import { base, query } from './origin.ts';
import { next, start, type Link, type LinkEvent } from './fallback.ts';
import { SseParser } from './sse.ts';

export type Kind = 'reading' | 'message' | 'twin' | 'status' | 'refusal' | 'command' | 'alarm';
/** `devices: null` is the whole fleet. */
export interface Wish {
  devices: string[] | null;
  kinds: Kind[];
}
export interface Hooks {
  link: (link: Link) => void;
  /** Something arrived, also when it carried nothing. */
  byte: (at: number) => void;
  frame: (kind: string, data: unknown) => void;
  resync: (why: 'connected' | 'poll') => void;
}

const poll_ms = 2000;
/** Six connections per origin is all that HTTP/1.1 gives to a browser; two are kept free. */
const sse_slots = 4;
/** More than the server takes in one subscription; then all are asked for and told apart here. */
export const named_devices_max = 500;

export class Feed {
  link: Link = start();

  #hooks: Hooks;
  #wish: Wish = { devices: [], kinds: [] };
  /** The newest offset heard; where the next connection goes on. */
  #heard: number | null = null;
  #socket: WebSocket | null = null;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #poll: ReturnType<typeof setInterval> | null = null;
  #wanted = '';
  #running = false;

  constructor(hooks: Hooks) {
    this.#hooks = hooks;
  }

  begin(): void {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  end(): void {
    this.#running = false;
    this.#close();
  }

  /** The network is back: do not wait for the next try. */
  retry(): void {
    this.#happened({ kind: 'failed', now: Date.now() });
  }

  /** The API showed data which the feed did not carry: try the next way. */
  starved(): void {
    this.#happened({ kind: 'starved', now: Date.now() });
  }

  want(wish: Wish): void {
    const devices = wish.devices !== null && wish.devices.length > named_devices_max ? null : wish.devices;
    this.#wish = { devices, kinds: wish.kinds };
    if (!this.#running || JSON.stringify(this.#wish) === this.#wanted) return;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#ask(this.#socket, null);
    else if (this.link.mode === 'sse' && this.link.phase !== 'waiting') {
      this.#close();
      this.#connect();
    }
  }

  /** The wish sent last is the whole wish; a socket carries everything until it is told one. */
  #ask(socket: WebSocket, after: number | null): void {
    const { devices, kinds } = this.#wish;
    this.#wanted = JSON.stringify(this.#wish);
    const subscribe = { kinds, ...(devices === null ? {} : { devices }), ...(after === null ? {} : { after }) };
    socket.send(JSON.stringify(kinds.length > 0 ? { subscribe } : { unsubscribe: {} }));
  }

  #happened(event: LinkEvent): void {
    this.#close();
    if (!this.#running) return;
    this.link = next(this.link, event);
    this.#hooks.link(this.link);
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
    this.#hooks.byte(Date.now());
    this.#hooks.link(this.link);
    if (this.link.due !== null) this.#arm();
    this.#hooks.resync('connected');
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
    this.#wanted = JSON.stringify(this.#wish);
    if (this.link.mode === 'websocket') this.#connectSocket();
    else if (this.link.mode === 'sse') void this.#connectSse();
    else this.#connectPolling();
  }

  #connectSocket(): void {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}${base}/stream`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#ask(socket, this.#heard);
      this.#opened();
    };
    socket.onmessage = (event) => {
      this.#hooks.byte(Date.now());
      const parsed = parse(String(event.data)) as { kind?: string; offset?: number; data?: unknown } | null;
      if (parsed?.kind) this.#took(parsed.kind, parsed.offset ?? null, parsed.data);
    };
    socket.onclose = () => {
      if (this.#socket === socket) this.#happened({ kind: 'failed', now: Date.now() });
    };
  }

  async #connectSse(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const { devices, kinds } = this.#wish;
    const run = async () => {
      const search = query({
        devices: devices?.join(',') ?? null,
        // Naming no kind would mean all of them; refusals are the fewest.
        kinds: kinds.join(',') || 'refusal',
      });
      const response = await fetch(`${base}/stream${search}`, {
        headers: { accept: 'text/event-stream', ...(this.#heard === null ? {} : { 'last-event-id': String(this.#heard) }) },
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
      this.#hooks.byte(Date.now());
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        this.#took(event.event, event.id === null ? null : Number(event.id), parse(event.data));
      }
    }
  }

  #connectPolling(): void {
    this.#opened();
    this.#poll = setInterval(() => {
      this.#hooks.byte(Date.now());
      this.#hooks.resync('poll');
    }, poll_ms);
  }

  #took(kind: string, offset: number | null, data: unknown): void {
    if (data === null || typeof data !== 'object') return;
    if (offset !== null && Number.isFinite(offset)) this.#heard = Math.max(this.#heard ?? 0, offset);
    // The server dropped what this feed could not take in time: what was missed is fetched.
    if (kind === 'behind') this.#hooks.resync('connected');
    else this.#hooks.frame(kind, data);
  }
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
