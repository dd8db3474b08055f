/**
 * The interval of a reading is changed on the page: what the radio costs opens down to its line,
 * one preview shows cost, gate and alarm delay, it is applied, the devices confirm it beside the
 * diff, and the gate is looked at. Then two people change one blueprint, and the page takes both.
 * Needs a real server.
 */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const looks = [
  ['light', {}],
  ['dark', { dark: true }],
  ['phone', { width: 360, height: 780 }],
];
const venture = 'coolbox';
const path = `/api/v1/ventures/${venture}/blueprint`;
const intervals = `/api/v1/ventures/${venture}/intervals`;
/** The case is drawn for both texts. */
const drawn_ms_max = 60_000;
const region = (page, name) => page.getByRole('region', { name, exact: true });
const press = (button) => button.press('Enter');

/** The coolbox of a real server; none on the mock, which has no revisions. */
async function inForce(world) {
  const { status } = await fetch(`${world.base}${path}/revisions`);
  if (status !== 200) return null;
  const { text, revision } = await world.get(path);
  return /every = "1 min"/.test(text) ? { text, revision } : null;
}
async function call(world, method, at, body) {
  const answer = await fetch(world.base + at, {
    method, headers: { 'content-type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}),
  });
  assert.ok(answer.ok, `${method} ${at} answered ${answer.status}: ${await answer.clone().text()}`);
  return answer.status === 204 ? null : answer.json();
}
const apply = async (world, text, based_on) => (await call(world, 'PUT', path, { text, based_on })).revision;
/** Whatever a check did, the next one finds the text as it was. */
async function asBefore(world, text, check) {
  try {
    return await check();
  } finally {
    const { text: now, revision } = await world.get(path);
    const own = text.replace(/^# based on revision .*\n/, '');
    if (now !== own) await apply(world, own, revision);
    await call(world, 'POST', intervals);
  }
}
async function editor(page) {
  const card = region(page, 'Blueprint');
  await press(card.getByRole('button', { name: 'Edit', exact: true }));
  const area = card.getByRole('textbox', { name: 'Blueprint text' });
  await area.waitFor();
  return [card, area];
}

export const checks = [
  ['what the radio costs opens down to the line that says so', async (world) => {
    const found = await inForce(world);
    if (!found) return 'left out: no coolbox with a reading every minute is in force';
    const page = await openPage(world.browser, `/ventures/${venture}`);
    const said = region(page, 'What the check says');
    await said.getByText('432 MB x 0.02 EUR + 0.40 EUR = 9.04 EUR per box').waitFor();
    const item = said.getByRole('listitem').filter({ hasText: '9.04 EUR' });
    const line = found.text.split('\n').findIndex((one) => one.includes('every = "1 min"')) + 1;
    assert.equal(line, 11, 'where the README says it stands');
    await press(item.getByRole('button', { name: `line ${line}`, exact: true }));
    const there = page.locator(`#L${line}.focus`);
    await there.waitFor();
    assert.match(await there.innerText(), /every = "1 min"/);
    await shot(world.browser, page, 'change-line-light');
    assert.deepEqual(page.errors, []);
  }],
  ['what last month cost opens down to the same line', async (world) => {
    const found = await inForce(world);
    if (!found) return 'left out: no coolbox with a reading every minute is in force';
    const page = await openPage(world.browser, '/revenue');
    const margin = region(page, 'Cost and margin');
    await margin.waitFor({ timeout: drawn_ms_max });
    const link = margin.getByRole('link', { name: 'line 11', exact: true }).first();
    await link.waitFor({ timeout: drawn_ms_max });
    await press(link);
    await page.waitForURL(/ventures\/coolbox\?line=11/);
    await page.locator('#L11.focus').waitFor();
    assert.deepEqual(page.errors, []);
  }],
  ['one preview shows cost, gate and alarm delay; it is applied, and the gate says what is simulated', async (world) => {
    const found = await inForce(world);
    if (!found) return 'left out: no coolbox with a reading every minute is in force';
    return asBefore(world, found.text, async () => {
      const page = await openPage(world.browser, `/ventures/${venture}`);
      const [card, area] = await editor(page);
      await area.fill(found.text.replace('every = "1 min"', 'every = "15 min"'));
      await press(card.getByRole('button', { name: 'Preview the change' }));
      const does = card.getByRole('table', { name: 'What the change does' });
      await does.waitFor({ timeout: drawn_ms_max });
      const row = (at) => does.locator(`[data-consequence="${at}"]`);
      for (const [at, before, after] of [
        ['case.cost.radio', '9.04 EUR', '0.98 EUR'],
        ['gate.scale.must.margin', '-0.04 EUR, misses', '8.02 EUR, meets'],
        ['alarm.too_warm', 'at most 11 min', 'at most 25 min'],
      ]) {
        await row(at).getByText(before).waitFor();
        await row(at).getByText(after).waitFor();
      }
      assert.ok((await row('gate.scale.should.npv').count()) === 1, 'the value of the case moves');
      for (const [look, options] of looks) {
        await page.setViewportSize({ width: options.width ?? 1440, height: options.height ?? 1080 });
        await page.emulateMedia({ colorScheme: options.dark ? 'dark' : 'light' });
        assert.deepEqual(await axe(page), [], look);
        assert.equal(await overflow(page), '', look);
        await shot(world.browser, page, `change-preview-${look}`);
      }
      await page.setViewportSize({ width: 1440, height: 1080 });
      await press(card.getByRole('button', { name: /^Apply as revision/ }));
      await card.getByText(`revision ${found.revision + 1}`, { exact: true }).waitFor();
      const now = await world.get(path);
      assert.equal(now.revision, found.revision + 1);
      assert.match(now.text, /every = "15 min"/);
      const gate = page.locator('[data-gate="scale"]');
      await gate.getByText('simulated devices count here').waitFor({ timeout: drawn_ms_max });
      const { items } = await world.get(`/api/v1/ventures/${venture}/gates`);
      const scale = items.find((one) => one.stage === 'scale');
      const simulated = scale.criteria.filter((one) => one.basis === 'simulated');
      assert.ok(simulated.length > 1, JSON.stringify(scale.criteria.map((one) => [one.name, one.basis])));
      for (const one of simulated) {
        await gate.locator(`[data-criterion="${one.name}"]`).getByText('simulated').first().waitFor();
      }
      assert.deepEqual(page.errors, []);
      return scale.criteria.map((one) => `${one.name} ${one.state}`).join(', ');
    });
  }],
  ['boxes confirm a new interval beside the diff, and one that never answers stays there by name', async (world) => {
    const found = await inForce(world);
    if (!found) return 'left out: no coolbox with a reading every minute is in force';
    const mute = `mute-${Date.now().toString(36)}`;
    const { device } = await call(world, 'POST', '/api/v1/devices', { name: mute, venture, kind: 'box', origin: 'virtual' });
    return asBefore(world, found.text, async () => {
      const page = await openPage(world.browser, `/ventures/${venture}`);
      const [card, area] = await editor(page);
      await area.fill(found.text.replace('every = "1 min"', 'every = "15 min"'));
      await press(card.getByRole('button', { name: 'Preview the change' }));
      const told = card.getByRole('checkbox', { name: /^Tell \d+ devices of kind box when it is applied: interval 15 min$/ });
      await told.waitFor({ timeout: drawn_ms_max });
      assert.ok(await told.isChecked(), 'what is applied is told, unless somebody says otherwise');
      await press(card.getByRole('button', { name: /^Apply as revision/ }));
      const taken = card.locator(`[data-taken="${found.revision + 1}"]`);
      await taken.getByText('device.box.readings.temperature.every', { exact: true }).waitFor({ timeout: drawn_ms_max });
      await taken.getByText('0.98 EUR').first().waitFor();
      await taken.getByText(/devices told/).waitFor();
      const interval = region(page, 'Intervals of the devices').locator('[data-interval="box.interval"]');
      await interval.getByText('15 min').first().waitFor();
      // The boxes report it by themselves, and the page counts along without being loaded again. Some
      // are broken down, as boxes are.
      let now = null;
      for (const until = Date.now() + drawn_ms_max; now === null && Date.now() < until; await page.waitForTimeout(500)) {
        const [asked] = (await world.get(intervals)).items;
        const shown = await interval.getByRole('button', { name: / of \d+\. Where it comes from$/ }).innerText();
        if (asked.confirmed * 2 >= asked.devices && shown === `${asked.confirmed} of ${asked.devices}`) now = asked;
      }
      assert.ok(now, JSON.stringify(await world.get(intervals)));
      const silent = interval.locator(`[data-open="${mute}"]`);
      await silent.getByText(/^never, told /).waitFor();
      await interval.getByText(/^It takes it when it next connects, however late/).waitFor();
      await region(page, 'Intervals of the devices').getByText(/One that never answers measures and costs as before/).waitFor();
      for (const [look, options] of looks) {
        await page.setViewportSize({ width: options.width ?? 1440, height: options.height ?? 1080 });
        await page.emulateMedia({ colorScheme: options.dark ? 'dark' : 'light' });
        await interval.scrollIntoViewIfNeeded();
        assert.deepEqual(await axe(page), [], look);
        assert.equal(await overflow(page), '', look);
        await shot(world.browser, page, `change-confirmed-${look}`, false);
      }
      assert.deepEqual(page.errors, []);
      return `${now.confirmed} of ${now.devices} confirmed`;
    }).finally(() => call(world, 'DELETE', `/api/v1/devices/${device.id}`));
  }],
  ['two people change one blueprint, and the page takes both', async (world) => {
    const found = await inForce(world);
    if (!found) return 'left out: no coolbox with a reading every minute is in force';
    return asBefore(world, found.text, async () => {
      const page = await openPage(world.browser, `/ventures/${venture}`);
      const [card, area] = await editor(page);
      await area.fill(found.text.replace('0.30 EUR/device/day', '0.40 EUR/device/day'));
      const theirs = await apply(world, found.text.replace('for      = "10 min"', 'for      = "7 min"'), found.revision);
      await press(card.getByRole('button', { name: 'Preview the change' }));
      const sends = card.getByRole('button', { name: /^Apply as revision/ });
      await page.waitForFunction((button) => !button.disabled, await sends.elementHandle(), { timeout: drawn_ms_max });
      await press(sends);
      await card.getByText('Somebody applied another revision meanwhile').waitFor();
      await card.getByText('alarm.too_warm.for').first().waitFor();
      assert.deepEqual(await axe(page), [], 'both diffs');
      await shot(world.browser, page, 'change-both-light');
      await press(card.getByRole('button', { name: 'Take both into the text' }));
      const both = await area.inputValue();
      assert.match(both, /0\.40 EUR\/device\/day/);
      assert.match(both, /for {6}= "7 min"/);
      assert.match(both, /# the cause is upstream/, 'comments stay');
      await press(card.getByRole('button', { name: 'Preview the change' }));
      await page.waitForFunction((button) => !button.disabled, await sends.elementHandle(), { timeout: drawn_ms_max });
      await press(sends);
      await card.getByText(`revision ${theirs + 1}`, { exact: true }).waitFor();
      const now = await world.get(path);
      assert.equal(now.revision, theirs + 1);
      assert.ok(now.text.includes('0.40 EUR/device/day') && now.text.includes('"7 min"'), 'nobody was undone');
      assert.deepEqual(page.errors, []);
    });
  }],
];
