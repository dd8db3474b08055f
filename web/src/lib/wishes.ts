/**
 * Who wants to hear what: the wish of many as one, and who gets a frame.
 *
 * Invariant: the union covers every wish; a frame reaches those whose own wish names it.
 */
import type { Kind, Wish } from './feed.ts';

export function union(wishes: Iterable<Wish>): Wish {
  const devices = new Set<string>();
  const kinds = new Set<Kind>();
  let all = false;
  for (const wish of wishes) {
    for (const kind of wish.kinds) kinds.add(kind);
    if (wish.devices === null) all = true;
    else for (const device of wish.devices) devices.add(device);
  }
  return { devices: all ? null : [...devices].sort(), kinds: [...kinds].sort() };
}

export function wants(wish: Wish, kind: string, data: unknown): boolean {
  if (!wish.kinds.includes(kind as Kind)) return false;
  // A refusal may name no device; the subscriber decides whether it is meant.
  if (wish.devices === null || kind === 'refusal') return true;
  const device = (data as { device?: string | null } | null)?.device ?? null;
  return device !== null && wish.devices.includes(device);
}
