/**
 * Alarms: their routes, and the words and shapes a page makes of them.
 *
 * Invariant: loaded with the pages that show alarms, never with the first route.
 * Invariant: a state is told by a word and a shape; colour only repeats it.
 */
import { request, type Answer, type Origin, type Page } from '../api.ts';
import { personText, unitText } from './format.ts';
import { base, query, type Query } from './origin.ts';
import { dayTime } from './time.ts';

export type Severity = 'info' | 'warning' | 'critical';
export type AlarmState = 'raised' | 'acknowledged' | 'cleared';
export type Verdict = 'real' | 'false' | 'test';
export interface Signed {
  by: string;
  note: string | null;
  at: string;
}
export interface Alarm {
  id: string;
  device: { id: string; name: string };
  venture: string;
  rule: string;
  title: string;
  origin: Origin;
  severity: Severity;
  worst: Severity;
  state: AlarmState;
  role: string | null;
  /** By the device's clock. */
  raised: string;
  /** By the log's clock. */
  raised_log: string;
  cleared: string | null;
  acknowledged: Signed | null;
  verdict: (Signed & { verdict: Verdict }) | null;
  shelved: string | null;
  escalated: string | null;
  why: string;
}
/** What is wrong with the server itself, or was. */
export interface ServerAlarm {
  id: string;
  condition: string;
  severity: Severity;
  title: string;
  why: string;
  fix: string;
  raised: string;
  cleared: string | null;
  /** Who takes care of it, in the tenant of whoever asks; absent from an older server. */
  acknowledged?: { by: string; at: string; note: string | null } | null;
  /** Nobody of that tenant is told of it or the next of its kind until then. */
  shelved?: string | null;
}
/** A value that a condition looked at; neither value nor text: it was missing. */
export interface Looked {
  name: string;
  value: number | null;
  text: string | null;
  time: string | null;
}
export interface Trace {
  condition: string;
  /** `null` when something was missing. */
  holds: boolean | null;
  inputs: Looked[];
}
export interface Change {
  transition: string;
  severity: Severity;
  at: string;
  log: string;
  why: string;
  by: string | null;
  trace: Trace | null;
}
export interface AlarmDetail extends Alarm {
  changes: Change[];
  changes_left_out: number;
}
export interface Explained {
  rule: string;
  state: 'calm' | 'pending' | 'held_back' | 'raised' | 'unknown';
  why: string;
  when: Trace;
  clear: Trace | null;
  unless: Trace | null;
}
/** What would be an alarm and is held back. */
export interface Held extends Explained {
  device: { id: string; name: string };
  venture: string;
  title: string;
  severity: Severity;
  since: string;
}
export interface RuleFired {
  rule: string;
  fired: number;
  devices: { device: string; count: number }[];
  examples: { time: string; device: string; why: string }[];
  summary: string;
}
export interface DryRun {
  from: string;
  to: string;
  limit: string | null;
  rows: number;
  rules: RuleFired[];
}

const id = encodeURIComponent;
const act = (alarm: string, what: string, body: Record<string, unknown>) =>
  request<AlarmDetail>(`/alarms/${id(alarm)}/${what}`, { method: 'POST', body });

export const alarmsApi = {
  list: (values: Query, signal?: AbortSignal) => request<Page<Alarm>>(`/alarms${query(values)}`, { signal }),
  server: (state: 'open' | 'all') => request<{ items: ServerAlarm[] }>(`/server/alarms${query({ state })}`),
  actOnServer: (alarm: string, what: 'acknowledge' | 'shelve' | 'unshelve', body: Record<string, unknown>) =>
    request<ServerAlarm>(`/server/alarms/${id(alarm)}/${what}`, { method: 'POST', body }),
  held: () => request<{ items: Held[] }>('/alarms/held-back'),
  one: (alarm: string) => request<AlarmDetail>(`/alarms/${id(alarm)}`),
  acknowledge: (alarm: string, note: string) => act(alarm, 'acknowledge', noted(note)),
  judge: (alarm: string, verdict: Verdict, note: string) => act(alarm, 'verdict', { verdict, ...noted(note) }),
  shelve: (alarm: string, length: string) => act(alarm, 'shelve', { for: length }),
  unshelve: (alarm: string) => act(alarm, 'unshelve', {}),
  explain: (device: string, rule: string) => request<Explained>(`/devices/${id(device)}/rules/${id(rule)}/explain`),
  dryRun: (venture: string, body: { text?: string; rule?: string; from?: string; to?: string }): Promise<Answer<DryRun>> =>
    request<DryRun>(`/ventures/${id(venture)}/rules/dry-run`, { method: 'POST', body }),
};

