/**
 * Words and shapes of evidence, gates and the business case.
 *
 * Invariant: a figure that nobody measured never looks like one that somebody did.
 */
import { numberText, signs } from './format.ts';

export interface Explain {
  label: string;
  value: number | null;
  unit: string;
  basis: string;
  formula: string;
  source: string;
  inputs: Explain[];
}
export interface Evidence {
  id: string;
  assumption: string;
  experiment: string | null;
  kind: string;
  source: string;
  at: string;
  outcome: { counts: { of: number; out_of: number } } | { ratio: number } | { mean: { mean: number; error: number } };
  note: string | null;
  withdrawn: string | null;
  recorded_by: string;
}
export interface Experiment {
  name: string;
  title: string | null;
  kind: string;
  asked: number | null;
  cost: string | null;
  days: number | null;
  pass: string;
  kill: string | null;
  state: string;
  of: number;
  out_of: number;
  locked: boolean;
  measures: Measures | null;
}
export interface Assumption {
  name: string;
  says: string;
  holds: string;
  guess: string | null;
  state: string;
  probability: number | null;
  basis: string;
  value: [number, number, number] | null;
  missing: string | null;
  experiments: Experiment[];
  evidence: Evidence[];
  explain: Explain | null;
}
export interface Criterion {
  name: string;
  level: 'must' | 'should';
  text: string;
  metric: string;
  says: string | null;
  comparison: string;
  target: number;
  unit: string | null;
  value: number | null;
  state: string;
  meets: boolean | null;
  basis: string;
  at: string | null;
  offset: number | null;
  explain: Explain;
}
export interface Gate {
  stage: string;
  verdict: 'go' | 'hold';
  counting: 'real' | 'demo';
  at: string;
  over_days: number | null;
  criteria: Criterion[];
  blockers: string[];
}
export interface Decision {
  id: string;
  stage: string;
  decision: string;
  verdict: string;
  by: string;
  at: string;
  revision: number;
  offset: number;
  override_reason: string | null;
  hash: string;
  file: string;
  key: string;
  seal: string;
}
export interface Spread {
  mean: number;
  p5: number;
  p10: number;
  p50: number;
  p90: number;
  p95: number;
}
export interface Study {
  trials: number;
  seed: number;
  currency: string;
  npv: Spread;
  npv_above_zero: number;
  payback_months: Spread | null;
  never_pays_back: number;
  trough: Spread;
  trough_month: Spread;
  margin_per_device_month: Spread | null;
  months: { month: number; cumulative: Spread; installed_base: Spread }[];
  tornado: { input: string; npv_at_p10: number; npv_at_p90: number }[];
  warnings: string[];
  assumed: string[];
  explain: Explain;
}

/** The plan against what the fleet says. */
export interface Actual {
  month_1: string | null;
  currency: string;
  inputs: {
    input: string;
    metric: string;
    unit: string;
    plan: [number, number, number];
    actual: number | null;
    percentile: number | null;
    surprise: boolean;
    learnt: [number, number, number] | null;
    basis: string;
    months: { month: string; whole: boolean; actual: number | null; percentile: number | null }[];
    explain: Explain;
  }[];
  installed: { month: string; number: number; whole: boolean; plan: [number, number, number] | null; actual: number; percentile: number | null }[];
  npv_plan: [number, number, number];
  npv_now: [number, number, number];
  changes: { input: string; npv: number }[];
  notes: string[];
}
/** What to fix next, the most money first. */
export interface Fixes {
  currency: string;
  items: { matter: string; name: string; says: string; money: number; meaning: string; explain: Explain }[];
}
export interface Forecast {
  id: string;
  month: string;
  by: string;
  at: string;
  closed: string | null;
  items: {
    what: string;
    unit: string;
    expected: [number, number, number] | null;
    probability: number | null;
    actual: number | null;
    percentile: number | null;
    covered: boolean | null;
  }[];
}
export interface Forecasts {
  forecasts: Forecast[];
  scored: number;
  coverage: number | null;
  brier: number | null;
}
/** An experiment whose result the server takes from the fleet. */
export interface Measures {
  metric: string;
  over_days: number;
  state: string;
  from: string | null;
  to: string | null;
  value: number | null;
}

type Tone = 'ok' | 'warn' | 'crit' | 'mute' | 'info';

const tones: Record<string, Tone> = {
  pass: 'ok', fail: 'crit', stale: 'warn', missing: 'mute', assumed: 'warn', simulated: 'info',
  supported: 'ok', refuted: 'crit', testing: 'info', open: 'warn', untested: 'mute',
  passed: 'ok', killed: 'crit', running: 'info', undecided: 'warn', planned: 'mute',
  go: 'ok', hold: 'warn', rework: 'warn', stop: 'crit',
};

/** How a state looks; the word stands beside it. */
export const tone = (state: string): Tone => tones[state] ?? 'mute';

/** Class of the little mark before the word of a basis. */
export function mark(basis: string): 'm' | 'a' | 's' | 'x' {
  if (basis === 'measured') return 'm';
  if (basis === 'simulated') return 's';
  return basis === 'missing' ? 'x' : 'a';
}

/** A probability for eyes: never 0 % or 100 %, which nobody can know. */
export function chance(p: number | null): string {
  if (p === null) return 'no value';
  if (p < 0.01) return '< 1 %';
  return p > 0.99 ? '> 99 %' : `${Math.round(100 * p)} %`;
}

