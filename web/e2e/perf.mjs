/**
 * How fast the console is in a real browser: measured and printed. A slow machine fails no check;
 * only what does not depend on the machine is asserted (the size of the first route).
 */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { openPage } from './browser.mjs';
import { scattered } from './map.mjs';

const first_route_bytes_max = 65_000;
const many = 10_000;
const points = 100_000;

/** Remembers each stretch in which the page could not answer. */
async function watched(world) {
  const page = await openPage(world.browser, null);
  await page.addInitScript(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => globalThis.longTasks.push(...list.getEntries().map((one) => one.duration))).observe({ type: 'longtask', buffered: true });
  });
  return page;
}
const longest = (page) => page.evaluate(() => Math.round(Math.max(0, ...globalThis.longTasks)));
const forget = (page) => page.evaluate(() => (globalThis.longTasks.length = 0));
const ms = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? NaN;
const measures = (page, name) => page.evaluate((one) => performance.getEntriesByName(one).map((entry) => entry.duration), name);

/** Answers each history in the page itself: `count` buckets (0: one a pixel) of 100,000 points. */
function answerHistory({ count, points }) {
  const real = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    const url = new URL(String(input), location.href);
    if (!url.pathname.endsWith('/history')) return real(input, init);
    const [from, to] = [Date.parse(url.searchParams.get('from')), Date.parse(url.searchParams.get('to'))];
    const n = count || Number(url.searchParams.get('px'));
    const bucket_ms = Math.max(1, Math.floor((to - from) / n));
    const buckets = Array.from({ length: n }, (_, at) => {
      const value = 4 + Math.sin((at * 300) / n) + Math.sin(at * 12.9898) * 0.4;
      return [from + at * bucket_ms, value - 0.2, value + 0.2, value, value + 0.05, Math.max(1, Math.round(points / n))];
    });
    const body = { property: url.searchParams.get('property'), unit: 'Cel', from: url.searchParams.get('from'), to: url.searchParams.get('to'), points, bucket_ms, buckets, gaps: [], source: 'history', note: null };
    return Promise.resolve(new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } }));
  };
}

async function chart(world, count) {
  const page = await watched(world);
  await page.addInitScript(answerHistory, { count, points });
  await page.goto(`/devices/${world.device.id}?range=24h`);
  await page.waitForFunction((n) => Number(document.querySelector('.plot')?.dataset.generation) >= n, count ? count * 0.8 : 300, { timeout: 40_000 });
  await page.waitForTimeout(2500);
  const [build] = await measures(page, 'iotbiz chart build');
  const join = await measures(page, 'iotbiz chart join');
  const update = await measures(page, 'iotbiz chart update');
  return { first: Math.max(...join) + Math.max(...update, build ?? 0), update: median(update.slice(1)), join: median(join.slice(1)), task: await longest(page) };
}

