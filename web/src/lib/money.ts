/**
 * Revenue as the console shows it: what the API answers about money, months, states and steps.
 *
 * Invariant: an amount is the text that the server gave. It is only added here as whole numbers of
 * its last digit, never as a float; a float decides nothing but the length of a bar.
 */
import type { Tone } from '../components/Mark.svelte';
import { personText } from './format.ts';

export interface Step {
  what: string;
  quantity: string;
  price: string;
  amount: string;
}
/** One line of a bill, with how it came to be. */
export interface BillLine {
  id: string;
  charge: string;
  part: string;
  plan: string;
  revision: number;
  device?: string;
  group?: string[];
  from: string;
  to: string;
  amount: string;
  quantity: string;
  unit: string;
  estimated?: string;
  readings: number;
  receipt?: string;
  formula: string;
  steps: Step[];
  exact: string;
  rounding: string;
  tax?: string;
  notes?: string[];
}
export interface RevenueRow {
  contract: string;
  customer: string;
  venture: string;
  plan: string;
  devices: number;
  currency: string;
  rated: string;
  recurring: string;
  invoiced: string;
  drafted: string;
  simulated: boolean;
  lines: BillLine[];
  per_device: { device: string | null; recurring: string; once: string }[];
  why: string | null;
}
export interface Customer {
  id: string;
  revision: number;
  name: string;
  legal_name: string;
  address: { street?: string; post_code?: string; city?: string; country: string };
  identifiers: { vat_id?: string; email?: string };
  timezone: string;
  currency: string;
  entity: string;
  due_days?: number;
  reference?: string;
  tax?: string;
}
export interface NewCustomer {
  name: string;
  legal_name: string;
  address: { street?: string; post_code?: string; city?: string; country: string };
  identifiers: { vat_id?: string; email?: string };
  timezone: string;
  currency: string;
  entity: string;
  due_days?: number;
  reference?: string;
  tax?: string;
}
export interface Contract {
  id: string;
  revision: number;
  plan_revision: number;
  name: string;
  customer: string;
  customer_name: string;
  venture: string;
  plan: string;
  devices: { device: string; kind: string; name: string; from?: string; to?: string }[];
  filter?: string;
  from: string;
  to?: string;
  accepted_by: string;
  accepted_at: string;
  coupons?: { name: string; off: string }[];
  prepaid?: { name: string; amount: string }[];
  unmeasured?: string[];
}
/** Usage that was sent from outside. */
export interface UsageEvents {
  kept: number;
  quarantined: number;
  newest: { contract: string; usage: string; device: string | null; time: string; value: string; id: string; source: string | null }[];
}
export interface NewContract {
  name: string;
  customer: string;
  venture?: string;
  plan: string;
  filter: string;
  from: string;
  accepted_by: string;
}
/** A company of ours that invoices. */
export interface Entity {
  name: string;
  revision: number;
  legal_name: string;
  mode: 'shadow' | 'live';
  grace_days: number;
  invoice_prefix: string;
  invoices: number;
  credits: number;
}
export type InvoiceState = 'draft' | 'approved' | 'final' | 'sent' | 'overdue' | 'paid' | 'credited' | 'discarded';
export interface InvoiceLine {
  id: string | null;
  charge: string;
  part: string;
  from: string;
  to: string;
  quantity: string;
  amount: string;
  billed_before: string;
  tax: string | null;
  originals: string[];
}
export interface Invoice {
  id: string;
  revision: number;
  kind: 'invoice' | 'credit_note';
  state: InvoiceState;
  mode: 'shadow' | 'live';
  simulated: boolean;
  number: string | null;
  contract: string;
  customer: string;
  entity: string;
  from: string;
  to: string;
  date: string | null;
  due_date: string | null;
  currency: string;
  net: string;
  tax: string;
  gross: string;
  due: string;
  paid: string;
  drafted_by: string;
  drafted_at: string;
  approved_by: string | null;
  grace_until: string;
  originals: string[];
  usage: string[];
  lines: InvoiceLine[];
}
export interface Verified {
  invoice: string;
  number: string | null;
  equal: boolean;
  differences: string[];
  usage: string[];
}
/** Usage events of one kind, as another system sent them. */
export interface UsageGroup {
  usage: string;
  group?: string | null;
  events: number;
  sum: string;
  first: string;
  last: string;
}
/** An event that was put aside. */
export interface UsageHeld {
  at: string;
  status: number;
  reason: string;
  event: string;
}
export interface Closed {
  month: string;
  items: {
    contract: string;
    from: string | null;
    to: string | null;
    what: 'drafted' | 'replaced' | 'unchanged' | 'waiting' | 'settled' | 'failed';
    invoice: string | null;
    mode: 'shadow' | 'live' | null;
    readings: number;
    net: string | null;
    why: string | null;
  }[];
}
export interface Comparison {
  month: string;
  ours: string;
  theirs: string;
  difference: string;
  differing: number;
  items: {
    contract: string;
    charge: string;
    ours: string | null;
    theirs: string | null;
    difference: string;
    causes: { kind: string; amount: string; words: string }[];
  }[];
}
export interface Explained {
  line: string;
  invoice: string | null;
  text: string;
}

