/**
 * A QR code that the server made, as one path.
 *
 * Invariant: a dark module is drawn once, at its place, and nothing else is.
 */

/** White around the code, in modules: readers need it to find the corners. */
export const quiet_modules = 4;

/** Runs of dark modules in a row, so that no seam is between two of them. */
export function modulePath(rows: string[]): string {
  return rows
    .map((row, y) => [...row.matchAll(/1+/g)].map((run) => `M${run.index} ${y}h${run[0].length}v1h-${run[0].length}z`).join(''))
    .join('');
}
