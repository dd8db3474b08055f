/**
 * Alarms: a device is warmed, its alarm appears by itself, says why, is taken, judged and put off.
 * The rule is one of its own, without `for`, so that nobody waits ten minutes.
 */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const rule = 'e2e_warm';
const step_ms = 8000;
const undo_ms = 10_000;
let known = null;

async function call(base, method, path, body, headers = {}) {
  const response = await fetch(base + path, { method, headers: { 'content-type': 'application/json', ...headers }, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path} answered ${response.status}: ${text}`);
  return text === '' ? null : JSON.parse(text);
}

/** Puts the rule in force and gives a device of its kind. */
async function ready(world) {
  if (known) return known;
  const kind = world.device.kind;
  const property = 'temperature' in world.device.readings ? 'temperature' : Object.keys(world.device.expected_every)[0];
  const venture = world.device.venture;
  const path = `/api/v1/ventures/${venture}/blueprint`;
  const { text, revision } = await world.get(path);
  if (!text.includes(`[alarm.${rule}]`)) {
    const unit = world.device.readings[property].unit === 'Cel' ? ' °C' : '';
    const added = `${text.trimEnd()}\n\n[alarm.${rule}]\ndevice   = "${kind}"\nwhen     = "${property} > 30${unit}"\nclear    = "${property} < 20${unit}"\nseverity = "critical"\nnotify   = "operator"\n`;
    await call(world.base, 'PUT', path, { text: added, based_on: revision });
  }
  const made = await call(world.base, 'POST', '/api/v1/devices', { name: `warm-${Date.now().toString(36)}`, kind, venture, origin: 'real' });
  const send = (value) => call(world.base, 'POST', '/ingest/v1/telemetry', { [property]: value }, { authorization: `Bearer ${made.credential.token}` });
  known = { device: made.device, property, venture, send };
  await send(5);
  return known;
}

const row = (page, name) => page.locator('.al-list li').filter({ hasText: name });
const fetched = (world, query) => world.get(`/api/v1/alarms?${query}`).then(({ items }) => items);

async function until(check, words) {
  const began = performance.now();
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(performance.now() - began < step_ms, words);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Warms the device when nothing is open on it, and opens its alarm. */
async function opened(world, look = {}) {
  const { device, send } = await ready(world);
  const query = `device=${device.id}&rule=${rule}`;
  if ((await fetched(world, query)).length === 0) await send(35 + Math.random());
  const [alarm] = await until(async () => {
    const items = await fetched(world, query);
    return items.length > 0 && items;
  }, 'no alarm was raised');
  const page = await openPage(world.browser, `/alarms?alarm=${alarm.id}`, look);
  await page.locator('[data-change="raised"]').waitFor();
  return { page, alarm, device };
}

const all = [
  ['alarms: a warm device raises one, the page shows it by itself, with the values it was decided on', async (world) => {
    const { device, send } = await ready(world);
    const page = await openPage(world.browser, '/alarms');
    await page.locator('.c-list').waitFor();
    await page.waitForTimeout(1500);
    const began = performance.now();
    await send(35.25);
    await row(page, device.name).waitFor();
    const took = Math.round(performance.now() - began);
    await row(page, device.name).locator('a').click();
    await page.waitForURL(/alarm=/);
    const trace = page.locator('[data-change="raised"]');
    await trace.waitFor();
    assert.match(await trace.innerText(), /35\.25/);
    assert.match(await trace.locator('caption').innerText(), /> 30/);
    await page.locator('.c-detail .plot canvas').waitFor();
    await page.waitForTimeout(1500);
    await page.locator('.rail .badge.crit').first().waitFor();
    assert.match(await page.locator('.c-detail .plot').getAttribute('aria-label'), /raise > 30/);
    await shot(world.browser, page, 'alarms-open-light');
    await page.goto('/ventures');
    await page.getByRole('region', { name: 'Waiting for a person' }).getByText(device.name).waitFor();
    assert.deepEqual(page.errors, []);
    return `on the page ${took} ms after it was sent`;
  }],
  ['alarms: acknowledged with a note, which everybody sees', async (world) => {
    const { page, alarm } = await opened(world);
    const acts = page.getByRole('group', { name: 'What you say to it' });
    await acts.getByLabel('Note').fill('on my way');
    await acts.getByRole('button', { name: 'Acknowledge' }).click();
    await page.locator('[data-change="acknowledged"]').waitFor();
    const { acknowledged, state } = await world.get(`/api/v1/alarms/${alarm.id}`);
    assert.deepEqual([acknowledged.note, state], ['on my way', 'acknowledged']);
    await page.locator(`[data-alarm="${alarm.id}"]`).getByText('acknowledged').waitFor();
    assert.deepEqual(page.errors, []);
  }],
  ['alarms: a device goes into maintenance and raises nothing; a broken sensor is ignored, and believed again', async (world) => {
    const { page, alarm, device } = await opened(world);
    const { send, property } = await ready(world);
    const card = page.getByRole('region', { name: 'Hold back', exact: true });
    const acts = card.getByRole('group', { name: `Hold back for ${device.name}` });
    await acts.getByRole('button', { name: 'Maintenance' }).click();
    await card.getByText('2 h', { exact: true }).click();
    await card.getByLabel('Note').fill('new gasket');
    await card.getByRole('button', { name: 'Begin maintenance, 2 h' }).click();
    await card.locator('[data-held="maintenance"]').getByText(/ends in 2 h|ends in 1 h 59 min/).waitFor();
    await page.locator(`[data-quiet="${device.name} "]`).waitFor();
    await send(4);
    await until(async () => (await world.get(`/api/v1/alarms/${alarm.id}`)).cleared !== null, 'it is still open');
    await send(36);
    await until(async () => (await world.get(`/api/v1/devices/${device.id}`)).readings[property].value === 36, 'it did not arrive');
    assert.equal((await fetched(world, `device=${device.id}`)).length, 0, 'raised in maintenance');
    await card.locator('[data-held="maintenance"]').getByRole('button', { name: 'End it now' }).click();
    await card.locator('[data-held="maintenance"]').waitFor({ state: 'detached' });

    // Planned for tomorrow it holds nothing back yet, is listed here and on the page, and is taken back.
    await acts.getByRole('button', { name: 'Maintenance' }).click();
    await card.getByText('later', { exact: true }).click();
    const tomorrow = new Date(Date.now() + 86_400_000);
    const local = new Date(tomorrow.getTime() - tomorrow.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    await card.getByLabel('Begin, in the time of this machine').fill(local);
    await card.getByRole('button', { name: 'Plan maintenance, 2 h' }).click();
    await card.getByText('maintenance is planned').waitFor();
    const [planned] = (await world.get('/api/v1/maintenance/windows')).items;
    assert.equal(new Date(planned.from).getTime(), new Date(local).getTime(), 'planned at another minute');
    const quiet = page.getByRole('region', { name: 'Held back now' });
    await quiet.locator(`[data-planned="${planned.id}"]`).getByText(device.name).waitFor();
    await card.locator(`[data-planned="${planned.id}"]`).getByRole('button', { name: 'Take it back' }).click();
    await card.locator(`[data-planned="${planned.id}"]`).waitFor({ state: 'detached' });
    await quiet.locator(`[data-planned="${planned.id}"]`).waitFor({ state: 'detached' });

    await acts.getByRole('button', { name: 'A sensor is broken' }).click();
    await card.getByRole('radiogroup', { name: 'Which reading' }).getByText(property, { exact: true }).click();
    await card.getByRole('button', { name: `Ignore ${property} for 7 day` }).click();
    await card.locator(`[data-held="${property}"]`).getByText(/ends in (7 d|6 d 23 h)/).waitFor();
    await send(37);
    await until(async () => (await world.get(`/api/v1/devices/${device.id}`)).readings[property].value === 37, 'it did not arrive');
    const wrong = [];
    for (const [look, options] of [['light', {}], ['dark', { dark: true }], ['phone', { width: 360, height: 780 }]]) {
      const seen = await openPage(world.browser, `/alarms?alarm=${alarm.id}&state=all`, options);
      const own = seen.getByRole('region', { name: 'Hold back', exact: true });
      await own.locator(`[data-held="${property}"]`).waitFor();
      await own.getByRole('button', { name: 'Maintenance' }).press('Enter');
      await own.getByRole('form').waitFor();
      if (options.width) {
        // One thumb: what is pressed is as high as a finger.
        for (const button of await own.locator('button, label').all()) {
          const box = await button.boundingBox();
          if (box && box.height < 43.5) wrong.push(`${look}: ${await button.innerText()} is ${box.height} px high`);
        }
      }
      await seen.waitForTimeout(800);
      await own.scrollIntoViewIfNeeded();
      await shot(world.browser, seen, `alarms-hold-${look}`);
      const wide = await overflow(seen);
      wrong.push(...(await axe(seen)).map((words) => `${look}: ${words}`), ...(wide ? [`${look}: ${wide}`] : []), ...seen.errors);
      await seen.close();
    }
    assert.deepEqual(wrong, []);
    await card.locator(`[data-held="${property}"]`).getByRole('button', { name: 'Believe it again' }).click();
    await card.getByText('nothing is held back').waitFor();
    assert.deepEqual(page.errors, []);
  }],
  ['alarms: shelved for a while, and told again', async (world) => {
    const { page, alarm } = await opened(world);
    const acts = page.getByRole('group', { name: 'What you say to it' });
    await acts.getByLabel('Shelve for').selectOption('30 min');
    await acts.getByRole('button', { name: 'Shelve' }).click();
    await page.locator(`[data-alarm="${alarm.id}"]`).getByText('shelved').waitFor();
    await acts.getByRole('button', { name: 'Tell of it again' }).click();
    await acts.getByRole('button', { name: 'Shelve' }).waitFor();
    assert.equal((await world.get(`/api/v1/alarms/${alarm.id}`)).shelved, null);
  }],
  ['alarms: judged by one thumb at 360 px, taken back, and judged again', async (world) => {
    const { page, alarm } = await opened(world, { width: 360, height: 780 });
    for (const button of await page.locator('.al-acts .opts button, .al-acts .btn').all()) {
      const box = await button.boundingBox();
      assert.ok(box.height >= 44, `${await button.innerText()} is ${box.height} px high`);
    }
    const verdict = () => world.get(`/api/v1/alarms/${alarm.id}`).then((one) => one.verdict?.verdict ?? null);
    await page.locator('[data-verdict="false"]').click();
    await page.getByText(/“false” is sent in/).waitFor();
    await shot(world.browser, page, 'alarms-verdict-phone', false);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.waitForTimeout(500);
    assert.equal(await verdict(), null);
    await page.locator('[data-verdict="real"]').click();
    await page.waitForTimeout(undo_ms);
    await page.locator('[data-change="judged"]').waitFor();
    assert.equal(await verdict(), 'real');
    assert.deepEqual(page.errors, []);
  }],
  ['alarms: a verdict that waits is sent when the page is left', async (world) => {
    const { page, alarm } = await opened(world);
    await page.locator('[data-verdict="test"]').click();
    await page.goto('about:blank');
    await until(async () => (await world.get(`/api/v1/alarms/${alarm.id}`)).verdict?.verdict === 'test', 'the verdict was lost');
  }],
  ['alarms: the list is filtered by the address, and back goes back', async (world) => {
    const { page } = await opened(world);
    await page.getByRole('group', { name: 'State' }).getByRole('button', { name: 'all' }).click();
    await page.waitForURL(/state=all/);
    await page.getByLabel('Rule').selectOption(rule);
    await page.waitForURL(new RegExp(`rule=${rule}`));
    await page.locator('.al-list li').first().waitFor();
    for (const words of await page.locator('.al-list code').allInnerTexts()) assert.equal(words, rule);
    await page.goBack();
    await page.waitForFunction(() => !location.search.includes('rule='));
    assert.equal(await page.getByLabel('Rule').inputValue(), '');
  }],
  ['alarms: its device says so in Fleet and on its own page', async (world) => {
    const { page, device, alarm } = await opened(world);
    await page.goto(`/fleet?filter=${device.name}`);
    await page.locator('[data-row="0"] [data-alarms]').waitFor();
    await page.goto(`/devices/${device.id}`);
    await page.locator('.meta [data-alarms]').waitFor();
    await page.getByRole('region', { name: `Alarms of ${device.name}` }).locator('.al-list a').first().click();
    await page.waitForURL(new RegExp(`alarm=${alarm.id}`));
  }],
  ['alarms: a rule is tried on history with another threshold, and its diff is shown', async (world) => {
    const { page } = await opened(world);
    await page.getByRole('button', { name: 'Try other limits' }).click();
    const card = page.getByRole('region', { name: 'Tune on history' });
    const when = card.getByLabel('when');
    const before = await until(() => when.inputValue(), 'the condition was not read');
    assert.match(before, /> 30/);
    await when.fill(before.replace('30', '34'));
    await card.getByLabel('tried on').selectOption('7');
    await card.getByRole('button', { name: 'Try on history' }).click();
    await card.locator('[data-fired]').waitFor({ timeout: 40_000 });
    assert.match(await card.locator('.fired h3').innerText(), /would (not )?have fired/);
    await card.getByRole('button', { name: 'See the diff' }).click();
    await card.getByRole('button', { name: /^Apply as revision/ }).waitFor();
    assert.match(await card.locator('.outcome').innerText(), /34/);
    await shot(world.browser, page, 'alarms-tune-light');
    assert.deepEqual(page.errors, []);
  }],
  ['alarms: g a goes there, j and k walk', async (world) => {
    const { page } = await opened(world);
    await page.goto('/fleet');
    await page.locator('[data-row="0"]').waitFor();
    await page.evaluate(() => document.activeElement?.blur?.());
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.waitForURL('**/alarms');
    await page.locator('.al-list li').first().waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    await page.waitForURL(/alarm=/);
  }],
  ['alarms: none is told as such, and a server that refuses is told with its reason', async (world) => {
    const page = await openPage(world.browser, null);
    await page.route('**/api/v1/alarms?*', (route) => route.fulfill({ json: { items: [], next_cursor: null } }));
    await page.goto('/alarms');
    await page.getByText('Nothing is wrong').waitFor();
    await shot(world.browser, page, 'alarms-none-light');
    assert.deepEqual(await axe(page), []);
    await page.unroute('**/api/v1/alarms?*');
    await page.route('**/api/v1/alarms?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', json: { title: 'the shard is catching up', status: 503, detail: '12 frames to go', code: 'E0042', fix: [] } }));
    await page.goto('/alarms?state=all');
    assert.match(await page.getByRole('alert').first().innerText(), /12 frames to go/);
  }],
  ['alarms: axe finds nothing, both themes and 360 px, and nothing sticks out', async (world) => {
    const wrong = [];
    for (const [name, look] of [['light', {}], ['dark', { dark: true }], ['phone', { width: 360, height: 780 }], ['phone-dark', { width: 360, height: 780, dark: true }]]) {
      const { page } = await opened(world, look);
      await page.locator('.c-detail .plot canvas').waitFor();
      await page.locator('#notify form, #notify .empty, #notify .problem').first().waitFor();
      await page.waitForTimeout(1200);
      await shot(world.browser, page, `alarms-${name}`);
      const wide = await overflow(page);
      wrong.push(...(await axe(page)).map((words) => `${name}: ${words}`), ...(wide ? [`${name}: ${wide}`] : []), ...page.errors);
      await page.close();
    }
    assert.deepEqual(wrong, []);
  }],
  ['alarms: cleared when it is cold again, and gone from what is open', async (world) => {
    const { page, device, alarm } = await opened(world);
    await known.send(4);
    await page.locator('[data-change="cleared"]').waitFor();
    await until(async () => (await fetched(world, `device=${device.id}`)).length === 0, 'it is still open');
    assert.ok((await world.get(`/api/v1/alarms/${alarm.id}`)).cleared);
  }],
];

/** A server from before alarms has none of it. */
async function has(world) {
  const { status } = await fetch(`${world.base}/api/v1/alarms`);
  return status !== 404;
}

export const checks = all.map(([name, check]) => [name, async (world) => ((await has(world)) ? check(world) : 'left out: the server has no alarms')]);
