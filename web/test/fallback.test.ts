import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fallback from '../src/lib/fallback.ts';
import { span } from '../src/lib/time.ts';
import { pick, random } from './random.ts';

const { next, start } = fallback;
function fail(link: fallback.Link, times: number): fallback.Link {
  let now = link;
  for (let at = 0; at < times; at += 1) {
    now = next(now, { kind: 'failed', now: 1000 });
    if (now.phase === 'waiting') now = next(now, { kind: 'due', now: now.due! });
  }
  return now;
}

test('a WebSocket that never opens gives way to the event stream, and that to polling', () => {
  const sse = fail(start(), fallback.unproven_failures_max);
  assert.equal(sse.mode, 'sse');
  assert.equal(fail(sse, fallback.unproven_failures_max).mode, 'polling');
});

test('polling never gives way to nothing', () => {
  const polling = fail(start(), 20);
  assert.equal(polling.mode, 'polling');
  assert.equal(fail(polling, 50).mode, 'polling');
});

test('a way that worked is tried again while the server restarts', () => {
  const open = next(start(), { kind: 'opened', now: 0 });
  assert.equal(fail(open, fallback.proven_failures_max - 1).mode, 'websocket');
  assert.equal(fail(open, fallback.proven_failures_max).mode, 'sse');
});

test('the wait doubles up to its limit', () => {
  assert.deepEqual([1, 2, 3, 20].map(fallback.backoff), [500, 1000, 2000, fallback.backoff_ms_max]);
});

test('a stream that is open but carries nothing gives way at once', () => {
  const open = next(start(), { kind: 'opened', now: 0 });
  const link = next(open, { kind: 'starved', now: 5 });
  assert.deepEqual([link.mode, link.phase, link.due], ['sse', 'waiting', 5]);
});

test('from a worse way the best is tried again after a minute', () => {
  const sse = next(fail(start(), 2), { kind: 'opened', now: 1000 });
  assert.equal(sse.due, 1000 + fallback.retry_best_ms);
  const again = next(sse, { kind: 'due', now: sse.due });
  assert.deepEqual([again.mode, again.phase], ['websocket', 'connecting']);
});

test('whatever happens, the link is connecting, open, or knows when to act', () => {
  const roll = random(3);
  let link = start();
  for (let at = 0; at < 5000; at += 1) {
    const kind = pick(roll, ['opened', 'failed', 'starved', 'due'] as const);
    link = next(link, { kind, now: at });
    assert.ok(link.phase !== 'waiting' || link.due !== null, `${at} ${kind}`);
  }
});

const facts = (more: Partial<fallback.Facts>): fallback.Facts => ({
  now: 100_000,
  online: true,
  link: { mode: 'websocket', phase: 'open', failures: 0, proven: true, due: null },
  serverAt: 99_000,
  dataAt: 99_000,
  every_ms: 1000,
  ...more,
});
const words = (more: Partial<fallback.Facts>) => {
  const found = fallback.truth(facts(more), span);
  return `${found.state}, ${found.cause}: ${found.words}`;
};

test('live is said only while data flow', () => {
  assert.equal(words({}), 'live, none: live');
  assert.equal(words({ dataAt: 97_000 }), 'live, none: live');
  assert.equal(words({ dataAt: 66_000 }), 'quiet, device: no data for 34 s');
  assert.equal(words({ dataAt: 66_000, every_ms: 60_000 }), 'live, none: live');
  assert.equal(words({ dataAt: null }), 'quiet, device: no data yet');
});

test('the cause is named: browser, server, link, device', () => {
  assert.equal(words({ online: false }), 'down, browser: this browser is offline');
  assert.equal(words({ serverAt: 10_000 }), 'down, server: no answer from the server for 1 min');
  const connecting = { mode: 'sse', phase: 'waiting', failures: 1, proven: false, due: 1 } as const;
  assert.equal(words({ link: connecting }), 'connecting, link: connecting');
  assert.equal(words({ link: connecting, serverAt: 50_000 }), 'down, server: no answer from the server for 50 s');
});
