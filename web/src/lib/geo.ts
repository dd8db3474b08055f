/**
 * The map's arithmetic: Web Mercator, a view that pans and zooms, clusters, scale bar, graticule.
 *
 * Invariant: pure; `toWorld` and `toDegrees` are inverse within the projection's latitudes.
 * Invariant: clusters lose nobody: the counts of all of them sum to the points in view.
 */

/** A square world: x to the east, y to the south, both 0 to 1. */
export interface Spot {
  x: number;
  y: number;
}
export interface View {
  /** World coordinates of the middle. */
  x: number;
  y: number;
  /** One more is twice as near; at 0 the world is 256 px wide. */
  zoom: number;
  width: number;
  height: number;
}
export interface Points {
  x: Float64Array;
  y: Float64Array;
  /** Index into `states`. */
  state: Uint8Array;
  count: number;
}
/** In the order in which they are drawn into a cluster's ring. */
export const states = ['silent', 'live', 'never', 'retired'] as const;

/** Beyond it Mercator has no end. */
export const latitude_max = 85.05;
export const zoom_min = 0;
/** About 5 m a pixel; the outline says nothing more, but devices still part. */
export const zoom_max = 15;
/** Devices nearer than this on screen are one cluster. */
export const cell_px = 46;
const tile_px = 256;
const earth_m = 40_075_016.686;

export function toWorld(latitude: number, longitude: number): Spot {
  const sin = Math.sin((clamp(latitude, -latitude_max, latitude_max) * Math.PI) / 180);
  return { x: longitude / 360 + 0.5, y: 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI) };
}

export function toDegrees(spot: Spot): { latitude: number; longitude: number } {
  const latitude = (Math.atan(Math.sinh(Math.PI * (1 - 2 * spot.y))) * 180) / Math.PI;
  return { latitude, longitude: (spot.x - 0.5) * 360 };
}

/** Width of the world in px. */
export function scaleOf(zoom: number): number {
  return tile_px * 2 ** zoom;
}

export function toScreen(view: View, x: number, y: number): Spot {
  const scale = scaleOf(view.zoom);
  return { x: (x - view.x) * scale + view.width / 2, y: (y - view.y) * scale + view.height / 2 };
}

export function fromScreen(view: View, px: number, py: number): Spot {
  const scale = scaleOf(view.zoom);
  return { x: (px - view.width / 2) / scale + view.x, y: (py - view.height / 2) / scale + view.y };
}

export function pan(view: View, dx_px: number, dy_px: number): View {
  const scale = scaleOf(view.zoom);
  return held({ ...view, x: view.x + dx_px / scale, y: view.y + dy_px / scale });
}

/** Zooms so that what is under the pixel stays there. */
export function zoomAt(view: View, delta: number, px = view.width / 2, py = view.height / 2): View {
  const before = fromScreen(view, px, py);
  const zoom = clamp(view.zoom + delta, zoom_min, zoom_max);
  const after = fromScreen({ ...view, zoom }, px, py);
  return held({ ...view, zoom, x: view.x + before.x - after.x, y: view.y + before.y - after.y });
}

function held(view: View): View {
  return { ...view, x: clamp(view.x, 0, 1), y: clamp(view.y, 0, 1) };
}

/** The view that shows all points with some air; the world when there is none. */
export function fit(points: Points, width: number, height: number, air_px = 56): View {
  if (points.count === 0) return { x: 0.5, y: 0.42, zoom: worldZoom(width), width, height };
  let [west, east, north, south] = [1, 0, 1, 0];
  for (let at = 0; at < points.count; at += 1) {
    west = Math.min(west, points.x[at]!);
    east = Math.max(east, points.x[at]!);
    north = Math.min(north, points.y[at]!);
    south = Math.max(south, points.y[at]!);
  }
  const across = Math.max(1, width - 2 * air_px) / Math.max(east - west, 1e-9);
  const down = Math.max(1, height - 2 * air_px) / Math.max(south - north, 1e-9);
  // Nearer than this a single device would stand on an empty sheet.
  const zoom = clamp(Math.log2(Math.min(across, down) / tile_px), zoom_min, 12.5);
  return { x: (west + east) / 2, y: (north + south) / 2, zoom, width, height };
}

function worldZoom(width: number): number {
  return clamp(Math.log2(Math.max(width, 1) / tile_px), zoom_min, 3);
}

export interface Cluster {
  x: number;
  y: number;
  count: number;
  /** How many of each of `states`. */
  of: [number, number, number, number];
  members: number[];
}

