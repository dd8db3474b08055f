/**
 * Which way live data comes: WebSocket, else server-sent events, else polling.
 *
 * Invariant: pure; `next` maps a state and what happened to the new state, the transport obeys.
 * Invariant: a way that has carried data is tried again before a worse one is taken, and from a
 * worse one the best is tried again, so a proxy that heals is noticed.
 */

export type Mode = 'websocket' | 'sse' | 'polling';
export interface Link {
  mode: Mode;
  phase: 'connecting' | 'open' | 'waiting';
  /** Failures of this mode since it last worked. */
  failures: number;
  /** Whether this mode carried anything since the page was opened. */
  proven: boolean;
  /** When to act next (connect again, or try the best mode); `null` while nothing is due. */
  due: number | null;
}
export type LinkEvent =
  | { kind: 'opened'; now: number }
  | { kind: 'failed'; now: number }
  /** Bytes or frames did not arrive although the server had some: a proxy that buffers. */
  | { kind: 'starved'; now: number }
  | { kind: 'due'; now: number };

export const backoff_ms_first = 500;
export const backoff_ms_max = 30_000;
/** Failures of an unproven mode before the next worse one is taken. */
export const unproven_failures_max = 2;
/** Failures of a mode that has worked before: the server is probably just restarting. */
export const proven_failures_max = 6;
/** From a worse mode the best one is tried again after this long. */
export const retry_best_ms = 60_000;
/** Without a byte for this long an open stream is checked against the API. */
export const starved_ms = 25_000;

const order: Mode[] = ['websocket', 'sse', 'polling'];

export function start(): Link {
  return { mode: 'websocket', phase: 'connecting', failures: 0, proven: false, due: null };
}

export function next(link: Link, event: LinkEvent): Link {
  switch (event.kind) {
    case 'opened':
      return {
        ...link,
        phase: 'open',
        failures: 0,
        proven: true,
        due: link.mode === 'websocket' ? null : event.now + retry_best_ms,
      };
    case 'starved':
      return step(link, event.now);
    case 'failed':
      return failed(link, event.now);
    case 'due':
      return link.phase === 'waiting'
        ? { ...link, phase: 'connecting', due: null }
        : { ...start() };
  }
}

function failed(link: Link, now: number): Link {
  const failures = link.failures + 1;
  const limit = link.proven ? proven_failures_max : unproven_failures_max;
  if (failures >= limit && link.mode !== 'polling') return step(link, now);
  return { ...link, phase: 'waiting', failures, due: now + backoff(failures) };
}

function step(link: Link, now: number): Link {
  const worse = order[Math.min(order.indexOf(link.mode) + 1, order.length - 1)]!;
  return { mode: worse, phase: 'waiting', failures: 0, proven: false, due: now };
}

export function backoff(failures: number): number {
  return Math.min(backoff_ms_max, backoff_ms_first * 2 ** Math.max(0, failures - 1));
}

/** What the page may claim about its data, and why. */
export interface Truth {
  state: 'live' | 'quiet' | 'connecting' | 'down';
  words: string;
  cause: 'none' | 'device' | 'link' | 'server' | 'browser';
}
export interface Facts {
  now: number;
  online: boolean;
  link: Link;
  /** When the server last answered anything at all. */
  serverAt: number | null;
  /** When the newest reading of what is watched arrived. */
  dataAt: number | null;
  /** Shortest interval at which the watched device should speak. */
  every_ms: number | null;
}

/** "Live" only while data flow; after three missed intervals the age and the cause. */
export function truth(facts: Facts, span: (ms: number) => string): Truth {
  if (!facts.online) return down('this browser is offline', 'browser');
  const serverAge = facts.serverAt === null ? Infinity : facts.now - facts.serverAt;
  if (facts.link.phase !== 'open') {
    if (facts.serverAt !== null && serverAge > starved_ms) {
      return down(`no answer from the server for ${span(serverAge)}`, 'server');
    }
    return { state: 'connecting', words: 'connecting', cause: 'link' };
  }
  if (serverAge > starved_ms + 10_000 && facts.serverAt !== null) {
    return down(`no answer from the server for ${span(serverAge)}`, 'server');
  }
  if (facts.dataAt === null) {
    return { state: 'quiet', words: 'no data yet', cause: 'device' };
  }
  const silence = facts.now - facts.dataAt;
  const allowed = 3 * Math.max(1000, facts.every_ms ?? 10_000);
  if (silence > allowed) {
    return { state: 'quiet', words: `no data for ${span(silence)}`, cause: 'device' };
  }
  return { state: 'live', words: 'live', cause: 'none' };
}

function down(words: string, cause: Truth['cause']): Truth {
  return { state: 'down', words, cause };
}
