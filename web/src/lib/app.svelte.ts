/**
 * What every page shares: the server's status, the passing of time, and the reader's choices.
 *
 * Invariant: `now` is the server's time as far as this browser can know it.
 */
import { api, clock, Problem, type Status } from '../api.ts';

type Theme = 'system' | 'light' | 'dark';
type Density = 'comfortable' | 'compact';

const status_ms = 5000;

class App {
  status = $state<Status | null>(null);
  problem = $state<Problem | null>(null);
  /** When the server last answered, in server time. */
  answeredAt = $state<number | null>(null);
  reasons = $state<string[]>([]);
  /** The server wants to know who this is. */
  signedOut = $state(false);
  /** Messages per second between the last two answers; `null` until there are two. */
  messages_per_s = $state<number | null>(null);
  now = $state(Date.now());
  online = $state(navigator.onLine);
  theme = $state(read<Theme>('iotbiz.theme', ['light', 'dark'], 'system'));
  density = $state(read<Density>('iotbiz.density', ['compact'], 'comfortable'));
  keys = $state(read<'on' | 'off'>('iotbiz.keys', ['off'], 'on') === 'on');
  /** Short spoken and shown notes ("copied"). */
  note = $state('');

  #counted: { at: number; messages: number } | null = null;
  #noteTimer: ReturnType<typeof setTimeout> | undefined;

  begin(): void {
    setInterval(() => (this.now = Date.now() + clock.skew_ms), 500);
    addEventListener('online', () => (this.online = true));
    addEventListener('offline', () => (this.online = false));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#paint());
    // Asked twice at once, so that a rate is known before the reader looks for it.
    void this.refresh().then(() => setTimeout(() => void this.refresh(), 1500));
    setInterval(() => void this.refresh(), status_ms);
  }

  async refresh(): Promise<void> {
    try {
      const status = (await api.status()).body;
      this.status = status;
      this.problem = null;
      this.signedOut = false;
      this.#rate(status);
      this.now = Date.now() + clock.skew_ms;
      this.answeredAt = this.now;
      // A server that answers may still be catching up; it knows why better than we do.
      const ready = await api.ready();
      this.reasons = ready.ready ? [] : ready.reasons;
    } catch (error) {
      this.problem = Problem.from(error);
      this.signedOut = this.problem.status === 401;
    }
  }

  #rate(status: Status): void {
    const { messages } = status.counts;
    if (status.rates) this.messages_per_s = status.rates.messages_per_s;
    if (messages === undefined) return;
    const now = performance.now();
    const before = this.#counted;
    // Two answers in one second say little; a smaller count is another log.
    if (before && now - before.at < 1000 && messages >= before.messages) return;
    this.#counted = { at: now, messages };
    if (before && messages >= before.messages) {
      this.messages_per_s = ((messages - before.messages) * 1000) / (now - before.at);
    }
  }

  async signOut(): Promise<void> {
    await api.signOut();
    location.assign('/');
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    write('iotbiz.theme', theme === 'system' ? null : theme);
    this.#paint();
  }

  setDensity(density: Density): void {
    this.density = density;
    write('iotbiz.density', density === 'compact' ? density : null);
    document.documentElement.dataset.density = density;
  }

  setKeys(on: 'on' | 'off'): void {
    this.keys = on === 'on';
    write('iotbiz.keys', on === 'off' ? on : null);
  }

  say(text: string): void {
    this.note = text;
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => (this.note = ''), 3500);
  }

  #paint(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const shown = this.theme === 'system' ? (dark ? 'dark' : 'light') : this.theme;
    document.documentElement.dataset.theme = shown;
    // Canvas colours are read once; the chart repaints on this event.
    dispatchEvent(new Event('iotbiz:theme'));
  }
}

function read<T extends string>(key: string, known: T[], fallback: T): T {
  try {
    const value = localStorage.getItem(key) as T | null;
    return value !== null && known.includes(value) ? value : fallback;
  } catch {
    // Storage may be closed to us; the choice then lasts as long as the page.
    return fallback;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // As above.
  }
}

export const app = new App();