/** For a page that is about to go: nobody waits for the answer, but the request leaves. */
export function judgeAndGo(alarm: string, verdict: Verdict): void {
  const body = JSON.stringify({ verdict });
  const headers = { 'content-type': 'application/json' };
  void fetch(`${base}/alarms/${id(alarm)}/verdict`, { method: 'POST', headers, body, keepalive: true }).catch(() => undefined);
}

function noted(note: string): { note?: string } {
  return note.trim() === '' ? {} : { note: note.trim() };
}

export type Tone = 'ok' | 'warn' | 'crit' | 'mute' | 'info';
export const severities: Severity[] = ['info', 'warning', 'critical'];

export function toneOf(severity: Severity): Tone {
  return severity === 'critical' ? 'crit' : severity === 'warning' ? 'warn' : 'info';
}

/** Shape and colour of an alarm in a list: how bad while it is there, calm when it is over. */
export function mark(alarm: Alarm): Tone {
  if (alarm.cleared !== null) return alarm.origin === 'virtual' ? 'mute' : 'ok';
  return toneOf(alarm.severity);
}

/** Where it stands, in one or two words. */
export function standing(alarm: Alarm, now: number): string {
  const verdict = alarm.verdict ? { real: 'real', false: 'false alarm', test: 'a test' }[alarm.verdict.verdict] : null;
  if (alarm.cleared !== null) return verdict ?? 'cleared, not judged';
  if (alarm.shelved !== null && Date.parse(alarm.shelved) > now) return 'shelved';
  if (alarm.acknowledged) return 'acknowledged';
  return alarm.escalated !== null ? 'escalated' : 'raised';
}

export const transitionWords: Record<string, string> = {
  raised: 'raised',
  severity_up: 'got worse',
  severity_down: 'got better',
  escalated: 'escalated: nobody had acknowledged',
  acknowledged: 'acknowledged',
  judged: 'judged',
  shelved: 'shelved',
  unshelved: 'told again',
  acted: 'acted by itself',
  refused: 'wanted to act and was not allowed',
  cleared: 'cleared',
};

/** Somebody, as short as people say it. */
export function who(by: string): string {
  return /^[a-z]{3}_[0-9A-Z]{20,}$/.test(by) ? `${by.slice(0, 4)}…${by.slice(-4)}` : personText(by);
}

/** The stored unit of what was looked at: of a reading itself, or of what keeps its unit. */
function unitOf(name: string, units: Record<string, string | null>): string {
  const [, own] = /^(?:(?:avg|min|max|delta|stddev)\(\s*)?([a-z_]\w*)(?:\s*,[^)]*\))?$/.exec(name) ?? [];
  const unit = own === undefined ? '' : unitText(units[own]);
  // A difference of temperatures is no temperature.
  return /^(delta|stddev)/.test(name) && unit === '°C' ? 'K' : unit;
}

