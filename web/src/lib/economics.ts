/**
 * Unit economics as the API tells them: what a device or customer brings, costs and leaves.
 *
 * Invariant: amounts are the texts that the server gave; nothing is computed here but what a bar is
 * long.
 */
import type { Page } from '../api.ts';

export type MoneyBasis = 'measured' | 'simulated' | 'defined' | 'assumed' | 'recorded';
export interface Amount {
  amount: string;
  currency: string;
  basis: MoneyBasis;
  formula: string;
}
export interface CostPart extends Amount {
  name: string;
  recurring: boolean;
  as_written: string;
  said_by: string | null;
  /** Lines of the blueprint that say how much it is. */
  places: { path: string; line: number; column: number; text: string }[];
}
export interface EconomicsSum {
  revenue: Amount;
  cost: Amount;
  margin: Amount;
  margin_per_device_month: string | null;
  once_revenue: Amount;
  once_cost: Amount;
  credited: string;
  device_months: string;
}
export interface EconomicsItem extends EconomicsSum {
  device: string | null;
  name: string;
  customer: string;
  contracts: string[];
  devices: number;
  costs: CostPart[];
  sources: { contract: string; document: string | null; number: string | null; state: string; plan: string; revision: number }[];
}
export interface Economics extends EconomicsSum, Page<EconomicsItem> {
  venture: string;
  month: string;
  currency: string;
  revision: number;
  offset: number;
  simulated: boolean;
  closed: boolean;
  until: string | null;
  costs: CostPart[];
  left_out: string[];
  total_matching: number;
}
export type By = 'device' | 'customer';

/** What `Figure` calls the basis of an amount. */
export function kindOf(basis: MoneyBasis): 'computed' | 'defined' | 'assumed' {
  if (basis === 'measured' || basis === 'simulated') return 'computed';
  // Somebody wrote it down, with a source.
  return basis === 'recorded' ? 'defined' : basis;
}
