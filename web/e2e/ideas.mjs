/**
 * Ideas: written down here, at a device and by a stranger; scored with the formula beside the number,
 * sized, compared, followed, merged, moved on and begun. Runs against a real server: the mock has no
 * ideas, and there the checks say so.
 */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const looks = [
  ['light', {}],
  ['dark', { dark: true }],
  ['phone', { width: 360, height: 780 }],
];
const run = Date.now().toString(36);
const title = `An alarm at the lid ${run}`;
const region = (page, name) => page.getByRole('region', { name, exact: true });
/** By key: on a phone a pointer would have to scroll first, as what is pressed may lie behind the bar. */
const press = (button) => button.press('Enter');

async function call(world, method, path, body) {
  const response = await fetch(`${world.base}/api/v1${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return response.status === 204 ? null : response.json();
}

async function finding(page, what) {
  assert.deepEqual(await axe(page), [], what);
  assert.equal(await overflow(page), '', what);
}

async function form(world, state) {
  const { formula, inputs, mismatch_factor, stale_days, form_path } = await call(world, 'GET', '/ideas/settings');
  await call(world, 'PUT', '/ideas/settings', { formula, inputs, mismatch_factor, stale_days, form: state });
  return form_path;
}

const mocked = async (world) => (await fetch(`${world.base}/api/v1/ideas`)).status === 404;
const real = (check) => async (world) => ((await mocked(world)) ? 'left out: the mock has no ideas' : check(world));
let made = '';

const checks_ = [
  ['the list is reached by g i, and says what will be here', async (world) => {
    const page = await openPage(world.browser, '/fleet');
    await page.locator('.rail').waitFor();
    await page.locator('h1').waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('i');
    await page.waitForURL('**/ideas');
    await page.getByRole('heading', { level: 1, name: 'Ideas' }).waitFor();
    await region(page, 'List of ideas').waitFor();
    assert.equal(await page.locator('.rail a[href="/ideas"]').getAttribute('aria-current'), 'page');
    await finding(page, 'list');
    await page.goto('/ideas?q=nothing+has+this+name');
    await page.getByRole('button', { name: 'Clear the filter' }).waitFor();
    assert.deepEqual(page.errors, []);
  }],
  ['a demo begins with ideas that say they were made for it, and one of them became its venture', async (world) => {
    if (!world.status.tenant.demo) return 'left out: this is no demo';
    const { items } = await call(world, 'GET', '/ideas?status=all&q=made+for+the+demo');
    assert.equal(items.length, 3, 'nothing else says so');
    for (const one of items) {
      assert.match(one.name, /simulated/);
      assert.ok(one.score.value > 0, `${one.title} is scored`);
    }
    const begun = items.find((one) => one.venture !== null);
    const { stages, simulated } = await call(world, 'GET', `/ideas/${begun.id}/cycle`);
    assert.deepEqual(stages.slice(0, 4).map((one) => one.at !== null), [true, true, true, true]);
    assert.equal(simulated, true);
    assert.ok(stages[1].took_ms > 86_400_000, 'an idea waits before it is a venture');
    for (const [look, options] of looks) {
      const page = await openPage(world.browser, `/ideas?idea=${begun.id}`, options);
      await region(page, 'Idea').getByText('Made for the demo: nobody asked for it.').waitFor();
      await region(page, 'Score').locator('[data-score] button.figure').waitFor();
      await region(page, 'Market').locator('[data-mismatch]').getByText(/apart by 10\.0/).waitFor();
      const competitors = region(page, 'Competitors');
      await competitors.getByText('1 older than 180 days').waitFor();
      await competitors.getByText('made for the demo').first().waitFor();
      const way = region(page, 'The way to revenue');
      await way.getByText('simulated', { exact: true }).waitFor();
      await way.getByText(/^after/).first().waitFor();
      await shot(world.browser, page, `ideas-demo-${look}`);
      await finding(page, look);
      assert.deepEqual(page.errors, []);
      await page.close();
    }
    const page = await openPage(world.browser, `/ventures/${begun.venture}`);
    await page.getByRole('link', { name: 'The idea it began with, and how long it took since' }).click();
    await page.waitForURL(`**/ideas?idea=${begun.id}`);
    assert.deepEqual(page.errors, []);
    return begun.title;
  }],
  ['an idea is written down and scored, its formula and who gave what beside the number', async (world) => {
    const page = await openPage(world.browser, '/ideas');
    await region(page, 'List of ideas').waitFor();
    await page.getByRole('button', { name: 'New idea' }).first().click();
    const fresh = page.getByRole('form', { name: 'New idea' });
    await fresh.getByLabel('Idea', { exact: true }).fill(title);
    await fresh.getByLabel('Why').fill('Pharmacies lose a box when the lid stays open.\n<b>No markup.</b>');
    await fresh.getByLabel('From').selectOption('customer');
    await fresh.getByLabel('Who said it').fill('Linden-Apotheke');
    await finding(page, 'form');
    await fresh.getByRole('button', { name: 'Keep the idea' }).click();
    await page.waitForURL(/\/ideas\?idea=ide_/);
    made = new URL(page.url()).searchParams.get('idea');
    await page.getByText('<b>No markup.</b>').waitFor();
    const score = region(page, 'Score');
    await score.getByText('no number without').waitFor();
    for (const [name, value] of [['Reach', '500'], ['Impact', '2'], ['Confidence', '0.8'], ['Effort', '4']]) {
      await score.getByLabel(name).fill(value);
    }
    await press(score.getByRole('button', { name: 'Give these numbers' }));
    await score.locator('[data-score] button.figure').filter({ hasText: '200' }).waitFor();
    await score.getByText('reach * impact * confidence / effort').first().waitFor();
    await score.locator('[data-score] button.figure').click();
    await page.getByRole('dialog', { name: 'Where it comes from' }).getByText(/reach = 500 by/).waitFor();
    await page.keyboard.press('Escape');
    await score.getByRole('button', { name: 'Its past' }).click();
    await score.getByText(/effort = 4 by .*formula revision/).waitFor();
    assert.deepEqual(page.errors, []);
    return made;
  }],
  ['a market whose two sizes cannot both be true is warned of, and a cell of competitors has day and source', async (world) => {
    const page = await openPage(world.browser, `/ideas?idea=${made}`);
    const market = region(page, 'Market');
    await press(market.getByRole('button', { name: 'Size it' }));
    const sizes = market.getByRole('form', { name: 'Size of the market' });
    for (const [label, value] of [['Who can be won (SOM)', '54000000 EUR/year'], ['Customers', '5000 customers'], ['Devices of each', '10 devices/customer'], ['A device earns', '9 EUR/device/month']]) {
      await sizes.getByLabel(label, { exact: true }).fill(value);
      await sizes.getByLabel(`Source of ${label}`).fill('ABDA, Zahlen 2026');
    }
    await finding(page, 'market form');
    await press(sizes.getByRole('button', { name: 'Keep it' }));
    await market.locator('[data-mismatch]').getByText(/5,400,000 EUR\/year.*apart by 10\.0/).waitFor();
    const competitors = region(page, 'Competitors');
    for (const [aspect, value, on] of [['price', '199 EUR', null], ['alarm', 'mail only', '2025-01-02']]) {
      await press(competitors.getByRole('button', { name: 'Add a cell' }));
      const cell = competitors.getByRole('form');
      await cell.getByLabel('Who').fill('Testo');
      await cell.getByLabel('In what').fill(aspect);
      await cell.getByLabel('Known').fill(value);
      await cell.getByLabel('Source').fill('testo.com');
      if (on) await cell.getByLabel('Seen on').fill(on);
      await press(cell.getByRole('button', { name: 'Keep the cell' }));
      await competitors.getByRole('cell', { name: value }).waitFor();
    }
    await competitors.getByText('1 older than 180 days').waitFor();
    for (const [look, options] of looks) {
      const other = await openPage(world.browser, `/ideas?idea=${made}`, options);
      await region(other, 'Competitors').getByText('stale', { exact: true }).waitFor();
      await region(other, 'The way to revenue').getByText('First invoice').waitFor();
      await shot(world.browser, other, `ideas-${look}`);
      await finding(other, look);
      assert.deepEqual(other.errors, []);
      await other.close();
    }
  }],
  ['at a device its context is seen before it is sent', async (world) => {
    const page = await openPage(world.browser, `/devices/${world.device.id}`);
    const card = region(page, 'Idea from this device');
    await press(card.getByRole('button', { name: 'Write one down' }));
    const fresh = card.getByRole('form', { name: 'New idea' });
    await fresh.getByLabel('Idea', { exact: true }).fill(`Beep when it is open ${run}`);
    await press(fresh.getByRole('button', { name: 'See what goes along' }));
    const seen = card.locator('[data-preview]');
    await seen.getByText(world.device.name).waitFor();
    await seen.getByText(Object.keys(world.device.readings)[0], { exact: true }).waitFor();
    const { items } = await call(world, 'GET', `/ideas?q=${encodeURIComponent(`beep ${run}`)}`);
    assert.equal(items.length, 0, 'nothing is kept before it was seen');
    await seen.scrollIntoViewIfNeeded();
    await shot(world.browser, page, 'ideas-device-light', false);
    await finding(page, 'device');
    await press(fresh.getByRole('button', { name: 'Keep the idea' }));
    await card.getByRole('link', { name: `Beep when it is open ${run}` }).waitFor();
    const kept = (await call(world, 'GET', `/ideas?q=${encodeURIComponent(`beep ${run}`)}`)).items;
    assert.equal(kept[0].context.device, world.device.id);
    assert.deepEqual(page.errors, []);
  }],
  ['a stranger sends one by the form, nobody sees it until it is let in, and the link says how it stands', async (world) => {
    const path = await form(world, 'closed');
    const closed = await openPage(world.browser, path);
    await closed.getByText('There is no form for ideas at this address').waitFor();
    await form(world, 'open');
    const sent = `Cheaper boxes ${run}`;
    let link = '';
    for (const [look, options] of looks) {
      const page = await openPage(world.browser, path, options);
      const stranger = page.getByRole('form', { name: 'Send an idea' });
      await stranger.getByRole('heading', { name: /^Send an idea to/ }).waitFor();
      assert.equal(await page.locator('.rail').count(), 0, 'nothing of the console is around it');
      await shot(world.browser, page, `ideas-form-${look}`);
      await finding(page, `form ${look}`);
      if (look === 'light') {
        await stranger.getByLabel('Your idea, in a line').fill(sent);
        await stranger.getByRole('button', { name: 'Send it' }).click();
        link = await page.locator('.command code').innerText();
        await finding(page, 'sent');
      }
    }
    const status = await openPage(world.browser, link);
    await status.locator('[data-standing]').getByText('waiting to be read').waitFor();
    const page = await openPage(world.browser, '/ideas');
    await page.locator('[data-waiting]').click();
    await page.waitForURL(/\/ideas\?status=waiting/);
    await page.locator('.id-list a').filter({ hasText: sent }).click();
    const card = region(page, 'Idea');
    await card.getByRole('heading', { name: sent }).waitFor();
    assert.equal(await region(page, 'Score').count(), 0, 'what waits is not judged');
    await press(card.getByRole('button', { name: 'Let it in' }));
    await card.getByText('open', { exact: true }).first().waitFor();
    await page.goto(`/ideas?idea=${new URL(page.url()).searchParams.get('idea')}`);
    await card.getByLabel('Merge into').selectOption({ label: title });
    await press(card.getByRole('button', { name: 'Merge', exact: true }));
    await card.getByText('Another idea stands for it').waitFor();
    await status.reload();
    await status.getByText(`the idea "${title}" stands for it`).waitFor();
    await finding(status, 'status');
    await form(world, 'closed');
    assert.deepEqual(page.errors, []);
  }],
  ['an idea is moved on with a reason by one click, followed, and begins a venture whose way is timed', async (world) => {
    const page = await openPage(world.browser, `/ideas?idea=${made}`);
    const card = region(page, 'Idea');
    await card.locator('[data-votes]').getByText(/^2 people asked for it/).waitFor();
    await press(card.getByRole('button', { name: 'Following' }));
    await card.getByRole('button', { name: 'Follow', exact: true }).waitFor();
    await press(card.getByRole('button', { name: 'Follow', exact: true }));
    await card.getByRole('button', { name: 'Following' }).waitFor();
    await card.getByLabel('Reason').fill('three pharmacies pay');
    await press(card.getByRole('button', { name: 'Plan it' }));
    await card.getByText('three pharmacies pay').waitFor();
    const way = region(page, 'The way to revenue');
    await press(way.getByRole('button', { name: 'Begin a venture' }));
    const begin = way.getByRole('form', { name: 'Begin a venture' });
    const venture = `lid_${run}`;
    await begin.getByLabel('Venture').fill(venture);
    await begin.getByLabel('Starts from').selectOption('coolbox');
    await finding(page, 'begin');
    await press(begin.getByRole('button', { name: 'Begin it' }));
    await page.waitForURL(`**/ventures/${venture}`);
    const { text } = await call(world, 'GET', `/ventures/${venture}/blueprint`);
    assert.ok(text.includes(`idea = "${made}"`), 'its file names the idea');
    const cycle = await call(world, 'GET', `/ventures/${venture}/cycle`);
    assert.deepEqual(cycle.stages.map((one) => one.at !== null), [true, true, false, false, false]);
    await page.goto(`/ideas?idea=${made}`);
    await region(page, 'The way to revenue').getByRole('link', { name: `Open ${venture}` }).waitFor();
    await card.getByText('in progress').first().waitFor();
    assert.deepEqual(page.errors, []);
  }],
  ['another formula shows which scores change before it is declared', async (world) => {
    const page = await openPage(world.browser, '/ideas');
    const card = region(page, 'Formula and form');
    await press(card.getByRole('button', { name: 'Change' }));
    const before = await card.getByLabel('Score').inputValue();
    await card.getByLabel('Score').fill('reach * impakt');
    await press(card.getByRole('button', { name: 'See what changes' }));
    await card.getByText(/impakt/).last().waitFor();
    await card.getByLabel('Score').fill(`2 * (${before})`);
    await press(card.getByRole('button', { name: 'See what changes' }));
    await card.getByText('200 → 400').first().waitFor();
    await shot(world.browser, page, 'ideas-formula-light');
    await finding(page, 'formula');
    await press(card.getByRole('button', { name: 'Declare it' }));
    await page.locator(`[data-idea="${made}"] .end b`).getByText('400').waitFor();
    await card.getByLabel('Score').fill(before);
    await press(card.getByRole('button', { name: 'See what changes' }));
    await card.getByText('400 → 200').first().waitFor();
    await press(card.getByRole('button', { name: 'Declare it' }));
    await page.locator(`[data-idea="${made}"] .end b`).getByText('200').waitFor();
    assert.deepEqual(page.errors, []);
  }],
];

export const checks = checks_.map(([name, check]) => [`ideas: ${name}`, real(check)]);
