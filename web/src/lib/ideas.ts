/**
 * Ideas: their routes, and the words a page makes of them.
 *
 * Invariant: loaded with the pages that show ideas, never with the first route.
 * Invariant: what people wrote is text on the page, never markup.
 */
import { request, type Page } from '../api.ts';
import { query } from './origin.ts';
import type { Tone } from '../components/Mark.svelte';

export type IdeaStatus = 'waiting' | 'open' | 'planned' | 'in_progress' | 'done' | 'declined' | 'merged';
export type IdeaSource = 'staff' | 'partner' | 'customer' | 'public';
export type Sort = 'score' | 'newest' | 'votes';
export interface ScoreInput {
  name: string;
  title: string;
  help: string;
  min: number | null;
  max: number | null;
  value: number | null;
  by: string | null;
  at: string | null;
}
export interface Score {
  value: number | null;
  formula: string;
  formula_revision: number;
  inputs: ScoreInput[];
  missing: string[];
}
export interface IdeaContext {
  device: string;
  name: string;
  kind: string;
  venture: string;
  at: string;
  readings?: { name: string; value: unknown; unit?: string; at: string; origin: string }[];
}
export interface IdeaStep {
  at: string;
  status: IdeaStatus;
  reason: string;
  by: string;
}
export interface Idea {
  id: string;
  title: string;
  text: string;
  source: IdeaSource;
  by: string;
  name: string | null;
  at: string;
  status: IdeaStatus;
  steps: IdeaStep[];
  votes: number;
  followed: boolean;
  score: Score;
  context: IdeaContext | null;
  merged_into: string | null;
  merged: string[];
  venture: string | null;
  revision: number;
}
export interface Estimate {
  value: string;
  on: string;
  source: string;
}
export interface Market {
  top_down: { tam?: Estimate; sam?: Estimate; som?: Estimate };
  bottom_up?: { customers: Estimate; devices: Estimate; price: { typed: Estimate } | { plan: { venture: string; plan: string } } };
}
export interface Sizing {
  currency: string | null;
  tam: number | null;
  sam: number | null;
  som: number | null;
  bottom_up: number | null;
  calculation: string | null;
  ratio: number | null;
  factor: number;
  warning: string | null;
  missing: string[];
}
export interface Cell {
  competitor: string;
  aspect: string;
  value: string;
  on: string;
  source: string;
  by: string;
  stale: boolean;
}
export interface IdeaDetail extends Idea {
  followers: { id: string; name: string; channels: string[] }[];
  market: Market | null;
  sizing: Sizing | null;
  sizing_problem: string | null;
  competitors: { competitors: string[]; aspects: string[]; cells: Cell[]; stale: number; stale_days: number };
  may_judge: boolean;
  may_moderate: boolean;
  may_start: boolean;
}
export interface ScoreAt {
  at: string;
  value: number | null;
  formula: string;
  formula_revision: number;
  inputs: Record<string, { value: number; by: string; at: string }>;
}
export interface InputRule {
  title: string;
  help?: string;
  min?: number;
  max?: number;
}
export interface IdeaSettings {
  revision: number;
  formula: string;
  inputs: Record<string, InputRule>;
  form: 'open' | 'closed';
  mismatch_factor: number;
  stale_days: number;
  presets: { name: string; formula: string; inputs: Record<string, InputRule> }[];
  form_path: string;
}
export interface Cycle {
  idea: string | null;
  venture: string | null;
  stages: { stage: string; at: string | null; took_ms: number | null; since_start_ms: number | null; what: string | null }[];
  to_revenue_ms: number | null;
  simulated: boolean;
  notes: string[];
}
export interface NewIdea {
  title: string;
  text: string;
  source: IdeaSource;
  name?: string;
  device?: string;
}
export interface Standing {
  title: string;
  sent: string;
  status: IdeaStatus;
  words: string;
  merged_into: string | null;
  steps: { at: string; words: string; reason: string }[];
}

const id = encodeURIComponent;
const settingsBody = ({ formula, inputs, form, mismatch_factor, stale_days }: IdeaSettings) => ({ formula, inputs, form, mismatch_factor, stale_days });

