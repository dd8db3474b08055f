/**
 * Makes the outline of the map from Natural Earth, as world-atlas packs it. Run by hand, when the
 * data or the tolerance should change; the console only reads what it wrote.
 *
 *   npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
 *   node dev/outline.mjs package/countries-50m.json
 *
 * Invariant: shared borders stay shared: arcs are simplified, never rings.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Steps of a degree that are kept: about 1 km. */
const scale = 100;
/** A point this close to the line between its neighbours is left out, in degrees. */
const tolerance_deg = 0.05;
/** Islands smaller than this are left out, unless a country has nothing else; square degrees. */
const island_deg2_min = 0.02;

const world = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { scale: [sx, sy], translate: [tx, ty] } = world.transform;

const arcs = world.arcs.map((arc) => {
  let [x, y] = [0, 0];
  return arc.map(([dx, dy]) => [(x += dx) * sx + tx, (y += dy) * sy + ty]);
});

function simplify(points) {
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  const stack = [[0, points.length - 1]];
  while (stack.length > 0) {
    const [from, to] = stack.pop();
    let [worst, at] = [0, -1];
    for (let i = from + 1; i < to; i += 1) {
      const far = distance(points[i], points[from], points[to]);
      if (far > worst) [worst, at] = [far, i];
    }
    if (worst <= tolerance_deg) continue;
    keep[at] = 1;
    stack.push([from, at], [at, to]);
  }
  return points.filter((_, i) => keep[i]);
}

function distance([px, py], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const long = dx * dx + dy * dy;
  const t = long === 0 ? 0 : Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / long));
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}

const ringPoints = (ring) => ring.flatMap((at) => (at < 0 ? [...arcs[~at]].reverse() : arcs[at]));
function area(ring) {
  const points = ringPoints(ring);
  let sum = 0;
  for (let i = 0; i < points.length; i += 1) {
    const [a, b] = [points[i], points[(i + 1) % points.length]];
    sum += a[0] * b[1] - b[0] * a[1];
  }
  return Math.abs(sum) / 2;
}

const used = new Map();
const index = (at) => {
  const plain = at < 0 ? ~at : at;
  if (!used.has(plain)) used.set(plain, used.size);
  return at < 0 ? ~used.get(plain) : used.get(plain);
};
const countries = world.objects.countries.geometries.flatMap(({ type, arcs: own, properties }) => {
  const polygons = type === 'Polygon' ? [own] : (own ?? []);
  const sized = polygons.map((polygon) => ({ polygon, size: area(polygon[0]) })).sort((a, b) => b.size - a.size);
  const kept = sized.filter(({ size }, at) => at === 0 || size >= island_deg2_min);
  if (kept.length === 0) return [];
  const points = ringPoints(kept[0].polygon[0]);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const middle = (list) => (Math.min(...list) + Math.max(...list)) / 2;
  const label = [middle(xs), middle(ys)].map((v) => Math.round(v * 10) / 10);
  const rings = kept.flatMap(({ polygon }) => polygon.map((ring) => ring.map(index)));
  return [[properties.name, ...label, Math.round((Math.max(...xs) - Math.min(...xs)) * 10) / 10, rings]];
});

const packed = [...used.keys()].map((plain) => {
  const points = simplify(arcs[plain]).map(([x, y]) => [Math.round(x * scale), Math.round(y * scale)]);
  let [px, py] = [0, 0];
  return points.flatMap(([x, y]) => {
    const step = [x - px, y - py];
    [px, py] = [x, y];
    return step;
  });
});

const source = 'Made with Natural Earth (naturalearthdata.com), 1:50m countries, version 4.1.0, public domain; by way of world-atlas 2.0.2 (ISC), simplified by dev/outline.mjs.';
const text = JSON.stringify({ source, scale, arcs: packed, countries });
writeFileSync(join(import.meta.dirname, '../src/data/outline.json'), text);
const points = packed.reduce((sum, arc) => sum + arc.length / 2, 0);
console.log(`${countries.length} countries, ${packed.length} arcs, ${points} points, ${text.length} bytes`);
