/**
 * Draws the map: sea, land, graticule, towns, devices.
 *
 * Invariant: a state is a shape and a colour together, also inside a cluster: what is silent has
 * its triangle and its count.
 */
import { degreesText, graticuleStep, radius, scaleOf, states, toDegrees, toScreen, toWorld, type Cluster, type View } from './geo.ts';
import { units, type Outline } from './outline.ts';

export interface Scene {
  view: View;
  outline: Outline | null;
  marks: Cluster[];
  /** Whether the only device of a mark is not a real one. */
  dotted: (member: number) => boolean;
  hovered: number;
  chosen: number;
  css: (name: string) => string;
}

/** A country is named when it is at least this wide on screen. */
const named_px_min = 70;
const tones = { silent: '--warn', live: '--ok', never: '--mute', retired: '--mute' } as const;

export function drawMap(ctx: CanvasRenderingContext2D, scene: Scene, dpr: number): void {
  const { view, css } = scene;
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  ctx.fillStyle = css('--sunken');
  ctx.fillRect(0, 0, view.width, view.height);
  if (scene.outline) drawLand(ctx, scene, scene.outline, dpr);
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  drawGraticule(ctx, scene);
  // Where the scale bar, the source and the buttons stand, no name is written.
  const [w, h] = [view.width, view.height];
  const taken: Box[] = [[0, h - 44, 150, h], [w - 130, h - 30, w, h], [w - 50, 0, w, 122]];
  scene.marks.forEach((mark) => taken.push(boxOf(view, mark)));
  if (scene.outline) drawNames(ctx, scene, scene.outline, taken);
  // The small ones last, so that a great cluster never hides a single device.
  scene.marks.forEach((mark, at) => drawMark(ctx, scene, mark, at));
}

function drawLand(ctx: CanvasRenderingContext2D, { view, css }: Scene, outline: Outline, dpr: number): void {
  const scale = scaleOf(view.zoom);
  const k = (scale / units) * dpr;
  ctx.setTransform(k, 0, 0, k, (view.width / 2 - view.x * scale) * dpr, (view.height / 2 - view.y * scale) * dpr);
  ctx.fillStyle = css('--surface');
  ctx.strokeStyle = css('--line-strong');
  ctx.lineWidth = (0.6 * dpr) / k;
  ctx.lineJoin = 'round';
  const [across, down] = [view.width / 2 / scale, view.height / 2 / scale];
  const shown = outline.countries.filter(({ box }) => box[0] < view.x + across && box[2] > view.x - across && box[1] < view.y + down && box[3] > view.y - down);
  for (const one of shown) ctx.fill(one.path, 'evenodd');
  ctx.globalAlpha = 0.55;
  for (const one of shown) ctx.stroke(one.path);
  ctx.globalAlpha = 1;
}

function drawGraticule(ctx: CanvasRenderingContext2D, { view, css }: Scene): void {
  const step = graticuleStep(view);
  const scale = scaleOf(view.zoom);
  const west = toDegrees({ x: view.x - view.width / 2 / scale, y: 0 }).longitude;
  const east = toDegrees({ x: view.x + view.width / 2 / scale, y: 0 }).longitude;
  const north = toDegrees({ x: 0, y: Math.max(0, view.y - view.height / 2 / scale) }).latitude;
  const south = toDegrees({ x: 0, y: Math.min(1, view.y + view.height / 2 / scale) }).latitude;
  ctx.strokeStyle = css('--line');
  ctx.lineWidth = 1;
  ctx.font = `10.5px ${css('--font-ui')}`;
  ctx.fillStyle = css('--ink-3');
  ctx.beginPath();
  const words: [string, number, number][] = [];
  for (let at = Math.ceil(Math.max(-180, west) / step); at * step <= Math.min(180, east); at += 1) {
    const x = Math.round(toScreen(view, toWorld(0, at * step).x, 0).x) + 0.5;
    ctx.moveTo(x, 0);
    ctx.lineTo(x, view.height);
    if (x > 40 && x < view.width - 50) words.push([degreesText(at * step, step, 'longitude'), x + 4, 13]);
  }
  for (let at = Math.ceil(Math.max(-85, south) / step); at * step <= Math.min(85, north); at += 1) {
    const y = Math.round(toScreen(view, 0, toWorld(at * step, 0).y).y) + 0.5;
    ctx.moveTo(0, y);
    ctx.lineTo(view.width, y);
    if (y > 24 && y < view.height - 44) words.push([degreesText(at * step, step, 'latitude'), 6, y - 4]);
  }
  ctx.globalAlpha = 0.8;
  ctx.stroke();
  ctx.globalAlpha = 1;
  ctx.textAlign = 'left';
  for (const [text, x, y] of words) ctx.fillText(text, x, y);
}

type Box = [number, number, number, number];

function boxOf(view: View, mark: Cluster): Box {
  const { x, y } = toScreen(view, mark.x, mark.y);
  const r = radius(mark.count) + 3;
  return [x - r, y - r, x + r, y + r];
}