export const checks = [
  ['numbers: the first route is at most 65 kB', async (world) => {
    const page = await openPage(world.browser, null);
    const files = [];
    page.on('response', async (response) => {
      const type = response.headers()['content-type'] ?? '';
      if (/javascript|css|html/.test(type) && response.ok()) files.push(response.body().catch(() => Buffer.alloc(0)));
    });
    await page.goto('/ventures');
    await page.locator('h1').waitFor();
    await page.waitForTimeout(500);
    const bytes = (await Promise.all(files)).reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
    assert.ok(bytes <= first_route_bytes_max, `${bytes} bytes`);
    return `${files.length} files, ${(bytes / 1000).toFixed(1)} kB gzip (at most ${first_route_bytes_max / 1000})`;
  }],
  ['numbers: a chart of 100,000 points', async (world) => {
    const decimated = await chart(world, 0);
    return `first paint ${ms(decimated.first)}, update ${ms(decimated.update)}, longest task ${ms(decimated.task)} (targets 50 ms, 5 ms): drawn by the pixel, as the server answers`;
  }],
  ['numbers: 10,000 devices listed, filtered, mapped', async (world) => {
    const page = await watched(world);
    await scattered(page, world.device, many);
    await page.goto('/fleet');
    await page.locator('[data-row="0"]').waitFor();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await page.locator(`[data-row="${many - 1}"]`).waitFor();
    const listed = await longest(page);
    await forget(page);
    await page.evaluate(() => scrollTo(0, 0));
    await page.locator('[data-filter]').fill('status:live kind:box');
    await page.waitForURL(/filter=/);
    await page.waitForTimeout(1500);
    const filtered = await longest(page);
    await forget(page);
    const began = performance.now();
    await page.getByRole('group', { name: 'View' }).getByRole('button', { name: 'map' }).click();
    await page.locator(`.map[data-points="${many - many / 100}"]`).waitFor();
    const mapped = performance.now() - began;
    await page.waitForTimeout(500);
    const map = await longest(page);
    await forget(page);
    const box = await page.locator('.map canvas').boundingBox();
    await page.mouse.move(box.x + 300, box.y + 300);
    await page.mouse.down();
    for (let at = 0; at < 30; at += 1) await page.mouse.move(box.x + 300 + 8 * at, box.y + 300 + 4 * at);
    await page.mouse.up();
    for (let at = 0; at < 4; at += 1) await page.getByRole('button', { name: 'Zoom in' }).click();
    await page.waitForTimeout(500);
    const moved = await longest(page);
    const paint = await measures(page, 'iotbiz map paint');
    return `longest task: list ${ms(listed)}, filter ${ms(filtered)}, map ${ms(map)}, pan and zoom ${ms(moved)} (target 200 ms); all on the map after ${ms(mapped)}, a paint of it ${ms(median(paint))}`;
  }],
  ['numbers: from page to page, each by its heading', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    const visit = async (words) => {
      const took = await page.evaluate(async (title) => {
        const began = performance.now();
        [...document.querySelectorAll('.rail a')].find((one) => one.innerText.includes(title)).click();
        const there = () => [...document.querySelectorAll('main h1')].some((one) => one.innerText.startsWith(title));
        while (!there() && performance.now() - began < 10_000) await new Promise(requestAnimationFrame);
        return performance.now() - began;
      }, words);
      await page.waitForTimeout(400);
      return took;
    };
    const names = ['Ideas', 'Alarms', 'Connect', 'Revenue', 'Fleet'];
    const [first, again] = [[], []];
    for (const words of names) first.push(await visit(words));
    for (const words of names) again.push(await visit(words));
    return names.map((words, at) => `${words} ${ms(first[at])}, again ${ms(again[at])}`).join('; ') + ' (target 100 ms)';
  }],
  ['numbers: from part to part of a long page', async (world) => {
    const { items } = await world.get('/api/v1/ventures');
    const page = await watched(world);
    await page.goto(`/ventures/${items[0].venture}`);
    await page.locator('.listing').waitFor();
    await page.waitForTimeout(1000);
    await forget(page);
    const took = await page.evaluate(async () => {
      const all = [];
      for (const link of document.querySelectorAll('.sections a')) {
        const began = performance.now();
        link.click();
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        all.push(performance.now() - began);
      }
      return all;
    });
    return `${took.length} parts, the slowest after ${ms(Math.max(...took))}, longest task ${ms(await longest(page))} (target 100 ms)`;
  }],
  ['numbers: from page to page', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    const went = [];
    for (const [link, ready] of [['Connect', 'form'], ['Fleet', '[data-row="0"]'], ['Ventures', '.facts'], ['Fleet', '[data-row="0"]'], ['Connect', 'form'], ['Fleet', '[data-row="0"]'], ['Ventures', '.facts'], ['Fleet', '[data-row="0"]']]) {
      went.push(await page.evaluate(async ([words, selector]) => {
        const began = performance.now();
        [...document.querySelectorAll('.rail a')].find((one) => one.innerText.includes(words)).click();
        await new Promise(requestAnimationFrame);
        while (!document.querySelector(selector)) await new Promise(requestAnimationFrame);
        return performance.now() - began;
      }, [link, ready]));
      await page.waitForTimeout(200);
    }
    const again = went.slice(4);
    return `first visit ${went.slice(0, 3).map(ms).join(', ')}; again ${again.map(ms).join(', ')} (target 100 ms)`;
  }],
];
