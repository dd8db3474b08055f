/** The map of the fleet: its own outline, no foreign tile, nobody lost, all by keyboard. */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const many = 10_000;

/** Ten thousand devices over Europe, answered by the browser's network layer. */
export async function scattered(page, device, count = many) {
  await page.route('**/api/v1/devices?*', async (route) => {
    const search = new URL(route.request().url()).searchParams;
    const from = Number(search.get('cursor') ?? 0);
    const limit = Number(search.get('limit'));
    const items = Array.from({ length: Math.min(limit, count - from) }, (_, at) => one(device, from + at));
    const next_cursor = from + limit < count ? String(from + limit) : null;
    await route.fulfill({ json: { items, next_cursor, total_matching: count } });
  });
}

function one(device, at) {
  const status = at % 29 === 0 ? 'silent' : at % 211 === 0 ? 'retired' : 'live';
  const [a, b] = [((at * 7919) % 10_007) / 10_007, ((at * 104_729) % 10_009) / 10_009];
  const value = [44 + 10 * a, 2 + 16 * b];
  const position = { value, unit: null, at: new Date(Date.now() - at).toISOString(), origin: device.origin, mark: 'log_time', offset: 1000 + at };
  const readings = at % 100 === 99 ? {} : { ...device.readings, position };
  return { ...device, id: `dev_${at}`, name: `box-${String(at).padStart(5, '0')}`, status, readings };
}

const ready = (page, n) => page.locator(n === undefined ? '.map[data-land="true"]:not([data-points="0"])' : `.map[data-land="true"][data-points="${n}"]`).waitFor();

export const checks = [
  ['the map shows who told a position, lists them beside it, and is the same filter', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    await page.getByRole('group', { name: 'View' }).getByRole('button', { name: 'map' }).click();
    await page.waitForURL(/view=map/);
    await ready(page);
    const { items } = await world.get('/api/v1/devices?limit=1000');
    const placed = items.filter((item) => Object.values(item.readings).some(({ value }) => Array.isArray(value))).length;
    assert.equal(Number(await page.locator('.map').getAttribute('data-points')), placed);
    await page.locator('.side-head').getByText(`${placed} device`).waitFor();
    await shot(world.browser, page, 'fleet-map-light');
    await page.locator('[data-filter]').fill('status:never');
    await page.waitForURL(/status:never/);
    await page.locator('.map[data-points="0"]').waitFor();
    await page.goBack();
    await page.locator('[data-row="0"]').waitFor();
    assert.deepEqual(page.errors, []);
  }],
  ['a mark is chosen by keyboard, spoken, zoomed into and opened; the address carries the view', async (world) => {
    const page = await openPage(world.browser, '/fleet?view=map');
    await ready(page);
    await page.locator('.map').focus();
    await page.keyboard.press('PageDown');
    const spoken = await page.locator('.map [aria-live]').innerText();
    assert.match(spoken, /live|silent|never|retired/);
    await page.getByRole('button', { name: 'Show all in view' }).waitFor();
    await page.keyboard.press('+');
    await page.keyboard.press('ArrowLeft');
    await page.waitForURL(/at=[-\d.]+,[-\d.]+,[\d.]+/);
    const there = new URL(page.url()).searchParams.get('at');
    await page.reload();
    await ready(page);
    assert.equal(new URL(page.url()).searchParams.get('at'), there);
    await page.locator('.map').focus();
    await page.keyboard.press('0');
    await page.waitForFunction(() => !location.search.includes('at='));
    for (let tries = 0; tries < 40 && !/\/devices\//.test(page.url()); tries += 1) {
      await page.locator('.map').focus().catch(() => {});
      await page.keyboard.press(tries === 0 ? 'PageDown' : 'Enter');
      await page.waitForTimeout(60);
      const list = page.locator('.side-list li a');
      // Devices on the very same spot never part: they are opened from the list.
      if (tries === 30) await list.first().click();
    }
    await page.waitForURL(/\/devices\//);
  }],
  ['ten thousand devices: none is lost in a cluster, and zooming is done by buttons too', async (world) => {
    const page = await openPage(world.browser, null);
    await scattered(page, world.device);
    await page.goto('/fleet?view=map');
    await ready(page, many - many / 100);
    await page.locator('.side-head').getByText('9,900 devices').waitFor();
    await page.getByText('100 devices').waitFor();
    await shot(world.browser, page, 'fleet-map-many-light');
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await page.locator('.side-head').getByText('9,900 devices').waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Show all devices' }).click();
    await page.locator('.side-head').getByText('9,900 devices').waitFor();
    const box = await page.locator('.map canvas').boundingBox();
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.move(box.x + 300, box.y + 300);
    await page.mouse.down();
    await page.mouse.move(box.x + 500, box.y + 380, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/at=/);
    assert.deepEqual(page.errors, []);
  }],
  ['axe finds nothing on the map: light, dark, phone', async (world) => {
    for (const [name, look] of [['light', {}], ['dark', { dark: true }], ['phone', { width: 360, height: 780 }]]) {
      const page = await openPage(world.browser, null, look);
      await scattered(page, world.device, 2000);
      await page.goto('/fleet?view=map');
      await ready(page, 1980);
      await page.waitForTimeout(300);
      await shot(world.browser, page, `fleet-map-${name === 'light' ? 'many' : name}`);
      assert.deepEqual(await axe(page), [], name);
      assert.equal(await overflow(page), '', name);
      await page.close();
    }
  }],
];
