/**
 * The API's routes for money; loaded with the page Revenue.
 *
 * Invariant: as in `api.ts`, nothing is retried here, and a refusal is a `Problem`.
 */
import { Problem, request, type Page, type ProblemBody } from '../api.ts';
import type { By, Economics } from './economics.ts';
import { base, query } from './origin.ts';
import type {
  Closed, Comparison, Contract, Customer, Entity, Explained, Invoice, NewContract, NewCustomer, RevenueRow, StepName, UsageEvents, UsageGroup, UsageHeld, Verified,
} from './money.ts';

const id = encodeURIComponent;

export const moneyApi = {
  revenue: (month: string) => request<Page<RevenueRow>>(`/billing/revenue${query({ month })}`),
  economics: (venture: string, month: string, by: By, limit: number) => request<Economics>(`/ventures/${id(venture)}/economics${query({ month, by, limit: String(limit) })}`),
  entities: () => request<Page<Entity>>('/entities'),
  putEntity: (name: string, body: Record<string, unknown>) => request<Entity>(`/entities/${id(name)}`, { method: 'PUT', body }),
  customers: () => request<Page<Customer>>('/customers'),
  addCustomer: (body: NewCustomer) => request<Customer>('/customers', { method: 'POST', body }),
  contracts: () => request<Page<Contract>>('/contracts'),
  putCustomer: (name: string, body: NewCustomer) => request<Customer>(`/customers/${id(name)}`, { method: 'PUT', body }),
  changeContract: (name: string, body: Record<string, unknown>) => request<Contract>(`/contracts/${id(name)}`, { method: 'PATCH', body }),
  addContract: (body: NewContract) => request<Contract>('/contracts', { method: 'POST', body }),
  close: (body: { month: string; shadow: boolean }) => request<Closed>('/billing/close', { method: 'POST', body }),
  compare: (month: string, text: string) => request<Comparison>(`/billing/compare${query({ month })}`, { method: 'POST', text }),
  invoices: (month: string | null) => request<Page<Invoice>>(`/invoices${query({ month })}`),
  invoice: (invoice: string) => request<Invoice>(`/invoices/${id(invoice)}`),
  verify: (invoice: string) => request<Verified>(`/invoices/${id(invoice)}/verification`),
  step: (invoice: string, step: StepName) => request<Invoice>(`/invoices/${id(invoice)}/steps`, { method: 'POST', body: { step } }),
  usage: (contract: string, from: string, to: string) => request<Page<UsageGroup>>(`/usage${query({ contract, from, to })}`),
  usageEvents: () => request<UsageEvents>('/usage/events'),
  usageHeld: (limit: number) => request<Page<UsageHeld>>(`/usage/quarantine${query({ limit })}`),
  explain: (line: string) => request<Explained>(`/billing/explain${query({ line })}`),
};

/** Fetches a file and hands it to the browser; a refusal is a `Problem`, not a file that holds one. */
export async function download(path: string, name: string): Promise<void> {
  let response: Response;
  try {
    response = await fetch(base + path);
  } catch (error) {
    throw Problem.from(error);
  }
  if (!response.ok) {
    const body = (await response.json().catch(() => ({}))) as ProblemBody;
    throw new Problem(response.status, body);
  }
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

export const documentPath = (invoice: string, format: string) => `/invoices/${id(invoice)}/document${query({ format })}`;
export const journalPath = (format: 'csv' | 'datev') => `/billing/journal${query({ format })}`;
