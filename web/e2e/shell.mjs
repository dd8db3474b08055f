/** The shell on every page: keys, palette, themes, 360 px, axe, no foreign host. */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

async function pages(world) {
  const { items } = await world.get('/api/v1/ventures');
  const never = await world.get('/api/v1/devices?filter=status:never&limit=1');
  const waiting = never.items[0]?.id ?? world.device.id;
  return [
    { name: 'ventures', path: '/ventures', ready: 'h1' },
    { name: 'venture', path: `/ventures/${items[0].venture}`, ready: '.listing' },
    { name: 'fleet', path: '/fleet', ready: '[data-row="0"]' },
    { name: 'device', path: `/devices/${world.device.id}?range=5m`, ready: '.plot[data-generation]:not([data-generation="0"])' },
    { name: 'alarms', path: '/alarms', ready: 'h1' },
    { name: 'connect', path: '/connect', ready: 'form' },
    { name: 'connect-device', path: `/connect?device=${waiting}`, ready: '.ear' },
    { name: 'missing', path: '/no/such/page', ready: 'h1' },
  ];
}

async function eachPage(world, look, act) {
  const wrong = [];
  for (const one of await pages(world)) {
    const page = await openPage(world.browser, one.path, look);
    await page.locator(one.ready).first().waitFor();
    await page.waitForTimeout(1200);
    wrong.push(...(await act(page, one)).map((words) => `${one.name}: ${words}`));
    if (page.errors.length > 0) wrong.push(`${one.name}: ${page.errors.join('; ')}`);
    await page.close();
  }
  assert.deepEqual(wrong, []);
}

