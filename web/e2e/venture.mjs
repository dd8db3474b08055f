/**
 * A venture from assumption to gate: a result moves what is believed, the gate and the case; a
 * decision is kept. Runs against a server whose blueprint has an assumption with an experiment.
 */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const looks = [
  ['light', {}],
  ['dark', { dark: true }],
  ['phone', { width: 360, height: 780 }],
  ['phone-dark', { width: 360, height: 780, dark: true }],
];
/** The case is simulated once for each revision and belief. */
const case_ms_max = 60_000;
const region = (page, name) => page.getByRole('region', { name, exact: true });
/** By key: on a phone a pointer would have to scroll first, as what is pressed may lie behind the bar. */
const press = (button) => button.press('Enter');
const refusal = (detail) => ({ status: 503, contentType: 'application/problem+json', json: { title: 'the shard is catching up', status: 503, detail, code: 'E0501', errors: [], fix: [] } });

let known = null;
/** The first venture with an assumption that an experiment of yes and no tests. */
async function chosen(world) {
  if (known) return known;
  const { items } = await world.get('/api/v1/ventures');
  for (const { venture } of items) {
    const found = (await world.get(`/api/v1/ventures/${venture}/assumptions`)).items;
    const one = found.find((each) => each.holds.includes('%') && each.experiments.length > 0);
    if (one) return (known = { venture, assumption: one.name, experiment: one.experiments[0].name });
  }
  throw new Error('no venture has an assumption with an experiment');
}

async function opened(world, options = {}) {
  const { venture, assumption } = await chosen(world);
  const page = await openPage(world.browser, `/ventures/${venture}`, options);
  await page.locator(`[data-assumption="${assumption}"]`).waitFor();
  await page.locator('[data-gate]').first().waitFor({ timeout: case_ms_max });
  return page;
}
const whole = (page) => region(page, 'Cash since the start').locator('svg, table').first().waitFor({ timeout: case_ms_max });

/** The part stands below the strip, or the page is at its end. */
const inView = (page, id) => page.waitForFunction((one) => {
  const { top, bottom } = document.getElementById(one)?.getBoundingClientRect() ?? { top: -1, bottom: -1 };
  const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 4;
  return (top > 30 && top < 130) || (end && top < innerHeight && bottom > 0);
}, id);

async function finding(page, what) {
  assert.deepEqual(await axe(page), [], what);
  assert.equal(await overflow(page), '', what);
}

