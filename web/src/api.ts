/**
 * Typed client of the HTTP API.
 *
 * Invariant: every refusal of the server reaches the caller as a `Problem` with its code, detail
 * and fix; nothing is retried here, because only the caller knows whether that is safe.
 * Invariant: no request leaves the origin that served the console.
 */

import { base, query, type Query } from './lib/origin.ts';
import type { MovedInterval } from './lib/intervals.ts';
import type { Actual, Assumption, Decision, Evidence, Fixes, Forecast, Forecasts, Gate, Study } from './lib/venture.ts';

export type Origin = 'real' | 'virtual' | 'replayed';
/** Why a board left; what counts as a return stands in docs/gates.md. */
export type ReturnReason = 'defect' | 'damage' | 'battery' | 'upgrade' | 'ended' | 'lost' | 'other';
export type DeviceStatus = 'live' | 'silent' | 'never' | 'retired';
export type Value = number | string | boolean | null | number[] | { [key: string]: unknown };

export interface Reading {
  value: Value;
  unit: string | null;
  at: string;
  /** Where its time comes from: `device_time`, `log_time`, `future_clamped`, `redecoded`. */
  mark?: string | null;
  origin?: Origin;
  /** Place of its message in the log. */
  offset?: number;
}
export interface Device {
  id: string;
  name: string;
  kind: string;
  venture: string;
  origin: Origin;
  site: { id: string; name: string } | null;
  tags: string[];
  status: DeviceStatus;
  last_seen: string | null;
  firmware: string | null;
  hardware: string | null;
  readings: Record<string, Reading>;
  desired_pending: number;
  quarantined: number;
}
export interface DeviceDetail extends Device {
  blueprint_revision: number | null;
  links: Record<string, { id: string; name: string }>;
  children: { id: string; name: string }[];
  path: { id: string; name: string } | string | null;
  expected_every: Record<string, number>;
  silent_after_ms?: number;
  /** Whether it has a connection now. */
  connected?: boolean;
  messages?: number;
  duplicates?: number;
  late?: number;
}
export interface Setting {
  value: Value;
  unit?: string | null;
  at: string;
  version?: number;
  by?: string | null;
}
export interface Twin {
  offset: number;
  readings: Record<string, Reading>;
  reported: Record<string, Setting>;
  desired: Record<string, Setting>;
  desired_version: number;
  pending: string[];
  links: Record<string, unknown>;
}
/** A request to a device and what became of it. */
export interface DeviceCommand {
  id: string;
  name: string;
  args: Record<string, Value>;
  by: string;
  offset: number;
  at: string;
  expires: string;
  state: 'queued' | 'delivered' | 'done' | 'failed' | 'expired' | 'refused';
  reason: string | null;
  answer: { ok: boolean; body: { error?: unknown; result?: unknown }; at: string; offset: number; late: boolean } | null;
}
export interface CommandArgument {
  name: string;
  title: string | null;
  type: 'number' | 'boolean' | 'text' | 'position';
  unit: string | null;
  min: number | null;
  max: number | null;
}
export interface CommandList {
  offset: number;
  items: DeviceCommand[];
  available: { name: string; title: string | null; timeout_ms: number; args: CommandArgument[]; limits: string[] }[];
}
/** t_ms, min, max, first, last, count */
export type Bucket = [number, number, number, number, number, number];
export interface History {
  property: string;
  unit: string | null;
  from: string;
  to: string;
  points: number;
  bucket_ms: number;
  buckets: Bucket[];
  gaps: [number, number][];
  source: string;
  note?: string | null;
}
export interface Message {
  at: string;
  offset: number;
  device?: string;
  direction: 'up' | 'down';
  topic: string;
  bytes: number;
  text: string;
  outcome: 'ok' | 'quarantined' | 'refused';
  reason: string | null;
}
export interface Refusal {
  at: string;
  claimed: string;
  device: string | null;
  peer: string;
  reason: string;
  detail: string;
  fix: string | string[] | null;
}
export interface Snippet {
  id: string;
  title?: string;
  code: string;
}
export interface ConnectInfo {
  username: string;
  host: string;
  mqtt_port: number;
  /** MQTT with TLS, when it is offered. */
  mqtts_port?: number | null;
  http_port: number;
  http_scheme?: 'http' | 'https';
  /** SHA-256 of what a device trusts, in hexadecimal. */
  ca_sha256?: string;
  example_payload: Record<string, unknown>;
  snippets: Snippet[];
}
export interface Credential {
  username: string;
  token: string;
}
/** A token or a certificate, without its secret. */
export interface HeldCredential {
  id: string;
  kind: 'token' | 'certificate';
  serial: string | null;
  issued_by: string;
  issued_at: string;
  expires: string | null;
  revoked: string | null;
  state: 'valid' | 'revoked' | 'expired' | 'not_yet_valid';
  rotate_by: string | null;
}
/** As it is answered once; all texts are PEM. */
export interface IssuedCertificate {
  id: string;
  serial: string;
  certificate: string;
  chain: string;
  ca: string;
  private_key: string | null;
  not_before: string;
  not_after: string;
}
export interface Claim {
  id: string;
  name: string;
  venture: string;
  kind: string;
  uses_max: number;
  uses: number;
  /** How many serial numbers it lists; 0: any. */
  serials: number;
  expires: string;
  revoked: string | null;
  made_by: string;
  made_at: string;
}
export interface NewClaim {
  name: string;
  kind: string;
  venture?: string;
  uses_max: number;
  days?: number;
  serials?: string[];
  origin?: Origin;
}
export interface Expiry {
  items: { kind: string; name: string; at: string; note: string }[];
  /** Devices by the 30-day month their last certificate ends in; the last entry holds all later ones. */
  devices_by_month: number[];
  due: number;
  devices: number;
}
export interface Status {
  version: string;
  tenant: { id: string; name: string; demo: boolean };
  mode: 'demo' | 'run';
  role?: string;
  /** The owner session of a loopback console, which needs no token. */
  loopback_owner?: boolean;
  mqtt: { host: string; port: number };
  http: { port: number };
  offset: number;
  log_time: string;
  clock: 'ok' | 'behind' | 'step_held';
  console: 'full' | 'fallback';
  started_at: string;
  /** How the history of readings is doing; an older server does not say. */
  history?: { state: 'ok' | 'unwritable' | 'damaged'; problem: string | null; offset: number };
  rates?: { messages_per_s: number; acks_per_s: number };
  counts: {
    devices: number;
    live: number;
    silent: number;
    never: number;
    retired?: number;
    quarantined: number;
    refused: number;
    /** Since the log began. */
    messages?: number;
    readings?: number;
  };
  /** Where phones become devices of a demo; only for who could add a device. */
  phone?: Phone | null;
}
export interface Phone {
  url: string;
  /** A row a line, `1` is dark. */
  code: string[];
  phones_max: number;
}
/** A setting of a kind, as the blueprint has it. */
export interface KindSetting {
  name: string;
  title: string | null;
  type: 'number' | 'boolean' | 'text' | 'position';
  unit: string | null;
  min: number | null;
  max: number | null;
  default: number | null;
  drives: string | null;
  limits: string[];
}
/** What became of one change for many devices. */
export interface BulkSet {
  offset: number | null;
  set: { device: string; name: string; desired_version: number }[];
  failed: { device: string; name: string; reason: string }[];
}
export interface Venture {
  venture: string;
  title: string;
  problem: string | null;
  segment: string | null;
  /** The idea that it began with, by its id. */
  idea?: string | null;
  blueprint_revision: number;
  kinds: { name: string; devices: number; live: number; settings?: KindSetting[] }[];
  devices: number;
  live: number;
  silent: number;
}
export interface Diagnostic {
  code: string;
  severity: 'error' | 'warning' | 'note' | string;
  message: string;
  line: number;
  column: number;
  end_column?: number;
  label?: string | null;
  notes?: string[];
  help?: string | null;
  source_line?: string | null;
}
export interface BlueprintText {
  venture: string;
  revision: number;
  text: string;
  diagnostics: Diagnostic[];
}
export interface BlueprintChange {
  path: string;
  kind: 'added' | 'removed' | 'changed';
  before: unknown;
  after: unknown;
  breaking: boolean;
  words: string;
}
/** What two texts make of a third; merged is null where they conflict. */
export interface BlueprintMerge {
  base_revision: number;
  their_revision: number;
  mine: BlueprintChange[];
  theirs: BlueprintChange[];
  conflicts: { path: string; base: string | null; mine: string | null; theirs: string | null; line: number | null }[];
  merged: string | null;
}
/** A figure before or after a change, and how it came to be. */
export interface ConsequenceSide {
  value: number;
  words: string;
  how: string;
}
/** One figure that comes out otherwise with another text. */
export interface Consequence {
  of: 'cost' | 'margin' | 'gate' | 'alarm' | 'battery';
  path: string;
  line: number | null;
  per: string;
  before: ConsequenceSide | null;
  after: ConsequenceSide | null;
}
export interface BlueprintOutcome {
  diff: BlueprintChange[];
  /** Only of a preview. */
  consequences: Consequence[];
  diagnostics: Diagnostic[];
  /** What devices would have to be told; a server that cannot say it has none. */
  intervals?: MovedInterval[];
  revision: number | null;
}
export interface Site {
  id: string;
  name: string;
  timezone?: string;
}
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  total_matching?: number;
}
export interface Answer<T> {
  body: T;
  offset: string | null;
  etag: string | null;
}