/** An amount of money for eyes, thousands from ten thousand on. */
export function money(value: number, currency: string): string {
  const big = Math.abs(value) >= 10_000;
  return `${numberText(big ? value / 1000 : value, big ? 1 : 2)} ${big ? 'k ' : ''}${currency}`;
}

/** Money of a simulation: more than three digits would promise what no trial knows. */
export function roughMoney(value: number, currency: string): string {
  const size = Math.abs(value);
  if (size < 100) return money(value, currency);
  const step = 10 ** (Math.floor(Math.log10(size)) - 2);
  return money(Math.round(value / step) * step, currency);
}

const ordinals = new Intl.PluralRules('en', { type: 'ordinal' });
const endings: Record<Intl.LDMLPluralRule, string> = { zero: 'th', one: 'st', two: 'nd', few: 'rd', many: 'th', other: 'th' };

/** The way of a venture; a gate decides between two of them and is named by the one it leads to. */
export const stages = ['idea', 'validate', 'prototype', 'pilot', 'scale', 'optimise'];

/** Where a venture stands: what the newest go led to, else what lies before its first gate. */
export function stageOf(gates: Gate[], decisions: Decision[]): string {
  const gone = decisions.filter((one) => one.decision === 'go').sort((a, b) => b.at.localeCompare(a.at))[0];
  if (gone && stages.includes(gone.stage)) return gone.stage;
  const ahead = gates.map((one) => stages.indexOf(one.stage)).filter((at) => at > 0);
  return stages[Math.min(...ahead) - 1] ?? 'idea';
}

/** The gate that is decided next: the first one beyond where the venture stands. */
export function nextGate(gates: Gate[], decisions: Decision[]): Gate | null {
  const here = stages.indexOf(stageOf(gates, decisions));
  const ahead = gates.filter((one) => stages.indexOf(one.stage) > here);
  return ahead.sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage))[0] ?? null;
}

/** A gate as a row of segments, musts first: what each criterion rests on, and what fails. */
export function evidence(gate: Gate): { name: string; look: 'm' | 'a' | 's' | 'x' | 'f'; words: string }[] {
  const ordered = [...gate.criteria].sort((a, b) => Number(a.level === 'should') - Number(b.level === 'should'));
  return ordered.map((one) => {
    const look = one.state === 'fail' ? 'f' : one.state === 'stale' ? 'x' : mark(one.basis);
    return { name: one.name.replaceAll('_', ' '), look, words: one.state === one.basis ? one.state : `${one.state}, ${one.basis}` };
  });
}

export function gateWords(gate: Gate): string {
  const musts = gate.criteria.filter((one) => one.level === 'must');
  const passing = musts.filter((one) => one.state === 'pass').length;
  return gate.verdict === 'go' ? 'can be decided' : `${passing} of ${musts.length} musts pass`;
}

/** Where an actual fell in what was forecast: `39th percentile`. */
export function fell(percentile: number | null): string {
  if (percentile === null) return 'no value';
  const whole = Math.round(100 * percentile);
  if (whole <= 0) return 'below all trials';
  return whole >= 100 ? 'above all trials' : `${whole}${endings[ordinals.select(whole)]} percentile`;
}

/** Beyond the middle 80 percent the plan is worth a second look. */
export const isFar = (percentile: number | null): boolean => percentile !== null && (percentile < 0.1 || percentile > 0.9);

/** P10, P50 and P90 as one text. */
export const range = (three: [number, number, number] | null): string => (three === null ? 'no value' : three.map((one) => numberText(one)).join(' / '));

/** A figure of a criterion with its unit; shares are read in percent. */
export function figure(value: number | null, criterion: Criterion): string {
  if (value === null) return 'no value';
  if (criterion.unit === null) {
    const share = criterion.text.includes('%');
    return share ? `${numberText(100 * value, 2)} %` : numberText(value, 2);
  }
  return `${numberText(value, 2)} ${unitSaid(criterion.unit)}`;
}

/** A rate such as `1/device/month` is read as "per device/month": its 1 would look like a digit of the value. */
export function unitSaid(unit: string): string {
  return unit.startsWith('1/') ? `per ${unit.slice(2)}` : unit;
}

/** What a piece of evidence found. */
export function found(evidence: Evidence): string {
  const outcome = evidence.outcome;
  if ('counts' in outcome) return `${outcome.counts.of} of ${outcome.counts.out_of}`;
  if ('ratio' in outcome) return `ratio ${numberText(outcome.ratio, 2)}`;
  return `${numberText(outcome.mean.mean)} ± ${numberText(outcome.mean.error)}`;
}

/** The share of a bar such as `>= 30 %`; null when it is no share. */
export function bar(text: string | null): number | null {
  const match = /([\d.]+) ?%/.exec(text ?? '');
  return match ? Number(match[1]) / 100 : null;
}

/** Where gridlines stand: at most `lines` of them, on round numbers. */
export function ticks(low: number, high: number, lines: number): number[] {
  if (!(high > low)) return [low];
  const raw = (high - low) / lines;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((one) => one >= raw) ?? raw;
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, index) => (first + index) * step);
}

/** What a criterion asks for, without the name of its metric, which stands beside it. */
export function target({ text, metric }: Pick<Criterion, 'text' | 'metric'>): string {
  const rest = text.startsWith(metric) ? text.slice(metric.length).trim() : text;
  return signs(rest);
}
