/** The map's arithmetic: nobody is lost, what is under the pointer stays there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusters, degreesText, fit, fromScreen, graticuleStep, inView, pan, readView, scaleBar, toDegrees, toScreen, toWorld, writeView, zoomAt, type Points, type View } from '../src/lib/geo.ts';
import { random } from './random.ts';

const view: View = { ...toWorld(52.52, 13.405), zoom: 9, width: 900, height: 560 };

function scattered(count: number, seed: number): Points {
  const next = random(seed);
  const points = { x: new Float64Array(count), y: new Float64Array(count), state: new Uint8Array(count), count };
  for (let at = 0; at < count; at += 1) {
    const spot = toWorld(52.5 + (next() - 0.5) * 0.3, 13.4 + (next() - 0.5) * 0.3);
    points.x[at] = spot.x;
    points.y[at] = spot.y;
    points.state[at] = Math.floor(next() * 4);
  }
  return points;
}

test('degrees to world and back is the same place', () => {
  for (const [latitude, longitude] of [[0, 0], [52.52, 13.405], [-33.87, 151.21], [84, -179.9]] as const) {
    const back = toDegrees(toWorld(latitude, longitude));
    assert.ok(Math.abs(back.latitude - latitude) < 1e-9 && Math.abs(back.longitude - longitude) < 1e-9);
  }
});

test('zooming keeps what is under the pointer', () => {
  const before = fromScreen(view, 123, 456);
  const after = fromScreen(zoomAt(view, 1.7, 123, 456), 123, 456);
  assert.ok(Math.abs(before.x - after.x) < 1e-12 && Math.abs(before.y - after.y) < 1e-12);
});

test('clusters lose nobody, whatever the zoom', () => {
  const points = scattered(5000, 7);
  for (const zoom of [2, 6, 9, 11, 15]) {
    const near = { ...fit(points, 900, 560), zoom: Math.min(zoom, fit(points, 900, 560).zoom) };
    const found = clusters(points, near);
    assert.equal(found.reduce((sum, one) => sum + one.count, 0), 5000);
    for (const one of found) {
      assert.equal(one.of.reduce((sum, n) => sum + n, 0), one.count);
      assert.equal(one.members.length, one.count);
    }
  }
});

test('panning by a few pixels changes no cluster that stays in view', () => {
  const points = scattered(800, 3);
  const counts = (at: View) => clusters(points, at).map((one) => one.count).sort((a, b) => a - b);
  const whole = fit(points, 900, 560);
  assert.deepEqual(counts(whole), counts(pan(whole, 13, -9)));
});

test('the fitted view shows every point', () => {
  const points = scattered(300, 11);
  assert.equal(inView(points, fit(points, 640, 400)).length, 300);
  const one = scattered(1, 2);
  const alone = fit(one, 640, 400);
  assert.ok(Number.isFinite(alone.zoom) && inView(one, alone).length === 1);
});

test('the address carries the view to the pixel', () => {
  const back = readView(writeView(view), view.width, view.height)!;
  const moved = toScreen(back, view.x, view.y);
  assert.ok(Math.abs(moved.x - view.width / 2) < 1 && Math.abs(moved.y - view.height / 2) < 1);
  for (const wrong of [null, '', '1,2', 'a,b,c', '91,0,3', '0,181,3', '1,2,NaN', '1,,3']) assert.equal(readView(wrong, 1, 1), null);
});

test('the scale bar is a round length that fits', () => {
  for (let zoom = 0; zoom <= 15; zoom += 0.5) {
    const bar = scaleBar({ ...view, zoom });
    assert.match(bar.words, /^[125]0*(,000)* k?m$|^[125],000 km$|^[125]0,000 km$/);
    assert.ok(bar.px > 40 && bar.px <= 120, `${bar.px}`);
  }
});

test('the graticule never crowds, and names what it shows', () => {
  assert.equal(graticuleStep({ ...view, zoom: 1 }), 30);
  assert.ok(graticuleStep({ ...view, zoom: 14 }) < 0.02);
  assert.equal(degreesText(-33.5, 0.5, 'latitude'), '33.5° S');
  assert.equal(degreesText(13.4, 0.1, 'longitude'), '13.4° E');
  assert.equal(degreesText(0, 30, 'longitude'), '0°');
});
