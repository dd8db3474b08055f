/**
 * Paths of the chart. Invariant: `null` breaks the line, `undefined` is skipped, and the stroke
 * of a bucket reaches from its min to its max.
 */
import type uPlot from 'uplot';
import type { Column, Joined } from './buckets.ts';

export function painter(column: () => Column | undefined): uPlot.Series.PathBuilder {
  return (u, seriesIndex, from, to) => {
    const data = column();
    const scale = u.series[seriesIndex]?.scale;
    const stroke = new Path2D();
    if (!data || !scale) return { stroke, fill: null, clip: null, flags: 0 } as uPlot.Series.Paths;
    const y = (value: number) => u.valToPos(value, scale, true);
    let down = false;
    for (let index = before(data, from); index <= to; index += 1) {
      const last = data.last[index];
      if (last === undefined) continue;
      if (last === null) {
        down = false;
        continue;
      }
      const x = u.valToPos(u.data[0][index]!, 'x', true);
      const first = y(data.first[index] as number);
      if (down) stroke.lineTo(x, first);
      else stroke.moveTo(x - 0.75, first);
      const low = y(data.min[index] as number);
      const high = y(data.max[index] as number);
      if (low !== high) {
        stroke.lineTo(x, low);
        stroke.lineTo(x, high);
      }
      stroke.lineTo(down ? x : x + 0.75, y(last));
      down = true;
    }
    return { stroke, fill: null, clip: null, flags: 0 } as uPlot.Series.Paths;
  };
}

/** The bucket left of the window, so that the line enters from outside. */
function before(data: Column, from: number): number {
  let index = from - 1;
  while (index > 0 && data.last[index] === undefined) index -= 1;
  return Math.max(0, index);
}

/** Range of the values in the window over min and max, with a little air. */
export function yRange(u: uPlot, joined: Joined, columns: number[]): [number, number] {
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
  const air = Math.max((high - low) * 0.12, Math.abs(high) * 0.002, 0.05);
  return [low - air, high + air];
}
