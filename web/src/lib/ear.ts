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

/** Reasons whose word for programs is no phrase for people. */
const phrases: Record<string, string> = {
  ca_as_leaf: 'authority in place of a certificate',
  claim_token: 'claim token, not its own',
  connect_refused: 'connection refused',
  device_clock: 'clock of the device is wrong',
  device_distrusts_ca: 'device does not trust this server',
  device_refuses_certificate: 'device refuses this server’s certificate',
  not_mqtt: 'not MQTT',
  not_tls: 'no TLS where TLS is spoken',
  tls_broken_off: 'TLS broke off',
  tls_failed: 'TLS did not succeed',
  tls_too_old: 'TLS too old',
  tls_unavailable: 'TLS of this server does not work',
  unlisted_serial: 'serial number not in the list',
  serial_taken: 'serial number is taken',
  used_up: 'claim is used up',
  unknown_id: 'unknown name or id',
};

/** A reason such as wrong_token in words. */
export function reasonWords(reason: string): string {
  return phrases[reason] ?? reason.replaceAll('_', ' ');
}

/** A refusal before anybody said a name, as in a handshake of TLS: it may be any device. */
export function nameless(refusal: Refusal): boolean {
  return refusal.device === null && refusal.claimed === '';
}

/** What the door says to a device that wanted to get in with a claim; nothing else has these words. */
const claimReasons = ['serial_taken', 'unlisted_serial', 'malformed_serial', 'wrong_kind', 'used_up', 'claim_revoked'];

/** Devices of a production run that were turned away: the newest of each serial number and reason. */
export function turnedAway(refusals: Refusal[]): { refusal: Refusal; times: number }[] {
  const found = new Map<string, { refusal: Refusal; times: number }>();
  for (const refusal of refusals) {
    if (!claimReasons.includes(refusal.reason)) continue;
    const key = `${refusal.reason} ${refusal.claimed}`;
    const before = found.get(key);
    if (!before) found.set(key, { refusal, times: 1 });
    else if (Date.parse(refusal.at) > Date.parse(before.refusal.at)) found.set(key, { refusal, times: before.times + 1 });
    else before.times += 1;
  }
  return [...found.values()].sort((a, b) => Date.parse(b.refusal.at) - Date.parse(a.refusal.at));
}