export const checks = [
  ['the address of the server opens the one venture', async (world) => {
    const { items } = await world.get('/api/v1/ventures');
    const page = await openPage(world.browser, '/');
    await page.waitForURL(items.length === 1 ? `**/ventures/${items[0].venture}` : '**/ventures');
    await page.locator('h1').waitFor();
  }],
  ['Ctrl K finds a device and opens it, Escape gives the focus back', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"] .name a').focus();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Find or do anything' }).fill('dark');
    await shot(world.browser, page, 'palette', false);
    assert.deepEqual(await axe(page), []);
    await page.keyboard.press('Escape');
    await page.getByRole('combobox', { name: 'Find or do anything' }).waitFor({ state: 'hidden' });
    assert.ok(await page.locator('[data-row="0"] .name a').evaluate((one) => one === document.activeElement));
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Find or do anything' }).fill(world.device.name);
    await page.getByRole('option', { name: world.device.name }).first().waitFor();
    await page.waitForTimeout(400);
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/devices/${world.device.id}`);
  }],
  ['g and a letter go, ? lists the keys, and letters can be turned off', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    for (const [key, url] of [['a', '**/alarms'], ['c', '**/connect'], ['f', '**/fleet']]) {
      await page.evaluate(() => document.activeElement?.blur?.());
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForURL(url);
      await page.locator('h1').waitFor();
      await page.waitForTimeout(300);
    }
    await page.keyboard.press('?');
    await page.getByRole('heading', { name: 'Keys and display' }).waitFor();
    await shot(world.browser, page, 'help', false);
    assert.deepEqual(await axe(page), []);
    await page.getByRole('group', { name: 'Single-letter keys' }).getByText('off').click();
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.waitForTimeout(300);
    assert.equal(await page.getByRole('heading', { name: 'Keys and display' }).count(), 0);
    await page.evaluate(() => localStorage.removeItem('iotbiz.keys'));
  }],
  ['the theme follows the system until one is chosen', async (world) => {
    const page = await openPage(world.browser, '/fleet', { dark: true });
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    assert.equal(await theme(), 'dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'light');
    await page.getByRole('button', { name: 'Keys and display' }).click();
    await page.getByRole('group', { name: 'Theme' }).getByText('dark').click();
    assert.equal(await theme(), 'dark');
    await page.reload();
    assert.equal(await theme(), 'dark');
    await page.evaluate(() => localStorage.removeItem('iotbiz.theme'));
  }],
  ['from page to page in a moment', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    const took = [];
    for (const [link, ready] of [['Connect', 'form'], ['Fleet', '[data-row="0"]'], ['Connect', 'form'], ['Fleet', '[data-row="0"]']]) {
      took.push(await page.evaluate(async ([words, selector]) => {
        const began = performance.now();
        [...document.querySelectorAll('.rail a')].find((one) => one.innerText.includes(words)).click();
        await new Promise(requestAnimationFrame);
        while (!document.querySelector(selector)) await new Promise(requestAnimationFrame);
        return performance.now() - began;
      }, [link, ready]));
    }
    return `${took.map((ms) => `${Math.round(ms)} ms`).join(', ')}`;
  }],
  ['axe finds nothing, light', (world) => eachPage(world, {}, async (page, { name }) => {
    await shot(world.browser, page, `${name}-light`);
    return axe(page);
  })],
  ['axe finds nothing, dark', (world) => eachPage(world, { dark: true }, async (page, { name }) => {
    await shot(world.browser, page, `${name}-dark`);
    return axe(page);
  })],
  ['axe finds nothing at 360 px, and nothing sticks out', (world) => eachPage(world, { width: 360, height: 780 }, async (page, { name }) => {
    await shot(world.browser, page, `${name}-phone`);
    const wide = await overflow(page);
    return [...(await axe(page)), ...(wide ? [wide] : [])];
  })],
  ['a page half as wide with text twice as large needs no sideways scrolling', (world) => eachPage(world, { width: 640, height: 512 }, async (page) => {
    const wide = await overflow(page);
    return wide ? [wide] : [];
  })],
  ['every page is reached and left by Tab alone, with a visible focus', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.innerText), 'Skip to the page');
    const seen = new Set();
    for (let at = 0; at < 25; at += 1) {
      await page.keyboard.press('Tab');
      const found = await page.evaluate(() => {
        const one = document.activeElement;
        const style = getComputedStyle(one);
        const marked = style.boxShadow !== 'none' || style.outlineStyle !== 'none' || !!one.closest('label');
        return { words: one.innerText || one.getAttribute('aria-label') || one.tagName, marked };
      });
      assert.ok(found.marked, `no visible focus on ${found.words}`);
      seen.add(found.words);
    }
    assert.ok(seen.size > 15, [...seen].join(', '));
  }],
  ['a server that does not answer is told within seconds, with the age of what is shown', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    await page.route('**/api/**', (route) => route.abort());
    await page.getByText(/The server has not answered for/).waitFor({ timeout: 15_000 });
    await page.locator('.pill.link.crit').waitFor();
    await shot(world.browser, page, 'server-gone', false);
    await page.unroute('**/api/**');
    await page.getByText(/The server has not answered for/).waitFor({ state: 'hidden' });
  }],
  ['a refusal of the server is shown with code, detail, fix and a way on', async (world) => {
    const page = await openPage(world.browser, null);
    await page.route('**/api/v1/devices?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', json: { title: 'the shard is catching up', status: 503, detail: '1,204 frames to go', code: 'E0042', fix: ['wait, or see iotbiz doctor'], trace_id: 'abc' } }));
    await page.goto('/fleet');
    const words = await page.getByRole('alert').innerText();
    for (const part of ['1,204 frames to go', 'E0042', 'iotbiz doctor', 'abc']) assert.ok(words.includes(part), words);
    await page.unroute('**/api/v1/devices?*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('[data-row="0"]').waitFor();
  }],
  ['every number opens where it comes from: rail, filter chips, claims, what expires, credentials', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    const opens = async (figure, what) => {
      await figure.first().press('Enter');
      const panel = page.getByRole('dialog', { name: 'Where it comes from' });
      await panel.getByText(what).waitFor();
      await panel.getByText('API call').waitFor();
      await page.keyboard.press('Escape');
      await panel.waitFor({ state: 'hidden' });
    };
    await opens(page.locator('.rail .badge .figure'), 'devices of this tenant');
    await opens(page.getByRole('group', { name: 'Status' }).locator('.figure'), /devices of this tenant that are live/);
    assert.match(page.url(), /\/fleet$/, 'a number is no filter');
    await page.goto('/connect');
    const expires = page.getByRole('region', { name: 'What expires' });
    await expires.locator('.ends .figure').first().waitFor();
    await opens(expires.locator('.ends .figure'), /, end$/);
    const claims = page.getByRole('region', { name: 'Claim batches' });
    const left = claims.getByRole('button', { name: /can still let in/ });
    if ((await left.count()) > 0) await opens(left, /can still let in/);
    await page.goto(`/devices/${world.device.id}`);
    const held = page.getByRole('region', { name: 'Credentials' });
    await held.locator('.figure').first().waitFor();
    await opens(held.locator('.figure'), /, issued$/);
    assert.deepEqual(page.errors, []);
  }],
];
