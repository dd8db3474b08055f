/**
 * What was due of devices, what came, and in time.
 *
 * Invariant: a share is rounded down, so 100 % means all; what was never due has none.
 */
export interface Due {
  due: number;
  on_time: number;
  complete: number;
  on_time_share: number | null;
  completeness: number | null;
}
export interface Delivery extends Due {
  devices: number;
  days: (Due & { day: string })[];
  /** The least on time first; those that delivered all are left out. */
  worst: (Due & { device: { id: string; name: string } })[];
}

/** "99.98 %", "100 %" */
export function percentDown(share: number | null): string {
  if (share === null) return 'nothing due';
  return `${Math.floor(share * 10_000 + 1e-9) / 100} %`;
}