/** Points in view, joined where they would cover each other. */
export function clusters(points: Points, view: View): Cluster[] {
  const scale = scaleOf(view.zoom);
  const size = cell_px / scale;
  const [west, north, east, south] = bounds(view, cell_px);
  const cells = new Map<number, Cluster>();
  for (let at = 0; at < points.count; at += 1) {
    const x = points.x[at]!;
    const y = points.y[at]!;
    if (x < west || x > east || y < north || y > south) continue;
    // Cells stand on the world, not on the screen, so that panning changes no cluster.
    const key = Math.floor(x / size) * 2 ** 26 + Math.floor(y / size);
    const cell = cells.get(key) ?? { x: 0, y: 0, count: 0, of: [0, 0, 0, 0], members: [] };
    if (cell.count === 0) cells.set(key, cell);
    cell.x += x;
    cell.y += y;
    cell.count += 1;
    cell.of[points.state[at]! as 0 | 1 | 2 | 3] += 1;
    cell.members.push(at);
  }
  const found = [...cells.values()];
  for (const cell of found) {
    cell.x /= cell.count;
    cell.y /= cell.count;
  }
  return merged(found, scale);
}

/** West, north, east, south, with some px around. */
function bounds(view: View, air_px: number): [number, number, number, number] {
  const scale = scaleOf(view.zoom);
  const across = (view.width / 2 + air_px) / scale;
  const down = (view.height / 2 + air_px) / scale;
  return [view.x - across, view.y - down, view.x + across, view.y + down];
}

/** A cell's edge may part two that overlap: the larger one takes the smaller one. */
function merged(found: Cluster[], scale: number): Cluster[] {
  const kept: Cluster[] = [];
  for (const one of found.sort((a, b) => b.count - a.count)) {
    const near = kept.find((other) => Math.hypot(other.x - one.x, other.y - one.y) * scale < (radius(other.count) + radius(one.count)) * 0.9);
    if (!near) kept.push(one);
    else absorb(near, one);
  }
  return kept;
}

function absorb(into: Cluster, one: Cluster): void {
  const count = into.count + one.count;
  into.x = (into.x * into.count + one.x * one.count) / count;
  into.y = (into.y * into.count + one.y * one.count) / count;
  into.count = count;
  for (const state of [0, 1, 2, 3] as const) into.of[state] += one.of[state];
  for (const member of one.members) into.members.push(member);
}

/** Of its mark on screen, in px. */
export function radius(count: number): number {
  return count === 1 ? 7 : 15 + 4 * Math.log10(count);
}

/** Indices of the points inside the view. */
export function inView(points: Points, view: View): number[] {
  const [west, north, east, south] = bounds(view, 0);
  const found: number[] = [];
  for (let at = 0; at < points.count; at += 1) {
    const x = points.x[at]!;
    const y = points.y[at]!;
    if (x >= west && x <= east && y >= north && y <= south) found.push(at);
  }
  return found;
}

/** The longest round length that is at most `px_max` wide, at the middle of the view. */
export function scaleBar(view: View, px_max = 120): { px: number; words: string } {
  const { latitude } = toDegrees(view);
  const m_per_px = (earth_m * Math.cos((latitude * Math.PI) / 180)) / scaleOf(view.zoom);
  const longest = m_per_px * px_max;
  const power = 10 ** Math.floor(Math.log10(longest));
  const metres = power * ([5, 2, 1].find((step) => step * power <= longest) ?? 1);
  const words = metres >= 1000 ? `${(metres / 1000).toLocaleString('en')} km` : `${metres} m`;
  return { px: metres / m_per_px, words };
}

const steps = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001];

/** Degrees between two lines of the graticule. */
export function graticuleStep(view: View, px_min = 110): number {
  const px_per_degree = scaleOf(view.zoom) / 360;
  return [...steps].reverse().find((step) => step * px_per_degree >= px_min) ?? 30;
}

export function degreesText(degrees: number, step: number, axis: 'latitude' | 'longitude'): string {
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  const side = axis === 'latitude' ? (degrees < 0 ? 'S' : 'N') : degrees < 0 ? 'W' : 'E';
  const size = Math.abs(degrees).toFixed(digits);
  return Number(size) === 0 ? '0°' : `${size}° ${side}`;
}

/** `lat,lon,zoom` as the address has it. */
export function writeView(view: View): string {
  const { latitude, longitude } = toDegrees(view);
  const digits = clamp(Math.ceil(view.zoom / 3), 1, 5);
  return `${latitude.toFixed(digits)},${longitude.toFixed(digits)},${view.zoom.toFixed(2)}`;
}

export function readView(text: string | null, width: number, height: number): View | null {
  const parts = (text ?? '').split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  const [latitude, longitude, zoom] = parts;
  if (parts.length !== 3 || !parts.every(Number.isFinite)) return null;
  if (Math.abs(latitude!) > 90 || Math.abs(longitude!) > 180) return null;
  return { ...toWorld(latitude!, longitude!), zoom: clamp(zoom!, zoom_min, zoom_max), width, height };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
