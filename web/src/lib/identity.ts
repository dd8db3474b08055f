/**
 * Claims, credentials and what expires, in the words of the pages.
 *
 * Invariant: nothing here holds or sees a secret.
 * Invariant: a state is judged by the time that is handed in, never by the browser's clock.
 */
import type { Claim, HeldCredential } from '../api.ts';
import { count } from './format.ts';
import { day, toMs } from './time.ts';

export type State = { tone: 'ok' | 'warn' | 'crit' | 'mute' | 'info'; words: string };

/** A claim that ends within this time is told before. */
export const claim_soon_ms = 14 * day;
/** Who ends within so many months had its time to renew: two thirds of a year are over. */
export const due_months = 4;
/** One bar of the months is this long, as the server counts. */
export const month_ms = 30 * day;

export function claimLeft(claim: Pick<Claim, 'uses' | 'uses_max'>): number {
  return Math.max(0, claim.uses_max - claim.uses);
}

/** Whether a device can still use it. */
export function claimOpen(claim: Claim, now: number): boolean {
  return claim.revoked === null && claimLeft(claim) > 0 && now < (toMs(claim.expires) ?? 0);
}

export function claimState(claim: Claim, now: number): State {
  const left = claimLeft(claim);
  const ends = toMs(claim.expires) ?? 0;
  if (claim.revoked !== null) return { tone: 'mute', words: 'revoked' };
  if (left === 0) return { tone: 'mute', words: 'used up' };
  if (now >= ends) return { tone: 'warn', words: `expired with ${left.toLocaleString('en')} left` };
  if (ends - now < claim_soon_ms) return { tone: 'warn', words: `ends with ${left.toLocaleString('en')} left` };
  return { tone: 'ok', words: 'open' };
}

/** Open ones first, the soonest end on top; then those that ended, the newest on top. */
export function claimsInOrder(claims: Claim[], now: number): Claim[] {
  const end = (claim: Claim) => toMs(claim.expires) ?? 0;
  return [...claims].sort((a, b) => {
    const [first, second] = [claimOpen(a, now), claimOpen(b, now)];
    if (first !== second) return first ? -1 : 1;
    return first ? end(a) - end(b) : end(b) - end(a);
  });
}

/** What ends with a claim, before it is revoked. */
export function claimEnds(claim: Claim): string {
  const stay = claim.uses === 0 ? 'It has let in none so far.' : `The ${count(claim.uses, 'device')} it let in ${claim.uses === 1 ? 'stays' : 'stay'}.`;
  return `No further device gets in with it: ${claimLeft(claim).toLocaleString('en')} of ${claim.uses_max.toLocaleString('en')} are not yet claimed. ${stay}`;
}

/** A certificate past two thirds of its life asks for a follower, unless it has one in `all`. */
export function credentialState(held: HeldCredential, all: HeldCredential[], now: number): State {
  const rotate = toMs(held.rotate_by);
  if (held.state === 'revoked') return { tone: 'mute', words: 'revoked' };
  if (held.state === 'expired') return { tone: 'crit', words: 'expired' };
  if (held.state === 'not_yet_valid') return { tone: 'info', words: 'not valid yet' };
  if (rotate === null || now < rotate) return { tone: 'ok', words: 'valid' };
  const ends = toMs(held.expires) ?? 0;
  const followed = all.some((one) => one.kind === 'certificate' && one.state === 'valid' && (toMs(one.expires) ?? 0) > ends);
  return followed ? { tone: 'ok', words: 'valid, has a follower' } : { tone: 'warn', words: 'valid, renew it' };
}

/** Those that open something first, newest first; the ended ones after them. */
export function credentialsInOrder(list: HeldCredential[]): HeldCredential[] {
  const rank = (one: HeldCredential) => (one.state === 'valid' || one.state === 'not_yet_valid' ? 0 : 1);
  return [...list].sort((a, b) => rank(a) - rank(b) || (toMs(b.issued_at) ?? 0) - (toMs(a.issued_at) ?? 0));
}

const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/** "31 Jan 2027" in the reader's zone; a time that is missing is an empty text. */
export function dayText(at: string | number | null | undefined): string {
  const ms = toMs(at);
  return ms === null ? '' : dayFormat.format(ms);
}

/** "in 70 d", "8 d ago"; within a day in hours, because then it matters; far ones in years. */
export function fromNow(at: string | number | null | undefined, now: number): string {
  const ms = toMs(at);
  if (ms === null) return '';
  const away = Math.abs(ms - now);
  const days = Math.floor(away / day);
  const size = days >= years_from_d ? `${Math.floor(days / 365)} years` : away >= day ? `${days} d` : away >= 3_600_000 ? `${Math.floor(away / 3_600_000)} h` : 'less than 1 h';
  return ms >= now ? `in ${size}` : `${size} ago`;
}

/** Beyond this, years say more than days. */
const years_from_d = 730;

const endings: Record<string, string> = { claim: 'Claim batch', maker: 'Authority of a maker,' };

/** What ends: "Claim batch halle-3", "Root of this server". */
export function endingWords(one: { kind: string; name: string }): string {
  const before = endings[one.kind];
  return before ? `${before} ${one.name}` : `${one.name.charAt(0).toUpperCase()}${one.name.slice(1)}`;
}

export interface Month {
  /** One letter, of the month its middle lies in; the last is all that ends later. */
  letter: string;
  words: string;
  devices: number;
}

const letterFormat = new Intl.DateTimeFormat('en-GB', { month: 'narrow' });

export function months(counts: number[], now: number): Month[] {
  return counts.map((devices, index) => {
    const from = now + index * month_ms;
    const last = index === counts.length - 1;
    return {
      letter: last ? 'later' : letterFormat.format(from + month_ms / 2),
      words: last ? `${dayText(from)} or later` : `${dayText(from)} to ${dayText(from + month_ms)}`,
      devices,
    };
  });
}

export const serials_max = 100_000;

/** Serial numbers as they were pasted: one a line or in columns, each once. */
export function readSerials(text: string): { serials: string[]; doubled: number } {
  const all = text.split(/[\s,;]+/).filter((one) => one !== '');
  const serials = [...new Set(all)];
  return { serials, doubled: all.length - serials.length };
}

/** How often and how long it is asked whether a connection was closed. */
export const closing_ask_ms = 100;
export const closing_ms_max = 3000;

/** What became of a connection after a revocation; `null`: still there after `closing_ms_max`. */
export async function closedAfter(
  began: number,
  ask: () => Promise<boolean>,
  clock: { now: () => number; wait: (ms: number) => Promise<void> },
): Promise<number | null> {
  const asked = clock.now();
  for (;;) {
    const connected = await ask();
    const now = clock.now();
    if (!connected) return now - began;
    if (now - asked >= closing_ms_max) return null;
    await clock.wait(closing_ask_ms);
  }
}

/** Seconds with one digit, rounded up, so that nothing looks faster than it was. */
export function secondsText(ms: number): string {
  return `${(Math.max(1, Math.ceil(ms / 100)) / 10).toFixed(1)} s`;
}
