/**
 * Which rows of a long list are drawn. Invariant: drawn rows plus both spacers are as high as the
 * whole list, so the scroll bar tells the truth about ten thousand rows.
 */

export interface Window {
  first: number;
  /** Exclusive. */
  last: number;
  above_px: number;
  below_px: number;
}

export function windowOf(facts: {
  /** Distance from the list's top to the top of the viewport; negative while it is below. */
  scrolled_px: number;
  viewport_px: number;
  row_px: number;
  total: number;
  spare: number;
}): Window {
  const { scrolled_px, viewport_px, row_px, total, spare } = facts;
  const top = Math.floor(Math.max(0, scrolled_px) / row_px);
  const shown = Math.ceil(Math.max(0, viewport_px) / row_px) + 1;
  const first = Math.max(0, Math.min(total, top) - spare);
  const last = Math.min(total, top + shown + spare);
  return {
    first: Math.min(first, last),
    last,
    above_px: Math.min(first, last) * row_px,
    below_px: (total - last) * row_px,
  };
}