/** Months that the picker offers. */
export const months_shown_max = 24;

/** The month of an instant, in UTC as the API counts it when none is named. */
export function monthOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 7);
}

/** So many months later; earlier when negative. */
export function monthBy(month: string, by: number): string {
  const [year, number] = month.split('-').map(Number) as [number, number];
  const count = year * 12 + (number - 1) + by;
  return `${String(Math.floor(count / 12)).padStart(4, '0')}-${String((count % 12) + 1).padStart(2, '0')}`;
}

export function isMonth(text: string | null): text is string {
  return text !== null && /^\d{4}-(0[1-9]|1[0-2])$/.test(text);
}

export function monthText(month: string): string {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString('en', { month: 'long', year: 'numeric', timeZone: 'UTC' });
}

/** The day of an instant where the customer is; the time zone may be one that only the server knows. */
export function dayText(instant: string, zone: string | undefined): string {
  const how: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'short', year: 'numeric' };
  try {
    return new Date(instant).toLocaleDateString('en-GB', { ...how, timeZone: zone ?? 'UTC' });
  } catch {
    return new Date(instant).toLocaleDateString('en-GB', { ...how, timeZone: 'UTC' });
  }
}

/** First and last day of a period whose end is the first instant after it. */
export function periodText(from: string, to: string, zone: string | undefined): string {
  const last = new Date(Date.parse(to) - 1).toISOString();
  return `${dayText(from, zone)} to ${dayText(last, zone)}`;
}

/** A decimal with a real minus and its thousands apart; its digits are the server's. */
export function decimalText(amount: string): string {
  const [whole = '', ...part] = amount.replace('-', '−').split('.');
  return [whole.replaceAll(/\B(?=(\d{3})+$)/g, ','), ...part].join('.');
}

/** An amount with its currency. */
export function amountText(amount: string, currency: string): string {
  return `${decimalText(amount)} ${currency}`;
}

/** The same for a text that has its currency already: "1470.00 EUR". */
export function moneyText(text: string): string {
  const [amount = '', currency = ''] = text.split(' ');
  return amountText(amount, currency);
}

const counted = ['device', 'customer', 'day', 'month', 'event', 'reading'];

/** "30 devices", "930 device-days"; a unit such as kB has no plural. */
export function useText(quantity: string, unit: string): string {
  const parts = unit.split('/');
  if (!parts.every((one) => counted.includes(one))) return `${quantity} ${unit}`;
  return `${quantity} ${parts.join('-')}${quantity === '1' ? '' : 's'}`;
}

