/**
 * What the ear heard: messages and refusals since it listens, and the one sentence about them.
 *
 * Invariant: a refusal of somebody else is never presented as one of this device.
 */
import type { Message, Refusal } from '../api.ts';

export type Heard =
  | { kind: 'received'; at: string; message: Message }
  | { kind: 'quarantined'; at: string; message: Message }
  | { kind: 'refused'; at: string; refusal: Refusal; mine: boolean };

export const heard_max = 100;

export function mine(refusal: Refusal, device: { id: string; name: string }): boolean {
  return refusal.device === device.id || refusal.claimed === device.id || refusal.claimed === device.name;
}

export function fromMessage(message: Message): Heard | null {
  if (message.direction !== 'up') return null;
  // A refused message is also told as a refusal, with its fix; it is not shown twice.
  if (message.outcome === 'refused') return null;
  const kind = message.outcome === 'quarantined' ? 'quarantined' : 'received';
  return { kind, at: message.at, message };
}

export function fromRefusal(refusal: Refusal, device: { id: string; name: string }): Heard {
  return { kind: 'refused', at: refusal.at, refusal, mine: mine(refusal, device) };
}

function key(heard: Heard): string {
  return heard.kind === 'refused'
    ? `r ${heard.at} ${heard.refusal.claimed} ${heard.refusal.reason} ${heard.refusal.peer}`
    : `m ${heard.message.offset} ${heard.message.topic}`;
}

/** Newest first, each once. */
export function merge(more: Heard[], known: Heard[]): Heard[] {
  const seen = new Set<string>();
  return [...more, ...known]
    .filter((heard) => {
      const own = key(heard);
      if (seen.has(own)) return false;
      seen.add(own);
      return true;
    })
    .sort((a, b) => Date.parse(b.at) - Date.parse(a.at))
    .slice(0, heard_max);
}

/** The newest that concerns this device; `null` while it has only listened. */
export function headline(list: Heard[]): Heard | null {
  return list.find((heard) => heard.kind !== 'refused' || heard.mine) ?? null;
}

/** Fixes of a refusal as a list, whatever way the server wrote them. */
export function fixes(refusal: Refusal): string[] {
  if (!refusal.fix) return [];
  return Array.isArray(refusal.fix) ? refusal.fix : [refusal.fix];
}
