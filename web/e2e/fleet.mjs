/** Fleet: one filter language, ten thousand rows, many changes with their failures. */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const many = 20_000;

/** A fleet of twenty thousand, answered by the browser's network layer instead of the server. */
async function twentyThousand(page, device) {
  await page.route('**/api/v1/devices?*', async (route) => {
    const search = new URL(route.request().url()).searchParams;
    const from = Number(search.get('cursor') ?? 0);
    const limit = Number(search.get('limit'));
    const items = Array.from({ length: Math.min(limit, many - from) }, (_, at) => ({
      ...device, id: `dev_${from + at}`, name: `box-${String(from + at).padStart(5, '0')}`,
    }));
    const next_cursor = from + limit < many ? String(from + limit) : null;
    await route.fulfill({ json: { items, next_cursor, total_matching: many } });
  });
}

export const checks = [
  ['the filter is one text: typed, pressed and in the address', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    await page.locator('[data-filter]').fill(`kind:${world.device.kind}`);
    await page.waitForURL(/filter=kind:/);
    await page.getByRole('group', { name: 'Status' }).getByRole('button', { name: /^live/ }).click();
    await page.waitForURL(/status:live/);
    assert.equal(await page.locator('[data-filter]').inputValue(), `kind:${world.device.kind} status:live`);
    await page.locator('[data-row="0"]').waitFor();
    assert.ok((await page.locator('[data-row] > span:nth-child(3) .st').allInnerTexts()).every((words) => words === 'live'));
    await page.reload();
    assert.equal(await page.locator('[data-filter]').inputValue(), `kind:${world.device.kind} status:live`);
    await page.goBack();
    await page.waitForFunction(() => !location.search.includes('status'));
    assert.equal(await page.locator('[data-filter]').inputValue(), `kind:${world.device.kind}`);
  }],
  ['a wrong filter is told with its place, and nothing matching is told as such', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="0"]').waitFor();
    await page.locator('[data-filter]').fill('site:"open');
    await page.getByText(/At character 6/).waitFor();
    await page.locator('[data-filter]').fill('status:asleep');
    await page.locator('.filter-words.bad').getByText(/asleep.*live, silent, never or retired/).waitFor();
    await page.locator('[data-filter]').fill('zzz-no-such-name');
    await page.getByText('No device matches').waitFor();
    await shot(world.browser, page, 'fleet-nothing-matches');
    await page.getByRole('button', { name: 'Clear the filter' }).click();
    await page.locator('[data-row="0"]').waitFor();
  }],
  ['rows are walked by j and k, opened by Enter, selected by x', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="1"]').waitFor();
    await page.keyboard.press('/');
    assert.ok(await page.locator('[data-filter]').evaluate((one) => one === document.activeElement));
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.locator('[data-row="1"].current').waitFor();
    await page.keyboard.press('x');
    await page.getByText('1 device selected').waitFor();
    await page.keyboard.press('k');
    await page.locator('[data-row="0"].current').waitFor();
    await page.waitForFunction(() => document.activeElement?.closest('[data-row="0"]'));
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/devices\//);
  }],
  ['twenty thousand devices scroll with few rows drawn', async (world) => {
    const page = await openPage(world.browser, null);
    await twentyThousand(page, world.device);
    const began = performance.now();
    await page.goto('/fleet');
    await page.locator('[data-row="0"]').waitFor();
    const first = Math.round(performance.now() - began);
    await page.getByText('20,000 devices').waitFor();
    assert.ok((await page.locator('[data-row]').count()) < 80);
    const scrolled = performance.now();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await page.locator('[data-row="19999"]').waitFor();
    const end = Math.round(performance.now() - scrolled);
    assert.ok((await page.locator('[data-row]').count()) < 80);
    const frames = await page.evaluate(async () => {
      let worst = 0;
      let before = performance.now();
      for (let at = 0; at < 60; at += 1) {
        scrollTo(0, (document.body.scrollHeight / 60) * at);
        await new Promise(requestAnimationFrame);
        worst = Math.max(worst, performance.now() - before);
        before = performance.now();
      }
      return Math.round(worst);
    });
    return `first rows after ${first} ms, last row of 20,000 after ${end} ms, worst frame ${frames} ms`;
  }],
  ['going back from a device finds the list where it was left', async (world) => {
    const page = await openPage(world.browser, null);
    await twentyThousand(page, world.device);
    await page.goto('/fleet?filter=kind:box');
    await page.locator('[data-row="0"]').waitFor();
    await page.evaluate(() => scrollTo(0, 9000));
    await page.locator('[data-row="240"]').waitFor();
    await page.evaluate(() => document.querySelector('[data-row="240"] a').click());
    await page.waitForURL(/\/devices\//);
    await page.goBack();
    await page.locator('[data-row="240"]').waitFor();
    assert.ok(Math.abs((await page.evaluate(() => scrollY)) - 9000) < 2);
    assert.match(page.url(), /filter=kind:box$/);
  }],
  ['many devices are changed at once: the count is typed, failures are listed and retried', async (world) => {
    const page = await openPage(world.browser, null);
    let fail = true;
    await page.route('**/api/v1/devices/*', async (route) => {
      if (route.request().method() !== 'PATCH') return route.continue();
      if (!fail) return route.fulfill({ json: {} });
      fail = false;
      return route.fulfill({ status: 412, contentType: 'application/problem+json', json: { title: 'changed meanwhile', status: 412, detail: 'somebody else was faster', code: 'conflict' } });
    });
    await page.goto('/fleet');
    await page.locator('[data-row="1"]').waitFor();
    await page.locator('[data-row="0"] input').check();
    await page.locator('[data-row="1"] input').check();
    const form = page.getByRole('form', { name: 'Change the selected devices' });
    await form.getByLabel('Tag').fill('night');
    assert.ok(await form.getByRole('button', { name: 'Add the tag' }).isDisabled());
    await form.getByLabel('Type 2 to confirm').fill('2');
    await form.getByRole('button', { name: 'Add the tag' }).click();
    await form.getByText('1 of 2 done').waitFor();
    await form.getByText(/somebody else was faster/).waitFor();
    await shot(world.browser, page, 'fleet-partial-failure');
    await form.getByRole('button', { name: 'Retry the 1 that failed' }).click();
    await form.getByText('1 of 1 done').waitFor();
  }],
  ['a setting of the blueprint is wanted of many: bounds beside it, those that were left are listed', async (world) => {
    const bounded = (one) => one.type === 'number' && one.min !== null && one.max !== null;
    const { items } = await world.get('/api/v1/ventures');
    const found = items.flatMap((one) => one.kinds).find((one) => one.devices > 1 && one.settings?.some(bounded));
    if (!found) return 'left out: no kind has a setting with bounds';
    const kind = found.name;
    const setting = found.settings.find(bounded);
    const page = await openPage(world.browser, `/fleet?filter=kind:${kind}`);
    await page.locator('[data-row="1"]').waitFor();
    await page.locator('[data-row="0"] input').check();
    await page.locator('[data-row="1"] input').check();
    const form = page.getByRole('form', { name: 'Change the selected devices' });
    await form.getByRole('button', { name: 'set a setting' }).click();
    const value = form.getByLabel('Wanted value');
    await value.waitFor();
    await value.fill(String(setting.max + 1));
    await form.getByText(/^it is out of/).waitFor();
    await form.getByLabel('Type 2 to confirm').fill('2');
    assert.ok(await form.getByRole('button', { name: 'Send the setting' }).isDisabled());
    const middle = Math.round((setting.min + setting.max) / 2);
    await value.fill(String(middle));
    await shot(world.browser, page, 'fleet-setting-light');
    for (const look of [{ width: 1440, height: 1080, dark: true }, { width: 360, height: 780 }]) {
      await page.setViewportSize({ width: look.width, height: look.height });
      await page.emulateMedia({ colorScheme: look.dark ? 'dark' : 'light' });
      assert.deepEqual(await axe(page), [], JSON.stringify(look));
      assert.equal(await overflow(page), '', JSON.stringify(look));
      await shot(world.browser, page, `fleet-setting-${look.dark ? 'dark' : 'phone'}`);
    }
    await page.setViewportSize({ width: 1440, height: 1080 });
    await page.emulateMedia({ colorScheme: 'light' });
    // One of the two is refused by the server: what it says is listed, the other is done.
    await page.route('**/api/v1/desired', async (route) => {
      const asked = route.request().postDataJSON();
      const [left] = asked.devices;
      const answer = await route.fetch({ postData: JSON.stringify({ ...asked, devices: asked.devices.slice(1) }) });
      const said = await answer.json();
      said.failed.push({ device: left, name: 'the first', reason: 'dwell is 10 min' });
      await route.fulfill({ response: answer, json: said });
    });
    await form.getByRole('button', { name: 'Send the setting' }).click();
    await form.getByText('1 of 2 done').waitFor();
    await form.getByText('dwell is 10 min').waitFor();
    await shot(world.browser, page, 'fleet-setting-failed-light');
    await page.unroute('**/api/v1/desired');
    await form.getByRole('button', { name: 'Retry the 1 that failed' }).click();
    await form.getByText('1 of 1 done').waitFor();
    const { items: both } = await world.get(`/api/v1/devices?filter=kind:${kind}&limit=2`);
    for (const one of both) {
      const { desired } = await world.get(`/api/v1/devices/${one.id}/twin`);
      assert.equal(desired[setting.name].value, middle, one.name);
    }
    assert.deepEqual(page.errors, []);
  }],
  ['a selection goes into maintenance, and page Alarms lists it until it is ended', async (world) => {
    const { status } = await fetch(`${world.base}/api/v1/maintenance`);
    if (status === 404) return 'left out: the server lists no maintenance';
    const page = await openPage(world.browser, '/fleet');
    await page.locator('[data-row="1"]').waitFor();
    const name = (await page.locator('[data-row="1"] a').first().innerText()).trim();
    await page.locator('[data-row="1"] input').check();
    const form = page.getByRole('form', { name: 'Change the selected devices' });
    await form.getByRole('button', { name: 'maintenance' }).click();
    await form.getByLabel('For how long').selectOption('30 min');
    await form.getByRole('button', { name: 'Begin maintenance' }).click();
    await form.getByText('1 of 1 done').waitFor();
    await page.goto('/alarms');
    const line = page.locator(`[data-quiet="${name} "]`);
    await line.getByText(/ends in (29|30) min/).waitFor();
    await line.getByRole('button', { name: /^End now/ }).click();
    await line.waitFor({ state: 'detached' });
    const { items } = await world.get('/api/v1/maintenance');
    assert.ok(!items.some((one) => one.device.name === name));
    assert.deepEqual(page.errors, []);
  }],
  ['all that match are selected also when few are loaded, and the count must be typed', async (world) => {
    const page = await openPage(world.browser, null);
    await twentyThousand(page, world.device);
    await page.goto('/fleet');
    await page.locator('[data-row="0"] input').check();
    await page.getByRole('button', { name: 'Select all 20,000' }).click();
    const form = page.getByRole('form', { name: 'Change the selected devices' });
    await form.getByText('20,000 devices selected').waitFor();
    await form.getByLabel('Tag').fill('night');
    assert.ok(await form.getByRole('button', { name: 'Add the tag' }).isDisabled());
    await form.getByLabel(/^Type 20,000/).fill('20,000');
    assert.ok(await form.getByRole('button', { name: 'Add the tag' }).isEnabled());
    await form.getByRole('button', { name: 'Clear' }).click();
    await form.waitFor({ state: 'hidden' });
  }],
  ['an empty fleet says what will be here and gives the command', async (world) => {
    const page = await openPage(world.browser, null);
    await page.route('**/api/v1/devices?*', (route) => route.fulfill({ json: { items: [], next_cursor: null, total_matching: 0 } }));
    await page.goto('/fleet');
    await page.getByText('No device yet').waitFor();
    await page.getByRole('button', { name: 'Copy the command' }).click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^iotbiz /);
    await shot(world.browser, page, 'fleet-empty');
  }],
];