const all = [
  ['venture: an assumption stands with its experiment, its bars, and what is believed', async (world) => {
    const page = await opened(world);
    const { assumption, experiment } = await chosen(world);
    const card = page.locator(`[data-assumption="${assumption}"]`);
    await card.getByText(experiment, { exact: true }).waitFor();
    assert.match(await card.locator('.track[role="img"]').first().getAttribute('aria-label'), /Pass .*%/);
    assert.match(await card.innerText(), /holds [≥≤<>]? ?\d+/);
    await card.getByText(/How .* came to be/).click();
    await card.locator('.tree').first().waitFor();
    await whole(page);
    await shot(world.browser, page, 'venture-first-light');
    assert.deepEqual(page.errors, []);
  }],
  ['venture: a result that cannot be is refused beside its form, and nothing is kept', async (world) => {
    const page = await opened(world);
    const { venture, assumption } = await chosen(world);
    const before = (await world.get(`/api/v1/ventures/${venture}/assumptions`)).items.find((one) => one.name === assumption);
    const card = page.locator(`[data-assumption="${assumption}"]`);
    await card.getByRole('button', { name: 'Record a result' }).click();
    const form = card.getByRole('form', { name: `Record a result of ${assumption}` });
    await form.getByLabel('Did').fill('50');
    await form.getByLabel('Of', { exact: true }).fill('40');
    await form.getByLabel('Source').fill('a slip of the finger');
    await form.getByRole('button', { name: 'Record', exact: true }).click();
    await form.getByText('The result was not recorded').waitFor();
    await shot(world.browser, page, 'venture-refused-light');
    await finding(page, 'refused result');
    await form.getByRole('button', { name: 'Cancel' }).click();
    const after = (await world.get(`/api/v1/ventures/${venture}/assumptions`)).items.find((one) => one.name === assumption);
    assert.equal(after.evidence.length, before.evidence.length);
  }],
  ['venture: a recorded result moves what is believed, the gate and the case', async (world) => {
    const page = await opened(world);
    const { venture, assumption } = await chosen(world);
    const believed = async () => (await world.get(`/api/v1/ventures/${venture}/assumptions`)).items.find((one) => one.name === assumption);
    const before = await believed();
    const card = page.locator(`[data-assumption="${assumption}"]`);
    await card.getByRole('button', { name: 'Record a result' }).click();
    const form = card.getByRole('form', { name: `Record a result of ${assumption}` });
    await form.getByLabel('Did').fill('17');
    await form.getByLabel('Of', { exact: true }).fill('40');
    await form.getByLabel('Source').fill('letters of October');
    for (const [look, options] of looks) {
      await page.setViewportSize({ width: options.width ?? 1440, height: options.height ?? 1080 });
      await page.emulateMedia({ colorScheme: options.dark ? 'dark' : 'light' });
      await finding(page, `form, ${look}`);
      if (look !== 'dark') await shot(world.browser, page, `venture-form-${look}`);
    }
    await page.setViewportSize({ width: 1440, height: 1080 });
    await press(form.getByRole('button', { name: 'Record', exact: true }));
    const evidence = card.getByRole('list', { name: `Evidence of ${assumption}` });
    await evidence.getByText('17 of 40').first().waitFor();
    await evidence.getByText('letters of October').first().waitFor();
    await form.waitFor({ state: 'detached' });
    const after = await believed();
    assert.equal(after.evidence.length, before.evidence.length + 1);
    assert.notEqual(after.probability, before.probability);
    await card.getByText(/true with/).waitFor();
    await card.locator('.pieces').waitFor();
    await whole(page);
    assert.deepEqual(page.errors, []);
    return `probability ${before.probability?.toFixed(3)} to ${after.probability?.toFixed(3)}`;
  }],
  ['venture: a criterion opens to where it comes from, a go against the verdict needs its reason, a decision is kept', async (world) => {
    const page = await opened(world);
    const { venture } = await chosen(world);
    const gate = page.locator('[data-gate]').first();
    const stage = await gate.getAttribute('data-gate');
    await gate.getByRole('button', { name: /Where it comes from/ }).first().click();
    await gate.locator('.tree').first().waitFor();
    const go = gate.getByRole('button', { name: 'Decide go' });
    const { items } = await world.get(`/api/v1/ventures/${venture}/gates`);
    if (items.find((one) => one.stage === stage).verdict === 'hold') {
      assert.ok(await go.isDisabled(), 'a go against the verdict without a reason');
      await gate.getByLabel(/^Reason/).fill('the pilot customer pays anyway');
      assert.ok(await go.isEnabled());
      await gate.getByLabel(/^Reason/).fill('');
    }
    const before = (await world.get(`/api/v1/ventures/${venture}/decisions`)).items.length;
    await gate.getByRole('button', { name: 'Hold', exact: true }).click();
    const decided = gate.getByRole('table', { name: 'Decisions so far' });
    await decided.getByText('hold', { exact: true }).nth(before).waitFor();
    const kept = (await world.get(`/api/v1/ventures/${venture}/decisions`)).items;
    assert.equal(kept.length, before + 1);
    await decided.getByText(`iotbiz gate rederive ${kept.at(-1).id}`).or(decided.getByText(`iotbiz gate rederive ${kept[0].id}`)).first().waitFor();
    await shot(world.browser, page, 'venture-decided-light');
    await finding(page, 'decided');
    assert.deepEqual(page.errors, []);
  }],
  ['venture: the case shows its fan as a table, and opens to how its value comes about', async (world) => {
    const page = await opened(world);
    await whole(page);
    const card = region(page, 'Cash since the start');
    assert.match(await card.locator('svg[role="img"]').getAttribute('aria-label'), /Cumulative cash by month\. Middle path/);
    await card.getByRole('button', { name: 'Table' }).click();
    assert.ok((await card.getByRole('row').count()) > 3);
    await finding(page, 'case as table');
    await card.getByRole('button', { name: 'Chart' }).click();
    await card.getByText(/^How .* comes about/).click();
    await card.locator('.tree').first().waitFor();
    const bars = region(page, 'What moves the value').getByRole('listitem');
    assert.ok((await bars.count()) > 2);
    await shot(world.browser, page, 'venture-case-light');
  }],
  ['venture: what does not load is told with its reason and tried again; what is not there is said', async (world) => {
    const { venture } = await chosen(world);
    const page = await openPage(world.browser, null);
    for (const what of ['assumptions', 'gates', 'case']) await page.route(`**/api/v1/ventures/*/${what}`, (route) => route.fulfill(refusal(`${what}: 12 frames to go`)));
    await page.goto(`/ventures/${venture}`);
    for (const [title, what] of [['The assumptions did not load', 'assumptions'], ['The gates did not load', 'gates'], ['The business case did not run', 'case']]) {
      await page.getByText(title).waitFor();
      await page.getByText(`${what}: 12 frames to go`).waitFor();
    }
    await shot(world.browser, page, 'venture-failed-light');
    await finding(page, 'nothing loads');
    await page.unroute('**/api/v1/ventures/*/assumptions');
    await page.getByRole('alert').filter({ hasText: 'The assumptions did not load' }).getByRole('button', { name: 'Try again' }).click();
    await page.locator('[data-assumption]').first().waitFor();
    await page.route('**/api/v1/ventures/*/assumptions', (route) => route.fulfill({ json: { items: [], next_cursor: null } }));
    await page.goto(`/ventures/${venture}`);
    await page.getByText('No assumption yet').waitFor();
    await finding(page, 'nothing is assumed');
    assert.deepEqual(page.errors, []);
  }],
  ['venture: its parts are reached by key, stand in the address and keep their place, on a phone too', async (world) => {
    const { venture } = await chosen(world);
    for (const [look, options] of [looks[0], looks[2]]) {
      const page = await opened(world, options);
      const strip = page.getByRole('navigation', { name: 'On this page' });
      await press(strip.getByRole('link', { name: 'Assumptions' }));
      await page.waitForURL(/#assumptions$/);
      await inView(page, 'assumptions');
      await strip.locator('[aria-current="location"]').getByText('Assumptions').waitFor();
      await shot(world.browser, page, `venture-part-${look}`, false);
      await finding(page, `part, ${look}`);
      await page.goBack();
      await page.waitForURL((url) => url.hash === '');
      const there = await openPage(world.browser, `/ventures/${venture}#blueprint`, options);
      await there.locator('.listing').waitFor();
      await inView(there, 'blueprint');
      assert.deepEqual([...page.errors, ...there.errors], []);
    }
  }],
  ['venture: a finding is tried in its line, and what it settles is shown before anything is applied', async (world) => {
    const page = await opened(world);
    const { venture } = await chosen(world);
    const { revision } = await world.get(`/api/v1/ventures/${venture}/blueprint`);
    const check = region(page, 'What the check says');
    await check.getByRole('listitem').first().waitFor();
    const offer = check.getByRole('button', { name: /^Try / }).first();
    if ((await offer.count()) === 0) return 'left out: no finding proposes a value';
    await press(offer);
    const card = page.getByRole('region', { name: 'Blueprint', exact: true });
    await card.getByText('1 change', { exact: true }).waitFor();
    await card.getByRole('list', { name: 'Settled by it' }).getByText(/^settled/).first().waitFor();
    assert.ok(await card.getByRole('button', { name: /^Apply as revision/ }).isEnabled());
    await inView(page, 'blueprint');
    await shot(world.browser, page, 'venture-tried-light');
    await finding(page, 'tried');
    await press(card.getByRole('button', { name: 'Discard' }));
    assert.equal((await world.get(`/api/v1/ventures/${venture}/blueprint`)).revision, revision);
    assert.deepEqual(page.errors, []);
  }],
  ['ventures: each stands on its way, with what its next gate rests on', async (world) => {
    const { venture } = await chosen(world);
    for (const [look, options] of looks) {
      const page = await openPage(world.browser, '/ventures', options);
      const one = region(page, 'From idea to optimise').locator(`[data-venture="${venture}"]`);
      await one.getByRole('img', { name: /^Gate to / }).waitFor();
      await shot(world.browser, page, `ventures-belt-${look}`);
      await finding(page, look);
      if (look === 'light') {
        await press(one.getByRole('link', { name: /^Gate to/ }));
        await page.waitForURL(`**/ventures/${venture}#gate`);
        await page.locator('[data-gate]').first().waitFor({ timeout: case_ms_max });
      }
      assert.deepEqual(page.errors, []);
    }
  }],
  ...looks.map(([look, options]) => [`venture: the whole page has no finding of axe and nothing sticks out (${look})`, async (world) => {
    const page = await opened(world, options);
    await whole(page);
    const gate = page.locator('[data-gate]').first();
    await press(gate.getByRole('button', { name: /Where it comes from/ }).first());
    await gate.locator('.tree').first().waitFor();
    await page.evaluate(() => { document.activeElement?.blur?.(); scrollTo(0, 0); });
    await page.waitForTimeout(600);
    await shot(world.browser, page, `venture-${look}`);
    await finding(page, look);
    assert.deepEqual(page.errors, []);
  }]),
];

/** The mock has no evidence and no gates. */
async function has(world) {
  const { items } = await world.get('/api/v1/ventures');
  const { status } = await fetch(`${world.base}/api/v1/ventures/${items[0]?.venture}/assumptions`);
  return status !== 404;
}

export const checks = all.map(([name, check]) => [name, async (world) => ((await has(world)) ? check(world) : 'left out: the server has no evidence')]);