export interface ProblemBody {
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  errors?: { pointer: string; message: string }[];
  fix?: string[];
  trace_id?: string;
  diagnostics?: Diagnostic[];
  merge?: BlueprintMerge;
}

/** A refusal in the server's own words, or the fact that there was no server to refuse. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors: { pointer: string; message: string }[];
  readonly fix: string[];
  readonly trace: string | null;
  readonly diagnostics: Diagnostic[];
  /** Mine and theirs against what both began with, when somebody else was faster. */
  readonly merge: BlueprintMerge | null;

  constructor(status: number, body: ProblemBody) {
    super(body.title ?? (status === 0 ? 'no answer from the server' : `status ${status}`));
    this.status = status;
    this.code = body.code ?? (status === 0 ? 'unreachable' : `http_${status}`);
    this.detail = body.detail ?? '';
    this.errors = body.errors ?? [];
    this.fix = body.fix ?? [];
    this.trace = body.trace_id ?? null;
    this.diagnostics = body.diagnostics ?? [];
    this.merge = body.merge ?? null;
  }

  static from(error: unknown): Problem {
    if (error instanceof Problem) return error;
    const detail = error instanceof Error ? error.message : String(error);
    return new Problem(0, {
      detail,
      fix: ['check that iotbiz is still running and that this machine can reach it'],
    });
  }
}