/** The exact sum of decimal texts; `null` when one is none. */
export function sum(amounts: string[]): string | null {
  if (!amounts.every((one) => /^-?\d+(\.\d+)?$/.test(one))) return null;
  const digits = Math.max(0, ...amounts.map((one) => one.split('.')[1]?.length ?? 0));
  let total = 0n;
  for (const one of amounts) {
    const [whole = '0', part = ''] = one.replace('-', '').split('.');
    const minor = BigInt(whole + part.padEnd(digits, '0'));
    total += one.startsWith('-') ? -minor : minor;
  }
  const text = (total < 0n ? -total : total).toString().padStart(digits + 1, '0');
  const sign = total < 0n ? '-' : '';
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** Sums by currency: amounts of two currencies are never one figure. */
export function sums(rows: { currency: string; amount: string }[]): { currency: string; amount: string }[] {
  const currencies = [...new Set(rows.map((row) => row.currency))].sort();
  return currencies.map((currency) => {
    const amounts = rows.filter((row) => row.currency === currency).map((row) => row.amount);
    return { currency, amount: sum(amounts) ?? 'not a number' };
  });
}

/** How long a bar is, 0 to 1; the only place where an amount becomes a float. */
export function share(amount: string, of: string[]): number {
  const largest = Math.max(0, ...of.map((one) => Math.abs(Number(one))));
  return largest === 0 ? 0 : Math.abs(Number(amount)) / largest;
}

const tones: Record<InvoiceState, Tone> = {
  draft: 'mute',
  approved: 'warn',
  final: 'info',
  sent: 'info',
  overdue: 'crit',
  paid: 'ok',
  credited: 'mute',
  discarded: 'mute',
};
export function stateTone(state: InvoiceState): Tone {
  return tones[state];
}

export type StepName = 'approve' | 'finalise' | 'send' | 'pay' | 'check_due' | 'credit' | 'discard';
export interface NextStep {
  step: StepName;
  words: string;
  /** Who may take it and what it does. */
  who: string;
  /** Why it is not possible now. */
  blocked: string | null;
}

/** The steps a document may take next; the server holds the rules, this says them before. */
export function nextSteps(invoice: Invoice, now: number): NextStep[] {
  const step = (name: StepName, words: string, who: string, blocked: string | null = null): NextStep => ({ step: name, words, who, blocked });
  const money = 'Role finance or owner.';
  const throwAway = step('discard', 'Discard', `${money} It has no number, so nothing is lost.`);
  const credit = step('credit', 'Credit', `${money} Drafts a credit note over all of it; the note needs a second person, too.`);
  switch (invoice.state) {
    case 'draft':
      return [step('approve', 'Approve', `A second person: not ${personText(invoice.drafted_by)}, who drafted it.`), throwAway];
    case 'approved': {
      const shadow = invoice.mode === 'shadow' ? 'drafted in shadow mode: it never becomes an invoice' : null;
      const grace = now < Date.parse(invoice.grace_until) ? `late readings are waited for until ${dayText(invoice.grace_until, 'UTC')}` : null;
      return [step('finalise', 'Give it its number', `${money} After that it never changes.`, shadow ?? grace), throwAway];
    }
    case 'final':
      return invoice.kind === 'credit_note' ? [step('send', 'Mark as sent', money)] : [step('send', 'Mark as sent', money), credit];
    case 'sent':
      return invoice.kind === 'credit_note' ? [] : [step('pay', 'Record payment', `${money} All that is open, today.`), step('check_due', 'Check whether it is overdue', money), credit];
    case 'overdue':
      return [step('pay', 'Record payment', `${money} All that is open, today.`), credit];
    case 'paid':
      return invoice.kind === 'credit_note' ? [] : [credit];
    case 'credited':
    case 'discarded':
      return [];
  }
}

export const formats = [
  { format: 'pdf', words: 'PDF', ending: 'pdf' },
  { format: 'facturx', words: 'Factur-X', ending: 'pdf' },
  { format: 'ubl', words: 'UBL', ending: 'xml' },
  { format: 'cii', words: 'CII', ending: 'xml' },
] as const;

export interface ReadingAt {
  time: string;
  device: string;
  property: string;
  value: string;
  offset: string;
}
export interface Receipt {
  facts: { what: string; value: string }[];
  /** How many there are, and those that are listed. */
  readings: { count: string; shown: ReadingAt[] } | null;
  hash: string | null;
  /** Whether the hash over the listed readings is the line's. */
  agrees: boolean | null;
}

/** What `bill explain` says, as parts; a line it does not know stays a fact, so nothing is hidden. */
export function readReceipt(text: string): Receipt {
  const receipt: Receipt = { facts: [], readings: null, hash: null, agrees: null };
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const what = line.slice(0, 10).trim();
    const value = line.slice(10).trim();
    const reading = /^(\S+) (\S+) (\S+) (.+) at (\d+)$/.exec(value);
    if (what === '' && receipt.readings && reading) {
      const [, time = '', device = '', property = '', said = '', offset = ''] = reading;
      receipt.readings.shown.push({ time, device, property, value: said, offset });
    } else if (what === 'readings') {
      receipt.readings = { count: /^\d+/.exec(value)?.[0] ?? value, shown: [] };
    } else if (what === 'receipt') {
      receipt.hash = value.split(' ')[0] ?? value;
      receipt.agrees = value.endsWith(' agrees') ? true : value.endsWith(' DIFFERS') ? false : null;
    } else receipt.facts.push({ what, value });
  }
  return receipt;
}

/** A name out of what somebody is called: `Linden-Apotheke` gives `linden-apotheke`. */
export function nameFrom(text: string): string {
  const plain = text.normalize('NFD').replaceAll(/[\u0300-\u036f]/g, '').toLowerCase();
  return plain.replaceAll(/[^a-z0-9._-]+/g, '-').replaceAll(/^[-.]+|[-.]+$/g, '').slice(0, 64);
}

/** Names of the plans that a blueprint defines, in its order. */
export function plansOf(blueprint: string): string[] {
  return [...new Set([...blueprint.matchAll(/^\s*\[plan\.([a-z0-9_]+)[\].]/gm)].map((found) => found[1] ?? ''))];
}
