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

/** What breaks a connection in these checks reaches the page, not a worker that all tabs share. */
const alone = (page) => page.addInitScript(() => delete globalThis.SharedWorker);

export const checks = [
  ['the link is a WebSocket and says so', async (world) => {
    const page = await openPage(world.browser, `/devices/${world.device.id}?range=5m`);
    await page.locator('.link .way').getByText('WebSocket').waitFor();
    await page.locator('.plot canvas').waitFor();
    await moves(page);
  }],
  ['two tabs share one connection: neither opens its own, both move, and the mark says so', async (world) => {
    const tabs = [];
    const opened = [];
    for (let at = 0; at < 2; at += 1) {
      const page = await openPage(world.browser, null);
      page.on('websocket', (socket) => opened.push(socket.url()));
      page.on('request', (request) => request.url().includes('/api/v1/stream') && opened.push(request.url()));
      await page.goto(`/devices/${world.device.id}?range=5m`);
      tabs.push(page);
    }
    for (const page of tabs) {
      await page.bringToFront();
      await page.locator('.link .way').getByText('WebSocket, 2 tabs').waitFor();
      assert.match(await page.locator('.link').getAttribute('title'), /one connection for 2 tabs/);
      await page.locator('.plot canvas').waitFor();
      await moves(page);
    }
    assert.deepEqual(opened, []);
    await tabs[0].close();
    await tabs[1].locator('.link .way').getByText(/^WebSocket$/).waitFor();
    await moves(tabs[1]);
  }],
  ['a browser without shared workers connects each tab by itself, and says so', async (world) => {
    const page = await openPage(world.browser, null);
    await alone(page);
    const opened = [];
    page.on('websocket', (socket) => opened.push(socket.url()));
    await page.goto(`/devices/${world.device.id}?range=5m`);
    await page.locator('.link .way').getByText('WebSocket').waitFor();
    assert.match(await page.locator('.link').getAttribute('title'), /this tab alone/);
    assert.equal(opened.length, 1);
    await page.locator('.plot canvas').waitFor();
    await moves(page);
  }],
  ['a connection that broke goes on after the last offset heard', async (world) => {
    const page = await openPage(world.browser, null);
    await alone(page);
    const asked = [];
    const told = new Set();
    let [heard, sockets, cut] = [0, [], false];
    await page.routeWebSocket('**/stream*', (socket) => {
      // For a while nobody is there: what is said meanwhile is missed, and must come later.
      if (cut) return void socket.close();
      const server = socket.connectToServer();
      sockets.push(socket);
      socket.onMessage((text) => {
        const { subscribe } = JSON.parse(text);
        if (subscribe) asked.push({ after: subscribe.after ?? null, heard });
        server.send(text);
      });
      server.onMessage((text) => {
        const { kind, offset, data } = JSON.parse(text);
        heard = Math.max(heard, offset ?? 0);
        if (kind === 'message') told.add(data.offset);
        socket.send(text);
      });
    });
    await page.goto(`/devices/${world.device.id}?range=5m`);
    await page.locator('.tail li').first().waitFor();
    await moves(page);
    assert.equal(asked.at(-1).after, null);
    const first = Math.min(...told);
    cut = true;
    await sockets.at(-1).close();
    await page.waitForTimeout(2600);
    cut = false;
    await page.locator('.link .way').getByText('WebSocket').waitFor({ timeout: 30_000 });
    const again = asked.find(({ after }) => after !== null);
    assert.ok(again && again.after > 0 && again.after <= again.heard, JSON.stringify(asked));
    await moves(page);
    const { items } = await world.get(`/api/v1/devices/${world.device.id}/messages?limit=100`);
    const due = items.map(({ offset }) => offset).filter((offset) => offset >= first && offset <= heard);
    assert.deepEqual(due.filter((offset) => !told.has(offset)), [], 'messages were missed for good');
    return `${due.length} messages across the break`;
  }],
  ['without WebSocket it is the event stream, and data still arrive', async (world) => {
    const page = await openPage(world.browser, null);
    await alone(page);
    await page.routeWebSocket('**/stream*', (socket) => socket.close());
    await page.goto(`/devices/${world.device.id}?range=5m`);
    await page.locator('.link .way').getByText('event stream').waitFor({ timeout: 30_000 });
    await page.locator('.plot canvas').waitFor();
    await moves(page);
  }],
  ['behind a proxy that blocks streams it polls, says so, and data still arrive', async (world) => {
    const page = await openPage(world.browser, null);
    await alone(page);
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