/** Difference between the server's clock and this browser's, in ms, from the last answer. */
export const clock = { skew_ms: 0 };

interface Options {
  method?: string;
  body?: unknown;
  /** Sent as it is, in place of a body: CSV. */
  text?: string;
  etag?: string | null;
  signal?: AbortSignal;
}

export async function request<T>(path: string, options: Options = {}): Promise<Answer<T>> {
  const method = options.method ?? 'GET';
  const headers: Record<string, string> = { accept: 'application/json' };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (options.text !== undefined) headers['content-type'] = 'text/csv';
  if (options.etag) headers['if-match'] = options.etag;
  if (method === 'POST') headers['idempotency-key'] = randomKey();
  let response: Response;
  try {
    response = await fetch(base + path, {
      method,
      headers,
      signal: options.signal ?? null,
      ...(options.text !== undefined ? { body: options.text } : options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw Problem.from(error);
  }
  noteClock(response.headers.get('date'));
  const text = await response.text();
  if (!response.ok) throw new Problem(response.status, parseProblem(text));
  return {
    body: (text === '' ? undefined : JSON.parse(text)) as T,
    offset: response.headers.get('iotbiz-offset'),
    etag: response.headers.get('etag'),
  };
}

function noteClock(date: string | null): void {
  if (!date) return;
  const skew = Date.parse(date) - Date.now();
  // The header has a resolution of one second, so less than two says nothing.
  clock.skew_ms = Math.abs(skew) < 2000 ? 0 : skew;
}

function parseProblem(text: string): ProblemBody {
  try {
    return JSON.parse(text) as ProblemBody;
  } catch {
    return { detail: text.slice(0, 400) };
  }
}

function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const id = encodeURIComponent;

export const api = {
  status: (signal?: AbortSignal) => request<Status>('/status', { signal }),
  /** The answer sets a cookie that no script can read. */
  signIn: (token: string) => request<{ role: string }>('/session', { method: 'POST', body: { token } }),
  signOut: () => request<void>('/session', { method: 'DELETE' }),
  setUp: (body: { setup_token: string; tenant: string; owner: string }) =>
    request<{ tenant: string; user: string; token: string }>('/setup', { method: 'POST', body }),
  ready: async (): Promise<{ ready: boolean; reasons: string[] }> => {
    const response = await fetch('/readyz');
    return (await response.json()) as { ready: boolean; reasons: string[] };
  },
  ventures: () => request<Page<Venture>>('/ventures'),
  blueprint: (venture: string) => request<BlueprintText>(`/ventures/${id(venture)}/blueprint`),
  putBlueprint: (
    venture: string,
    text: string,
    basedOn: number,
    etag: string | null,
    mode: 'check' | 'apply',
  ) =>
    request<BlueprintOutcome>(
      `/ventures/${id(venture)}/blueprint${mode === 'check' ? '?dry_run=true' : ''}`,
      { method: 'PUT', body: { text, based_on: basedOn }, etag },
    ),
  assumptions: (venture: string) => request<Page<Assumption>>(`/ventures/${id(venture)}/assumptions`),
  addEvidence: (venture: string, body: Record<string, unknown>) =>
    request<Evidence>(`/ventures/${id(venture)}/evidence`, { method: 'POST', body }),
  caseActual: (venture: string) => request<Actual>(`/ventures/${id(venture)}/case/actual`),
  nextFixes: (venture: string) => request<Fixes>(`/ventures/${id(venture)}/next`),
  forecasts: (venture: string) => request<Forecasts>(`/ventures/${id(venture)}/forecasts`),
  freezeForecast: (venture: string) => request<Forecast>(`/ventures/${id(venture)}/forecasts`, { method: 'POST', body: {} }),
  gates: (venture: string) => request<Page<Gate>>(`/ventures/${id(venture)}/gates`),
  decisions: (venture: string) => request<Page<Decision>>(`/ventures/${id(venture)}/decisions`),
  decideGate: (venture: string, stage: string, body: Record<string, unknown>) =>
    request<Decision>(`/ventures/${id(venture)}/gates/${id(stage)}/decisions`, { method: 'POST', body }),
  businessCase: (venture: string) => request<Study>(`/ventures/${id(venture)}/case`),
  devices: (values: Query, signal?: AbortSignal) =>
    request<Page<Device>>(`/devices${query(values)}`, { signal }),
  device: (device: string, signal?: AbortSignal) =>
    request<DeviceDetail>(`/devices/${id(device)}`, { signal }),
  addDevice: (body: {
    name: string;
    kind: string;
    venture?: string;
    origin?: Origin;
    tags?: string[];
  }) =>
    request<{ device: Device; credential: Credential }>('/devices', { method: 'POST', body }),
  patchDevice: (device: string, body: Record<string, unknown>, etag: string | null) =>
    request<DeviceDetail>(`/devices/${id(device)}`, { method: 'PATCH', body, etag }),
  twin: (device: string, signal?: AbortSignal) =>
    request<Twin>(`/devices/${id(device)}/twin`, { signal }),
  setDesired: (device: string, body: Record<string, Value>) =>
    request<{ offset: number; desired_version: number }>(`/devices/${id(device)}/desired`, {
      method: 'PATCH',
      body,
    }),
  setDesiredOfMany: (devices: string[], set: Record<string, Value>) =>
    request<BulkSet>('/desired', { method: 'POST', body: { devices, set } }),
  commands: (device: string) => request<CommandList>(`/devices/${id(device)}/commands`),
  sendCommand: (device: string, body: { name: string; args: Record<string, Value> }) =>
    request<DeviceCommand>(`/devices/${id(device)}/commands`, { method: 'POST', body }),
  newCredential: (device: string) =>
    request<Credential>(`/devices/${id(device)}/credentials`, { method: 'POST', body: {} }),
  credentials: (device: string) => request<Page<HeldCredential>>(`/devices/${id(device)}/credentials`),
  revokeCredential: (device: string, credential: string) =>
    request<void>(`/devices/${id(device)}/credentials/${id(credential)}`, { method: 'DELETE' }),
  newCertificate: (device: string, body: { days?: number; overlap_days?: number }) =>
    request<IssuedCertificate>(`/devices/${id(device)}/certificates`, { method: 'POST', body }),
  replaceBoard: (device: string, body: { serial?: string; hardware?: string; reason?: ReturnReason }) =>
    request<{ credential: Credential; revoked: number }>(`/devices/${id(device)}/replace`, { method: 'POST', body }),
  retire: (device: string, reason: ReturnReason) =>
    request<{ revoked: number }>(`/devices/${id(device)}/retire?reason=${reason}`, { method: 'POST' }),
  claims: () => request<Page<Claim>>('/claims'),
  addClaim: (body: NewClaim) => request<Claim & { token: string }>('/claims', { method: 'POST', body }),
  revokeClaim: (claim: string) => request<void>(`/claims/${id(claim)}`, { method: 'DELETE' }),
  expiry: () => request<Expiry>('/expiry'),
  ca: () => request<{ root: string }>('/ca'),
  history: (device: string, values: Query, signal?: AbortSignal) =>
    request<History>(`/devices/${id(device)}/history${query(values)}`, { signal }),
  messages: (device: string, limit: number, signal?: AbortSignal) =>
    request<Page<Message>>(`/devices/${id(device)}/messages${query({ limit })}`, { signal }),
  connect: (device: string) => request<ConnectInfo>(`/devices/${id(device)}/connect`),
  replay: (device: string) =>
    request<{ frames: number }>('/quarantine/replay', { method: 'POST', body: { device } }),
  refusals: (limit: number, signal?: AbortSignal) =>
    request<Page<Refusal>>(`/refusals${query({ limit })}`, { signal }),
  sites: () => request<Page<Site>>('/sites'),
};
