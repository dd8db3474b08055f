/** The live link: WebSocket, then event stream, then polling, and the mark tells which. Last, because it ends with the whole run's hosts. */
import assert from 'node:assert/strict';
import { openPage } from './browser.mjs';

const picture = (page) => page.evaluate(() => document.querySelector('.plot canvas')?.toDataURL() ?? '');

async function moves(page) {
  const newest = await page.locator('.tail li').first().innerText();
  await page.waitForFunction((old) => document.querySelector('.tail li')?.innerText !== old, newest, { timeout: 20_000 });
  const before = await picture(page);
  await page.waitForTimeout(2500);
  assert.notEqual(await picture(page), before);
}

export const checks = [
  ['the link is a WebSocket and says so', async (world) => {
    const page = await openPage(world.browser, `/devices/${world.device.id}?range=5m`);
    await page.locator('.link .way').getByText('WebSocket').waitFor();
    await page.locator('.plot canvas').waitFor();
    await moves(page);
  }],
  ['without WebSocket it is the event stream, and data still arrive', async (world) => {
    const page = await openPage(world.browser, null);
    await page.routeWebSocket('**/stream*', (socket) => socket.close());
    await page.goto(`/devices/${world.device.id}?range=5m`);
    await page.locator('.link .way').getByText('event stream').waitFor({ timeout: 30_000 });
    await page.locator('.plot canvas').waitFor();
    await moves(page);
  }],
  ['behind a proxy that blocks streams it polls, says so, and data still arrive', async (world) => {
    const page = await openPage(world.browser, null);
    await page.routeWebSocket('**/stream*', (socket) => socket.close());
    await page.route('**/api/v1/stream*', (route) => route.abort());
    await page.goto(`/devices/${world.device.id}?range=5m`);
    await page.locator('.link').getByText('polling').waitFor({ timeout: 40_000 });
    await page.locator('.plot canvas').waitFor();
    await moves(page);
  }],
  ['the console asked no other host in the whole run', async (world) => {
    assert.deepEqual([...world.browser.foreign], []);
  }],
];