export const ideasApi = {
  list: (asked: { status: string; source: string; q: string; sort: Sort; limit: number; cursor: string | null }) => request<Page<Idea>>(`/ideas${query({ ...asked })}`),
  one: (idea: string) => request<IdeaDetail>(`/ideas/${id(idea)}`),
  /** What would be kept: it is shown before it is sent. */
  preview: (body: NewIdea) => request<Idea>('/ideas?dry_run=true', { method: 'POST', body }),
  add: (body: NewIdea) => request<Idea>('/ideas', { method: 'POST', body }),
  status: (idea: string, status: IdeaStatus, reason: string) => request<IdeaDetail>(`/ideas/${id(idea)}/status`, { method: 'POST', body: { status, reason } }),
  follow: (idea: string, how: 'PUT' | 'DELETE') => request<IdeaDetail>(`/ideas/${id(idea)}/follow`, { method: how }),
  merge: (idea: string, into: string) => request<IdeaDetail>(`/ideas/${id(idea)}/merge`, { method: 'POST', body: { into } }),
  score: (idea: string, inputs: Record<string, number | null>) => request<IdeaDetail>(`/ideas/${id(idea)}/scores`, { method: 'PUT', body: { inputs } }),
  scores: (idea: string) => request<Page<ScoreAt>>(`/ideas/${id(idea)}/scores`),
  market: (idea: string, body: Market) => request<IdeaDetail>(`/ideas/${id(idea)}/market`, { method: 'PUT', body }),
  competitors: (idea: string, cells: Record<string, unknown>[]) => request<IdeaDetail>(`/ideas/${id(idea)}/competitors`, { method: 'PUT', body: { cells } }),
  promote: (idea: string, body: { venture: string; template: string }) => request<{ venture: string }>(`/ideas/${id(idea)}/promote`, { method: 'POST', body }),
  cycle: (idea: string) => request<Cycle>(`/ideas/${id(idea)}/cycle`),
  ventureCycle: (venture: string) => request<Cycle>(`/ventures/${id(venture)}/cycle`),
  settings: () => request<IdeaSettings>('/ideas/settings'),
  declare: (settings: IdeaSettings, mode: 'check' | 'apply') =>
    request<{ settings: IdeaSettings; rescored: { id: string; title: string; before: number | null; after: number | null }[] }>(`/ideas/settings${mode === 'check' ? '?dry_run=true' : ''}`, { method: 'PUT', body: settingsBody(settings) }),
  form: (tenant: string) => request<{ tenant: string; title_chars_max: number; text_chars_max: number; note: string }>(`/public/${id(tenant)}/ideas`),
  send: (tenant: string, body: Record<string, string>) => request<{ id: string; key: string; page: string }>(`/public/${id(tenant)}/ideas`, { method: 'POST', body }),
};

/** How an idea stands that was sent by the form: its key is a bearer token, and stays out of every address. */
export async function standing(tenant: string, idea: string, key: string): Promise<Standing | null> {
  const response = await fetch(`/api/v1/public/${id(tenant)}/ideas/${id(idea)}`, { headers: { authorization: `Bearer ${key}` }, credentials: 'omit' });
  return response.ok ? ((await response.json()) as Standing) : null;
}

export const sources: IdeaSource[] = ['staff', 'partner', 'customer', 'public'];
/** Where a person can move an idea by one click. */
export const moves: IdeaStatus[] = ['open', 'planned', 'in_progress', 'done', 'declined'];
export const templates = ['coolbox', 'machine', 'soil', 'home', 'hearth', 'presswatch'];

export const words: Record<IdeaStatus, string> = {
  waiting: 'waits to be read',
  open: 'open',
  planned: 'planned',
  in_progress: 'in progress',
  done: 'done',
  declined: 'declined',
  merged: 'merged',
};

export function tone(status: IdeaStatus): Tone {
  const tones: Record<IdeaStatus, Tone> = { waiting: 'warn', open: 'info', planned: 'info', in_progress: 'info', done: 'ok', declined: 'mute', merged: 'mute' };
  return tones[status];
}

/** `1,250`, `0.75`; a dash where there is no number. */
export function scoreText(value: number | null): string {
  return value === null ? '–' : value.toLocaleString('en', { maximumFractionDigits: 2 });
}

export function moneyText(value: number | null, currency: string | null): string {
  return value === null ? '–' : `${value.toLocaleString('en', { maximumFractionDigits: 0 })} ${currency ?? ''}/year`;
}

export function spanText(ms: number | null): string {
  if (ms === null) return '–';
  const minutes = Math.floor(ms / 60_000);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

export const stageWords: Record<string, string> = {
  idea: 'Idea',
  venture: 'Venture begun',
  first_device: 'First device',
  first_reading: 'First reading',
  first_invoice: 'First invoice',
};

/** A venture's name made of a title: `Alarm at the lid` is `alarm_at_the_lid`. */
export function ventureName(title: string): string {
  const plain = title.normalize('NFD').replaceAll(/\p{M}/gu, '').toLowerCase().replaceAll(/[^a-z0-9]+/g, '_').replaceAll(/^[^a-z]+|_+$/g, '');
  return plain.slice(0, 32).replace(/_+$/, '') || 'venture';
}

export const today = (): string => new Date().toISOString().slice(0, 10);
