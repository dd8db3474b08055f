/**
 * Revenue: a customer, a contract over all boxes, last month closed in shadow, a line down to its
 * readings, and the document made again equal. Runs against the mock and against the real demo.
 */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const looks = [
  ['light', {}],
  ['dark', { dark: true }],
  ['phone', { width: 360, height: 780 }],
];
const region = (page, name) => page.getByRole('region', { name });
/** By key: on a phone a pointer would have to scroll first, as what is pressed may lie behind the bar. */
const press = (button) => button.press('Enter');
const lastMonth = () => {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1)).toISOString().slice(0, 7);
};
/** The real server reads a month of history for each rating. */
const rating_ms_max = 60_000;

/** The same contract for all checks; one that is there already holds the boxes, and is used. */
let contract = `e2e-${lastMonth()}-${Date.now().toString(36)}`;
const customer = `e2e-linden-${Date.now().toString(36)}`;

async function finding(page, what) {
  assert.deepEqual(await axe(page), [], what);
  assert.equal(await overflow(page), '', what);
}

async function loaded(page) {
  await region(page, 'Key figures').waitFor({ timeout: rating_ms_max });
  await page.locator('[aria-label="Key figures"][aria-busy="false"]').waitFor({ timeout: rating_ms_max });
}

export const checks = [
  ['revenue says what is missing before there is a customer, in both themes and on a phone', async (world) => {
    for (const [look, options] of looks) {
      const page = await openPage(world.browser, '/revenue', options);
      await loaded(page);
      await region(page, 'Cost and margin').waitFor();
      await shot(world.browser, page, `revenue-first-${look}`);
      await finding(page, look);
      assert.deepEqual(page.errors, []);
    }
  }],
  ['a customer and a contract over all boxes are added with forms', async (world) => {
    const { items } = await world.get('/api/v1/ventures');
    const [most] = items.flatMap((one) => one.kinds).sort((a, b) => b.devices - a.devices);
    const kind = most.name;
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    const customers = region(page, 'Customers');
    await customers.getByRole('button', { name: 'Add a customer' }).click();
    const company = customers.getByRole('form', { name: 'New company that invoices' });
    const form = customers.getByRole('form', { name: 'New customer' });
    await company.or(form).waitFor();
    if (await company.isVisible()) {
      await company.getByLabel('Company').fill('Nordwind Cooling GmbH');
      await company.getByLabel('City').fill('Berlin');
      await company.getByRole('button', { name: 'Add the company' }).click();
    }
    await form.getByLabel('Customer', { exact: true }).fill('Linden-Apotheke');
    await form.getByLabel('Short name').fill(customer);
    await form.getByLabel('City').fill('Berlin');
    await form.getByLabel('Time zone').fill('Europe/Berlin');
    await shot(world.browser, page, 'revenue-customer-light');
    await finding(page, 'customer form');
    await form.getByRole('button', { name: 'Add the customer' }).click();
    await page.locator(`[data-customer="${customer}"]`).waitFor();
    const held = (await world.get('/api/v1/contracts')).items.find((one) => one.devices.some((device) => device.kind === kind));
    if (held) {
      contract = held.name;
      return `${contract} holds the boxes already`;
    }
    const contracts = region(page, 'Contracts');
    await contracts.getByRole('button', { name: 'Add a contract' }).click();
    const agreed = contracts.getByRole('form', { name: 'New contract' });
    await agreed.getByLabel('Customer').selectOption(customer);
    await agreed.getByLabel('Name').fill(contract);
    await agreed.getByLabel('Devices').fill(`kind:${kind}`);
    await agreed.getByLabel('From').fill(`${lastMonth()}-01`);
    await agreed.getByLabel('Agreed by').fill('Dr. Vogt');
    await agreed.getByText(/\d+ devices? match now/).waitFor();
    await finding(page, 'contract form');
    await agreed.getByRole('button', { name: 'Make the contract' }).click();
    await page.locator(`[data-contract-of="${contract}"]`).waitFor({ timeout: rating_ms_max });
    await page.locator(`[data-contract="${contract}"]`).waitFor({ timeout: rating_ms_max });
    assert.deepEqual(page.errors, []);
  }],
  ['last month is closed in shadow, and its result is what the table said', async (world) => {
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    const close = region(page, 'Close a month');
    const would = await close.getByRole('listitem').filter({ hasText: contract }).locator('b').innerText();
    assert.equal(await close.getByLabel('In shadow: rate only').isChecked(), true, 'shadow is the default');
    await press(close.getByRole('button', { name: /^Close .* in shadow$/ }));
    const done = page.locator('[data-closed] li').filter({ hasText: contract });
    await done.getByText(/drafted|replaced|unchanged/).waitFor({ timeout: rating_ms_max });
    assert.ok((await done.innerText()).includes(would), `${await done.innerText()} bills ${would}`);
    await loaded(page);
    await press(close.getByRole('button', { name: /^Close .* in shadow$/ }));
    await done.getByText('unchanged').waitFor({ timeout: rating_ms_max });
    return would;
  }],
  ['a line opens to its readings, and its document is made again equal', async (world) => {
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    // What is charged once has no readings; the days of the boxes have, when the demo reaches back that far.
    const days = page.locator(`[data-contract="${contract}"] tr[data-line]`).filter({ hasText: 'boxes' });
    await days.first().waitFor({ timeout: rating_ms_max });
    await days.locator('a').first().click();
    const receipt = page.locator('[data-receipt]');
    await receipt.locator('.ladder li').first().waitFor({ timeout: rating_ms_max });
    assert.doesNotMatch(await receipt.locator('.ladder li').first().innerText(), /^0 readings/, 'the demo reaches back over last month');
    await receipt.getByText('the readings agree with the receipt').waitFor({ timeout: rating_ms_max });
    assert.match(page.url(), /[?&]line=/, 'the line is in the address');
    const rows = await receipt.getByRole('table').locator('tbody tr').count();
    assert.ok(rows > 0, 'readings are listed');
    assert.match(await receipt.getByRole('link', { name: /^Message at offset/ }).first().getAttribute('href'), /^\/devices\/dev_\w+\?message=\d+$/);
    await receipt.getByRole('button', { name: 'Verify' }).click();
    await receipt.getByText('verify: equal, byte for byte').waitFor({ timeout: rating_ms_max });
    if (world.status.tenant.demo) await receipt.getByText('simulated', { exact: true }).waitFor();
    await shot(world.browser, page, 'revenue-line-light');
    await finding(page, 'line');
    const address = page.url();
    await receipt.getByRole('button', { name: 'Close' }).click();
    await receipt.waitFor({ state: 'detached' });
    await page.goBack();
    await page.goto(address);
    await page.locator('[data-receipt]').getByText('the readings agree with the receipt').waitFor({ timeout: rating_ms_max });
    assert.deepEqual(page.errors, []);
    return `${rows} readings listed`;
  }],
  ['use, price, cost and margin: the worst box first, each amount opens to its formula', async (world) => {
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    const card = region(page, 'Cost and margin');
    const rows = card.locator('[data-margin]');
    await rows.first().waitFor({ timeout: rating_ms_max });
    const margins = (await rows.locator('[data-l="Margin"]').allInnerTexts()).map((text) => Number(text.replace('−', '-').split(' ')[0]));
    assert.deepEqual(margins, margins.toSorted((a, b) => a - b), 'worst first');
    assert.equal(await card.locator('.fourfold li').count(), 4);
    await press(rows.first().locator('[data-l="Cost"] button'));
    const panel = page.getByRole('dialog', { name: 'Where it comes from' });
    await panel.getByText(/radio/).first().waitFor();
    await panel.getByText(/Blueprint .*revision/).waitFor();
    await shot(world.browser, page, 'revenue-margin-light');
    await finding(page, 'margin');
    await page.keyboard.press('Escape');
    await press(card.getByRole('button', { name: 'By customer' }));
    await card.getByRole('columnheader', { name: 'Customer' }).waitFor({ timeout: rating_ms_max });
    assert.deepEqual(page.errors, []);
    return `${margins.length} boxes, the worst leaves ${margins[0]}`;
  }],
  ['a shadow draft opens, says who may take which step, and none of them makes it an invoice', async (world) => {
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    const row = page.locator('[data-invoice]').filter({ hasText: contract });
    assert.match(await row.innerText(), /draft, shadow/);
    if (world.status.tenant.demo) assert.match(await row.innerText(), /simulated/i);
    await row.getByRole('link').click();
    const opened = page.locator('[data-opened]');
    await opened.getByText(/A second person: not/).waitFor();
    await press(opened.getByRole('button', { name: 'Approve' }));
    await page.getByText('Approve: not done').waitFor();
    await press(opened.getByRole('button', { name: 'Discard' }));
    await opened.getByRole('group', { name: 'Discard' }).getByRole('button', { name: 'Cancel' }).click();
    await opened.getByRole('button', { name: 'Verify' }).click();
    await opened.getByText('verify: equal, byte for byte').waitFor({ timeout: rating_ms_max });
    const [file] = await Promise.all([page.waitForEvent('download', { timeout: rating_ms_max }), press(opened.getByRole('button', { name: 'PDF' }))]);
    assert.match(file.suggestedFilename(), /\.pdf$/);
    await finding(page, 'document');
    await shot(world.browser, page, 'revenue-document-light');
    assert.deepEqual(page.errors, []);
  }],
  ['real invoices are compared, and a difference has a cause', async (world) => {
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    const card = region(page, 'Against the real invoices');
    await press(card.getByRole('button', { name: 'Compare' }));
    await card.getByLabel('Lines of the real invoices').fill(`contract,charge,quantity,amount\n${contract},,,1.00\n`);
    await press(card.getByRole('button', { name: 'Compare these lines' }));
    const row = card.locator('[data-compared] tbody tr').filter({ hasText: contract });
    await row.waitFor({ timeout: rating_ms_max });
    assert.doesNotMatch(await row.innerText(), /equal/);
    await finding(page, 'comparison');
  }],
  ['the filled page keeps its month in the address, its keys and its look', async (world) => {
    for (const [look, options] of looks) {
      const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`, options);
      await loaded(page);
      await page.locator(`[data-contract="${contract}"]`).waitFor();
      await page.locator(`[data-contract="${contract}"]`).getByRole('button', { name: /device/ }).first().press('Enter');
      await page.locator(`[data-contract="${contract}"] tr.device`).first().waitFor();
      await region(page, 'Cost and margin').locator('[data-margin]').first().waitFor({ timeout: rating_ms_max });
      await shot(world.browser, page, `revenue-${look}`);
      await finding(page, look);
      assert.deepEqual(page.errors, []);
    }
    const page = await openPage(world.browser, '/fleet');
    await page.locator('h1').waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('r');
    await loaded(page);
    await page.getByRole('button', { name: 'The month before' }).press('Enter');
    await page.waitForURL((url) => url.searchParams.get('month') === lastMonth());
    await loaded(page);
    await page.goBack();
    await page.waitForURL((url) => url.searchParams.get('month') === null);
  }],
  ['a customer is changed, and a contract gets prepaid credit and an end', async (world) => {
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    const row = region(page, 'Customers').locator(`[data-customer="${customer}"]`);
    await press(row.getByRole('button', { name: `Change ${customer}` }));
    const form = page.getByRole('form', { name: `Change ${customer}` });
    await form.getByLabel('City').fill('Potsdam');
    await finding(page, 'customer change');
    await form.getByRole('button', { name: 'Change the customer' }).click();
    await row.getByText(/Potsdam/).waitFor();
    const agreed = region(page, 'Contracts').locator(`[data-contract-of="${contract}"]`);
    await press(agreed.getByRole('button', { name: `Change ${contract}` }));
    const change = page.getByRole('form', { name: `Change ${contract}` });
    await change.getByLabel('Prepaid credit').fill('welcome');
    await change.getByLabel(/^Amount in/).fill('30.00');
    await change.getByLabel('Ends on').fill('2099-01-01');
    await finding(page, 'contract change');
    await change.getByRole('button', { name: 'Change and end it' }).click();
    await agreed.getByText(/prepaid as welcome/).waitFor({ timeout: rating_ms_max });
    await agreed.getByText(/until 31 Dec 2098/).waitFor();
    assert.deepEqual(page.errors, []);
  }],
  ['the parts of the page stand in the address beside the month', async (world) => {
    for (const [look, options] of [looks[0], looks[2]]) {
      const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`, options);
      await loaded(page);
      const strip = page.getByRole('navigation', { name: 'On this page' });
      await press(strip.getByRole('link', { name: 'Contracts' }));
      await page.waitForURL((url) => url.hash === '#contracts' && url.searchParams.get('month') === lastMonth());
      await strip.locator('[aria-current="location"]').getByText('Contracts').waitFor();
      await page.locator('[data-contract-of]').first().waitFor();
      await shot(world.browser, page, `revenue-part-${look}`, false);
      await finding(page, `part, ${look}`);
      assert.deepEqual(page.errors, []);
    }
  }],
  ['figures that cannot be loaded are told, and what was there stays', async (world) => {
    const page = await openPage(world.browser, `/revenue?month=${lastMonth()}`);
    await loaded(page);
    await page.route('**/api/v1/billing/revenue*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'unavailable', status: 503, code: 'E0501', detail: 'the history is catching up', errors: [], fix: [] }) }));
    await page.getByRole('button', { name: 'Rate again' }).click();
    await page.getByText('What you see is from before').waitFor();
    await page.locator(`[data-contract="${contract}"]`).waitFor();
    await page.unroute('**/api/v1/billing/revenue*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('What you see is from before').waitFor({ state: 'detached', timeout: rating_ms_max });
  }],
];
