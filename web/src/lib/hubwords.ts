/** What a tab and the browser's shared connection say to each other. */
import type { Wish } from './feed.ts';
import type { Link } from './fallback.ts';

/** A tab says this often that it is still there. */
export const here_ms = 20_000;

export type ToHub = { say: 'want'; wish: Wish } | { say: 'starved' } | { say: 'retry' } | { say: 'bye' };
export type FromHub =
  | { say: 'link'; link: Link; tabs: number }
  | { say: 'byte'; at: number }
  | { say: 'frame'; kind: string; data: unknown; at: number }
  | { say: 'resync'; why: 'connected' | 'poll' };
