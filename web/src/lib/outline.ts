/**
 * The countries of the map, from the outline beside it (Natural Earth, see its `source`).
 *
 * Invariant: no request leaves the origin; without the outline the map still has its graticule.
 */
import address from '../data/outline.json?url';
import { towns } from '../data/towns.ts';
import { toWorld } from './geo.ts';

/** Arcs as steps of 1/scale degree; a ring lists arcs, `~n` is arc n backwards. */
export interface OutlineFile {
  source: string;
  scale: number;
  arcs: number[][];
  /** Name, longitude and latitude of its label, width of its largest part in degrees, rings. */
  countries: [string, number, number, number, number[][]][];
}
export interface Country {
  name: string;
  label: { x: number; y: number };
  /** Of its largest part, in world coordinates. */
  width: number;
  box: [number, number, number, number];
  path: Path2D;
}
export interface Outline {
  source: string;
  countries: Country[];
  towns: { name: string; x: number; y: number; zoom: number }[];
}
/** Paths are drawn with 32-bit numbers: in these units a pixel is still a pixel when zoomed in. */
export const units = 1024;

let loading: Promise<Outline> | null = null;

export function outline(): Promise<Outline> {
  loading ??= load().catch((error: unknown) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function load(): Promise<Outline> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`the outline answered ${response.status}`);
  return unpack((await response.json()) as OutlineFile);
}

function unpack(file: OutlineFile): Outline {
  const arcs = file.arcs.map((steps) => points(steps, file.scale));
  const countries = file.countries.map(([name, lon, lat, wide, rings]): Country => {
    const path = new Path2D();
    const box: Country['box'] = [1, 1, 0, 0];
    for (const ring of rings) draw(path, box, ring, arcs);
    return { name, label: toWorld(lat, lon), width: wide / 360, box, path };
  });
  const named = towns.map(({ name, zoom, latitude, longitude }) => ({ name, zoom, ...toWorld(latitude, longitude) }));
  return { source: file.source, countries, towns: named };
}

function points(steps: number[], scale: number): [number, number][] {
  const found: [number, number][] = [];
  let [x, y] = [0, 0];
  for (let at = 0; at + 1 < steps.length; at += 2) {
    x += steps[at]!;
    y += steps[at + 1]!;
    const spot = toWorld(y / scale, x / scale);
    found.push([spot.x, spot.y]);
  }
  return found;
}

function draw(path: Path2D, box: Country['box'], ring: number[], arcs: [number, number][][]): void {
  let first = true;
  for (const index of ring) {
    const arc = arcs[index < 0 ? ~index : index] ?? [];
    for (let at = 0; at < arc.length; at += 1) {
      const [x, y] = arc[index < 0 ? arc.length - 1 - at : at]!;
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x);
      box[3] = Math.max(box[3], y);
      if (first) path.moveTo(x * units, y * units);
      else path.lineTo(x * units, y * units);
      first = false;
    }
  }
  path.closePath();
}
