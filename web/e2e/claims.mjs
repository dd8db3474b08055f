/**
 * From forecast to actual on the page of a venture: the experiment that asks the fleet, the plan
 * against what happened, what to fix next, and a forecast that is frozen. Needs a real server.
 */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const looks = [
  ['light', {}],
  ['dark', { dark: true }],
  ['phone', { width: 360, height: 780 }],
];
const region = (page, name) => page.getByRole('region', { name });
/** The case is drawn thousands of times for the cards. */
const drawn_ms_max = 60_000;

async function ventureOf(world) {
  const { items } = await world.get('/api/v1/ventures');
  for (const { venture } of items) {
    const found = await world.get(`/api/v1/ventures/${venture}/case/actual`).catch(() => null);
    if (found) return [venture, found];
  }
  return [null, null];
}

export const checks = [
  ['plan and actual, what to fix next and forecasts are shown in both themes and on a phone', async (world) => {
    const [venture, actual] = await ventureOf(world);
    if (!venture) return 'left out: no venture here has a case that meets a fleet';
    for (const [look, options] of looks) {
      const page = await openPage(world.browser, `/ventures/${venture}`, options);
      const plan = region(page, 'Plan against actual');
      await plan.waitFor({ timeout: drawn_ms_max });
      await plan.getByText('Value planned').waitFor();
      for (const input of actual.inputs) await page.locator(`[data-input="${input.input}"]`).waitFor();
      await region(page, 'What to fix next').waitFor();
      await region(page, 'Forecasts').waitFor();
      await shot(world.browser, page, `claims-${look}`);
      assert.deepEqual(await axe(page), [], look);
      assert.equal(await overflow(page), '', look);
      assert.deepEqual(page.errors, []);
    }
  }],
  ['a figure of the list opens down to its calculation', async (world) => {
    const [venture] = await ventureOf(world);
    if (!venture) return 'left out: no venture here has a case that meets a fleet';
    const page = await openPage(world.browser, `/ventures/${venture}`);
    const list = region(page, 'What to fix next');
    await list.waitFor({ timeout: drawn_ms_max });
    const first = list.getByRole('listitem').getByRole('button').first();
    if ((await first.count()) === 0) return 'left out: nothing that has a price stands open';
    await first.press('Enter');
    await list.locator('.tree').first().waitFor();
    assert.deepEqual(await axe(page), []);
    assert.deepEqual(page.errors, []);
  }],
  ['a forecast of the next month is frozen once', async (world) => {
    const [venture] = await ventureOf(world);
    if (!venture) return 'left out: no venture here has a case that meets a fleet';
    const page = await openPage(world.browser, `/ventures/${venture}`);
    const card = region(page, 'Forecasts');
    await card.waitFor({ timeout: drawn_ms_max });
    await card.getByRole('button', { name: 'Freeze next month' }).press('Enter');
    await card.getByText('installed').first().waitFor({ timeout: drawn_ms_max });
    const { forecasts } = await world.get(`/api/v1/ventures/${venture}/forecasts`);
    assert.ok(forecasts.length > 0);
    assert.ok(forecasts[0].items.some((item) => item.what === 'installed'));
  }],
];
