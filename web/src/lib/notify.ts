/** How people are told of alarms, and how the channels do. Loaded with its card. */
import { request, type Page } from '../api.ts';
import type { Severity } from './alarms.ts';

export type Channel = 'mail' | 'webhook' | 'mqtt';
export interface Notify {
  roles: string[];
  severity: Severity;
  timezone: string | null;
  quiet: { from: string; to: string; except?: string | null } | null;
  digest: { burst: number; window: string } | null;
  channels: (Channel | 'none')[];
  mail: string | null;
  webhook: string | null;
  webhook_secrets: number;
  mqtt: string | null;
  webhook_secret?: string;
}
export interface Person {
  id: string;
  name: string;
  role: string;
  notify: Notify | null;
}
interface Trouble {
  at: string;
  why: string;
}
export interface Route {
  person: string;
  channel: Channel;
  state: 'working' | 'waiting' | 'failing' | 'disabled';
  waiting: number;
  held: number;
  told: number;
  next_try: string | null;
  last_success: string | null;
  last_error: Trouble | null;
  disabled: Trouble | null;
  failed: { id: string; count: number; at: string; why: string }[];
  forgotten: number;
}
export interface NotifyStatus {
  /** Why nothing is sent at all. */
  closed: string | null;
  routes: Route[];
  last_unheard: Trouble | null;
  taken: number;
  overflow: number;
  disk: Trouble | null;
}

const id = encodeURIComponent;
export const notifyApi = {
  people: () => request<Page<Person>>('/people'),
  of: (person: string) => request<Notify>(`/people/${id(person)}/notify`),
  change: (person: string, body: Record<string, unknown>) => request<Notify>(`/people/${id(person)}/notify`, { method: 'PATCH', body }),
  status: () => request<NotifyStatus>('/notify/status'),
  enable: (person: string, channel: Channel) => request<void>('/notify/enable', { method: 'POST', body: { person, channel } }),
  retry: (person: string, channel: Channel, message: string) => request<void>('/notify/retry', { method: 'POST', body: { person, channel, message } }),
};
