/** The device page: a chart that moves, messages, the twin, where a number comes from. */
import assert from 'node:assert/strict';
import { openPage, shot } from './browser.mjs';

const picture = (page) => page.evaluate(() => document.querySelector('.plot canvas')?.toDataURL() ?? '');

async function open(world, search = '') {
  const page = await openPage(world.browser, `/devices/${world.device.id}${search}`);
  await page.locator('.plot canvas').waitFor();
  return page;
}

export const checks = [
  ['the device page shows a chart that moves', async (world) => {
    const began = performance.now();
    const page = await open(world, '?range=5m');
    await page.locator('.plot[data-generation]:not([data-generation="0"])').waitFor();
    const first = Math.round(performance.now() - began);
    const before = await picture(page);
    await page.waitForTimeout(3000);
    const after = await picture(page);
    assert.ok(before.length > 2000, 'the canvas is empty');
    assert.notEqual(before, after, 'the picture did not change in 3 s');
    assert.match(await page.locator('.plot').getAttribute('aria-label'), /between/);
    await page.locator('[data-live="ok"]').waitFor();
    assert.deepEqual(page.errors, []);
    return `first line after ${first} ms`;
  }],
  ['readings move the chart without asking for the history again', async (world) => {
    const page = await open(world, '?range=5m');
    await page.locator('.plot[data-generation]:not([data-generation="0"])').waitFor();
    await page.waitForTimeout(1500);
    let asked = 0;
    page.on('request', (request) => (asked += request.url().includes('/history?') ? 1 : 0));
    const newest = await page.locator('.tail li').first().innerText();
    await page.waitForFunction((old) => document.querySelector('.tail li')?.innerText !== old, newest);
    await page.waitForTimeout(2500);
    assert.equal(asked, 0);
  }],
  ['readings have value, unit and age', async (world) => {
    const page = await open(world);
    const [name, reading] = Object.entries(world.device.readings).find(([, one]) => typeof one.value === 'number');
    const tile = page.locator('.tile').filter({ hasText: name }).first();
    assert.match(await tile.innerText(), /\d/);
    if (reading.unit) assert.match(await tile.locator('.figure').innerText(), /[°%\p{L}]/u);
    assert.match(await tile.locator('small').innerText(), /now|ago/);
  }],
  ['messages arrive, can be paused and are told apart', async (world) => {
    const page = await open(world);
    const newest = page.locator('.tail li').first();
    await newest.waitFor();
    const first = await newest.innerText();
    await page.waitForFunction((old) => document.querySelector('.tail li')?.innerText !== old, first);
    await page.getByRole('button', { name: 'Pause' }).click();
    const held = await newest.innerText();
    await page.waitForTimeout(2500);
    assert.equal(await newest.innerText(), held);
    await page.getByText(/Paused, \d+ new message/).waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await newest.locator('summary').click();
    await page.locator('.tail details[open]').getByText('log offset').waitFor();
  }],
  ['a command is asked for, confirmed, and its answer comes by itself', async (world) => {
    const page = await open(world);
    const card = page.getByRole('region', { name: 'Commands' });
    const able = card.locator('[data-available] button');
    await able.first().waitFor();
    const locate = card.getByRole('button', { name: /^locate$/i });
    await ((await locate.count()) > 0 ? locate : able.first()).click();
    for (const field of await card.locator('.edit input').all()) await field.fill('1');
    const send = card.getByRole('button', { name: /^Send / });
    assert.match(await card.locator('.sure').innerText(), /has no effect/);
    await send.click();
    const first = card.locator('[data-state]').first();
    await card.locator('[data-state="done"]').first().waitFor();
    assert.match(await first.innerText(), /done[\s\S]*by /);
    await shot(world.browser, page, 'device-command-done', false);
    assert.deepEqual(page.errors, []);
  }],
  ['a number opens where it comes from, with time, offset, origin and API call', async (world) => {
    const page = await open(world);
    await page.locator('.tile .figure').first().click();
    const panel = page.locator('.explain:popover-open');
    await panel.waitFor();
    const words = await panel.innerText();
    for (const part of ['Origin', 'Time', 'Log offset', 'GET /api/v1/devices/']) assert.ok(words.includes(part), `${part} is missing in ${words}`);
    await shot(world.browser, page, 'device-where-it-comes-from', false);
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'hidden' });
  }],
  ['range, lines and view are in the address and survive a reload and going back', async (world) => {
    const page = await open(world);
    await page.getByRole('button', { name: '1 h', exact: true }).click();
    await page.getByRole('button', { name: '6 h', exact: true }).click();
    assert.match(page.url(), /range=6h/);
    await page.goBack();
    assert.match(page.url(), /range=1h/);
    await page.getByRole('button', { name: 'As table' }).click();
    await page.getByRole('region', { name: 'Readings as a table' }).waitFor();
    await page.reload();
    await page.getByRole('region', { name: 'Readings as a table' }).waitFor();
    assert.equal(await page.getByRole('button', { name: '1 h', exact: true }).getAttribute('aria-pressed'), 'true');
  }],
  ['the chart is read by keyboard: arrows move the crosshair, plus and minus the range', async (world) => {
    const page = await open(world, '?range=5m');
    await page.locator('.plot[data-generation]:not([data-generation="0"])').waitFor();
    await page.locator('.plot').focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.locator('.tip').waitFor();
    assert.match(await page.locator('.plot [aria-live]').innerText(), /: .*\d/);
    await page.keyboard.press('-');
    await page.waitForURL(/range=600s/);
  }],
  ['a range of one\'s own and a comparison are in the address; Page Up and the buttons move the window', async (world) => {
    const page = await open(world, '?range=5m');
    await page.locator('.plot[data-generation]:not([data-generation="0"])').waitFor();
    await page.locator('.plot').focus();
    await page.keyboard.press('PageUp');
    await page.waitForURL(/from=.*to=/);
    await page.getByRole('button', { name: 'Later' }).click();
    await page.waitForURL(/range=5m/);
    await page.getByRole('button', { name: 'Own range and comparison' }).click();
    await page.getByLabel('Compare with').selectOption('before');
    await page.waitForURL(/compare=before/);
    await page.waitForTimeout(800);
    await shot(world.browser, page, 'device-compare', false);
    const form = page.getByRole('form', { name: 'Own range' });
    await form.getByLabel('From').fill('2026-01-02T10:00');
    await form.getByLabel('to', { exact: true }).fill('2026-01-02T09:00');
    await form.getByRole('button', { name: 'Show this range' }).click();
    await form.getByText('The end is not after the start').waitFor();
    await form.getByLabel('to', { exact: true }).fill('2026-01-02T11:30');
    await form.getByRole('button', { name: 'Show this range' }).click();
    await page.waitForURL(/from=2026-01-02/);
    await page.getByText(/Nothing received/).waitFor();
    await page.goBack();
    await page.waitForURL(/range=5m/);
    assert.equal(await page.getByLabel('Compare with').inputValue(), 'before');
    assert.match(await page.locator('[data-source]').innerText(), /from (memory|history)/);
    assert.deepEqual(page.errors, []);
  }],
  ['a number leads to the message it came in', async (world) => {
    const page = await open(world);
    const open_ = page.locator('.tile .figure').first();
    await open_.click();
    const panel = page.locator('.explain:popover-open');
    await panel.getByText('Blueprint').waitFor();
    await panel.getByRole('link', { name: 'The message as it came' }).click();
    await page.waitForURL(/message=\d+/);
    await panel.waitFor({ state: 'hidden' });
    const offset = new URL(page.url()).searchParams.get('message');
    await page.locator(`.tail li.asked[data-offset="${offset}"] details[open]`).or(page.locator('p.asked')).waitFor();
    await page.goBack();
    await page.waitForFunction(() => !location.search.includes('message='));
  }],
  ['a range is chosen with the mouse and left again', async (world) => {
    const page = await open(world, '?range=5m');
    await page.locator('.plot[data-generation]:not([data-generation="0"])').waitFor();
    const box = await page.locator('.u-over').boundingBox();
    await page.mouse.move(box.x + 200, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + 400, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/from=.*to=/);
    await page.getByRole('button', { name: 'Back to now' }).click();
    await page.waitForURL(/range=/);
  }],
  ['a setting is edited: a wrong one is refused by name, a right one is wanted, and can be undone', async (world) => {
    const page = await open(world);
    const card = page.getByRole('region', { name: 'Twin' });
    await card.getByRole('button', { name: 'Set another' }).click();
    await page.getByLabel('Setting', { exact: true }).fill('interval');
    await page.getByLabel('Wanted value').fill('4 parsec');
    await page.getByRole('button', { name: 'Send to the device' }).click();
    await card.getByText('The setting was not taken').waitFor();
    assert.match(await card.locator('.problem').innerText(), /interval/);
    await page.getByLabel('Wanted value').fill('15 min');
    await page.getByRole('button', { name: 'Send to the device' }).click();
    await card.locator('.diff').getByText('15 min').first().waitFor();
    await card.getByRole('button', { name: /^Undo/ }).click();
    await card.getByRole('button', { name: /^Undo/ }).waitFor({ state: 'hidden' });
  }],
  ['an unknown device is told with code and what to do', async (world) => {
    const page = await openPage(world.browser, '/devices/dev_nowhere');
    await page.getByRole('alert').waitFor();
    const words = await page.getByRole('alert').innerText();
    assert.match(words, /There is no device dev_nowhere/);
    assert.match(words, /not_found|404|[A-Z]\d+/);
  }],
];
