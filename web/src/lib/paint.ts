/**
 * Paths of the chart. Invariant: `null` breaks the line and the band, `undefined` is skipped; the
 * band reaches from min to max of each bucket, and a bucket that sticks out is stroked whole, so
 * no spike is hidden however far one zooms out.
 */
import type uPlot from 'uplot';
import type { Column, Joined } from './buckets.ts';

/** A bucket whose spread is this many times the usual one is a spike, drawn in the full colour. */
const spike_times = 2.5;
/** Spreads below this many pixels are inside the line itself. */
const spread_px_min = 3;

export function painter(column: () => Column | undefined): uPlot.Series.PathBuilder {
  return (u, seriesIndex, from, to) => {
    const data = column();
    const scale = u.series[seriesIndex]?.scale;
    const stroke = new Path2D();
    const fill = new Path2D();
    const paths = { stroke, fill, clip: null, flags: 0 } as unknown as uPlot.Series.Paths;
    if (!data || !scale) return paths;
    const y = (value: number) => u.valToPos(value, scale, true);
    const usual = usualSpread(data, from, to);
    let edge: [number, number, number][] = [];
    let down = false;
    for (let index = before(data, from); index <= to; index += 1) {
      const last = data.last[index];
      if (last === undefined) continue;
      if (last === null) {
        down = false;
        band(fill, edge);
        edge = [];
        continue;
      }
      const x = u.valToPos(u.data[0][index]!, 'x', true);
      const first = y(data.first[index] as number);
      if (down) stroke.lineTo(x, first);
      else stroke.moveTo(x - 0.75, first);
      const min = data.min[index] as number;
      const max = data.max[index] as number;
      const [low, high] = [y(min), y(max)];
      if (max - min > usual * spike_times && low - high > spread_px_min) {
        stroke.lineTo(x, low);
        stroke.lineTo(x, high);
      }
      stroke.lineTo(down ? x : x + 0.75, y(last));
      edge.push([x, high, low]);
      down = true;
    }
    band(fill, edge);
    return paths;
  };
}

/** The area between min and max of one stretch without a gap. */
function band(fill: Path2D, edge: [number, number, number][]): void {
  if (edge.length < 2) return;
  fill.moveTo(edge[0]![0], edge[0]![1]);
  for (const [x, high] of edge) fill.lineTo(x, high);
  for (let at = edge.length - 1; at >= 0; at -= 1) fill.lineTo(edge[at]![0], edge[at]![2]);
  fill.closePath();
}

/** The median of what the buckets spread, so that a spike is told from noise. */
function usualSpread(data: Column, from: number, to: number): number {
  const spreads: number[] = [];
  for (let index = from; index <= to; index += 1) {
    const min = data.min[index];
    const max = data.max[index];
    if (typeof min === 'number' && typeof max === 'number') spreads.push(max - min);
  }
  spreads.sort((a, b) => a - b);
  return spreads[spreads.length >> 1] ?? 0;
}

/** The bucket left of the window, so that the line enters from outside. */
function before(data: Column, from: number): number {
  let index = from - 1;
  while (index > 0 && data.last[index] === undefined) index -= 1;
  return Math.max(0, index);
}

/** Range of the values in the window over min and max, with a little air. */
export function yRange(u: uPlot, joined: Joined, columns: number[], levels: number[] = []): [number, number] {
  const [from, to] = u.series[0]?.idxs ?? [0, joined.x.length - 1];
  let low = Infinity;
  let high = -Infinity;
  for (const at of columns) {
    const column = joined.columns[at];
    if (!column) continue;
    for (let index = from; index <= to; index += 1) {
      const min = column.min[index];
      const max = column.max[index];
      if (typeof min === 'number' && min < low) low = min;
      if (typeof max === 'number' && max > high) high = max;
    }
  }
  if (low > high) return [0, 1];
  for (const level of levels) {
    low = Math.min(low, level);
    high = Math.max(high, level);
  }
  const air = Math.max((high - low) * 0.12, Math.abs(high) * 0.002, 0.05);
  return [low - air, high + air];
}