/** What a looked-at value is for eyes; `silent(...)` is a yes or no. */
export function lookedText(looked: Looked, units: Record<string, string | null> = {}): string {
  if (looked.text !== null) return looked.text;
  if (looked.value === null) return 'missing';
  if (/^(silent|inside)\(/.test(looked.name)) return looked.value === 0 ? 'no' : 'yes';
  const text = String(Math.round(looked.value * 1e4) / 1e4).replace('-', '−');
  return `${text} ${unitOf(looked.name, units)}`.trim();
}

export interface Level {
  property: string;
  sign: string;
  value: number;
  unit: string;
}

const comparison = /(?<![\w.])([a-z_]\w*(?:\([^()]*\))?)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*(°C|°F|%|[A-Za-z][A-Za-z/0-9]*)?/g;

/** The bars of a condition that can be drawn: a reading of the device against a number. */
export function levels(condition: string): Level[] {
  return [...condition.matchAll(comparison)].map(([, name = '', sign = '', value = '', unit = '']) => ({
    property: /^\w+\(\s*([a-z_]\w*)\s*,/.exec(name)?.[1] ?? name,
    sign,
    value: Number(value),
    unit: ['and', 'or', 'not'].includes(unit) ? '' : unit,
  })).filter(({ property }) => /^[a-z_]\w*$/.test(property));
}

/** The readings a condition looks at, among those there are. */
export function readingsOf(inputs: Looked[], known: string[]): string[] {
  const names = inputs.map(({ name }) => /^\w+\(\s*([a-z_]\w*)\s*,/.exec(name)?.[1] ?? name);
  return [...new Set(names)].filter((name) => known.includes(name));
}

/** A stretch of one alarm on the timeline, as shares of the window. */
export interface Bar {
  alarm: Alarm;
  from: number;
  to: number;
  /** Where somebody took it; `null` when nobody did. */
  taken: number | null;
  /** It began before the window. */
  before: boolean;
}
export interface Lane {
  device: { id: string; name: string };
  bars: Bar[];
  /** The lane whose device this one hangs on. */
  behind: string | null;
}

/** Rows of a timeline; more are counted. */
export const lanes_max = 12;

/** Alarms as one row a device, newest first; what hangs on another stands below it. */
export function lanesOf(alarms: Alarm[], window: { from: number; to: number }, links: Record<string, string[]>): Lane[] {
  const lanes = new Map<string, Lane>();
  const share = (ms: number) => Math.min(1, Math.max(0, (ms - window.from) / (window.to - window.from)));
  for (const alarm of alarms) {
    const [from, to] = [Date.parse(alarm.raised), alarm.cleared === null ? window.to : Date.parse(alarm.cleared)];
    if (to < window.from || from > window.to) continue;
    const lane = lanes.get(alarm.device.id) ?? { device: alarm.device, bars: [], behind: null };
    const taken = alarm.acknowledged ? share(Date.parse(alarm.acknowledged.at)) : null;
    lane.bars.push({ alarm, from: share(from), to: share(to), taken, before: from < window.from });
    lanes.set(alarm.device.id, lane);
  }
  const all = [...lanes.values()];
  for (const lane of all) lane.behind = (links[lane.device.id] ?? []).find((other) => other !== lane.device.id && lanes.has(other)) ?? null;
  const roots = all.filter((lane) => lane.behind === null || lanes.get(lane.behind)?.behind === lane.device.id);
  return roots.flatMap((root) => [root, ...all.filter((lane) => lane.behind === root.device.id && !roots.includes(lane))]);
}

/** Alarms in words, for those who do not see the picture. */
export function sentence(open: Alarm[], now: number): string {
  if (open.length === 0) return 'No alarm is open.';
  const nobody = open.filter((one) => standing(one, now) === 'raised' || standing(one, now) === 'escalated').length;
  const critical = open.filter((one) => one.severity === 'critical').length;
  if (open.length === 1) return `One ${critical === 1 ? 'critical ' : ''}alarm is open. ${nobody === 1 ? 'Nobody has it yet.' : 'Somebody has it.'}`;
  const how = critical === 0 ? '' : critical === open.length ? ', all of them critical' : `, ${critical} of them critical`;
  const whose = nobody === 0 ? 'Somebody has each of them.' : `Nobody has ${nobody === open.length ? 'any' : nobody} of them yet.`;
  return `${open.length} alarms are open${how}. ${whose}`;
}

/** The server's reason for eyes: its times in the reader's zone, without the id of the alarm that is looked at. */
export function reasonText(why: string, now: number): string {
  return why.replace(/ as alm_\w+/, '').replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (at) => dayTime(at, now));
}