function drawNames(ctx: CanvasRenderingContext2D, { view, css }: Scene, outline: Outline, taken: Box[]): void {
  const scale = scaleOf(view.zoom);
  ctx.lineJoin = 'round';
  ctx.lineWidth = 3;
  ctx.strokeStyle = css('--surface');
  const place = (text: string, x: number, y: number, align: 'left' | 'center'): boolean => {
    const wide = ctx.measureText(text).width;
    const left = align === 'center' ? x - wide / 2 : x;
    const box: Box = [left - 3, y - 8, left + wide + 3, y + 8];
    if (box[2] < 0 || box[0] > view.width || box[3] < 0 || box[1] > view.height) return false;
    if (taken.some((other) => other[0] < box[2] && other[2] > box[0] && other[1] < box[3] && other[3] > box[1])) return false;
    taken.push(box);
    ctx.textAlign = align;
    ctx.strokeText(text, x, y);
    ctx.fillText(text, x, y);
    return true;
  };
  ctx.textBaseline = 'middle';
  ctx.font = `11.5px ${css('--font-ui')}`;
  ctx.fillStyle = css('--ink-2');
  for (const town of outline.towns) {
    if (town.zoom > view.zoom) break;
    const { x, y } = toScreen(view, town.x, town.y);
    if (!place(town.name, x + 6, y, 'left')) continue;
    ctx.beginPath();
    ctx.arc(x, y, 1.8, 0, 7);
    ctx.fill();
  }
  ctx.font = `600 11px ${css('--font-ui')}`;
  ctx.fillStyle = css('--ink-3');
  if ('letterSpacing' in ctx) ctx.letterSpacing = '0.06em';
  for (const country of outline.countries) {
    if (country.width * scale < named_px_min || country.width * scale > view.width * 4) continue;
    const { x, y } = toScreen(view, country.label.x, country.label.y);
    place(country.name.toUpperCase(), x, y, 'center');
  }
  if ('letterSpacing' in ctx) ctx.letterSpacing = '0em';
  ctx.textBaseline = 'alphabetic';
}

function drawMark(ctx: CanvasRenderingContext2D, scene: Scene, mark: Cluster, at: number): void {
  const { view, css } = scene;
  const { x, y } = toScreen(view, mark.x, mark.y);
  const r = radius(mark.count);
  const marked = at === scene.chosen || at === scene.hovered;
  if (mark.count === 1) drawDevice(ctx, scene, mark, x, y);
  else drawCluster(ctx, css, mark, x, y, r);
  if (!marked) return;
  ctx.beginPath();
  ctx.arc(x, y, r + 4, 0, 7);
  ctx.lineWidth = at === scene.chosen ? 2.5 : 1.5;
  ctx.strokeStyle = css('--accent');
  ctx.stroke();
}

function drawDevice(ctx: CanvasRenderingContext2D, { css, dotted }: Scene, mark: Cluster, x: number, y: number): void {
  const state = states[mark.of.findIndex((n) => n > 0)] ?? 'never';
  ctx.beginPath();
  ctx.arc(x, y, 8.5, 0, 7);
  ctx.fillStyle = css('--surface');
  ctx.fill();
  ctx.lineWidth = 1.2;
  ctx.strokeStyle = css('--ink-3');
  // Virtual and real look the same but for a dotted outline.
  ctx.setLineDash(dotted(mark.members[0]!) ? [1.5, 2.2] : []);
  ctx.stroke();
  ctx.setLineDash([]);
  drawShape(ctx, css, state, x, y, 4.6);
}

function drawShape(ctx: CanvasRenderingContext2D, css: Scene['css'], state: (typeof states)[number], x: number, y: number, r: number): void {
  ctx.beginPath();
  ctx.fillStyle = css(tones[state]);
  if (state === 'silent') {
    ctx.moveTo(x, y - r);
    ctx.lineTo(x + r, y + r * 0.86);
    ctx.lineTo(x - r, y + r * 0.86);
    ctx.closePath();
    ctx.fill();
    return;
  }
  ctx.arc(x, y, r * 0.88, 0, 7);
  if (state === 'live') return ctx.fill();
  ctx.lineWidth = 1.7;
  ctx.strokeStyle = css(tones[state]);
  ctx.stroke();
}

function drawCluster(ctx: CanvasRenderingContext2D, css: Scene['css'], mark: Cluster, x: number, y: number, r: number): void {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 7);
  ctx.fillStyle = css('--surface');
  ctx.fill();
  let from = -Math.PI / 2;
  states.forEach((state, at) => {
    const share = (mark.of[at as 0 | 1 | 2 | 3] / mark.count) * 2 * Math.PI;
    if (share === 0) return;
    ctx.beginPath();
    ctx.arc(x, y, r - 1.5, from, from + share);
    ctx.lineWidth = state === 'silent' ? 5 : 3;
    ctx.strokeStyle = css(tones[state]);
    ctx.setLineDash(state === 'never' || state === 'retired' ? [2, 2.5] : []);
    ctx.stroke();
    from += share;
  });
  ctx.setLineDash([]);
  ctx.fillStyle = css('--ink');
  ctx.font = `600 ${mark.count > 999 ? 10.5 : 11.5}px ${css('--font-ui')}`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  const silent = mark.of[0];
  const tall = silent > 0;
  ctx.fillText(mark.count.toLocaleString('en'), x, y + (tall ? -3.5 : 0.5));
  if (tall) {
    ctx.font = `10px ${css('--font-ui')}`;
    ctx.fillStyle = css('--warn');
    const text = silent.toLocaleString('en');
    const wide = ctx.measureText(text).width;
    ctx.fillText(text, x + 4, y + 8);
    drawShape(ctx, css, 'silent', x - wide / 2 - 2.5, y + 7.5, 3);
  }
  ctx.textBaseline = 'alphabetic';
}
