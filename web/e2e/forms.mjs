/**
 * Forms send in one way: what is sent twice at once is sent once, and what is refused stands beside
 * its field and is gone with the next try. The answers are the test's, so nothing is kept anywhere.
 */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

/** The page rates a month of all devices first. */
const rated_ms_max = 120_000;
const region = (page, name) => page.getByRole('region', { name, exact: true });
const refusal = (pointer, message) => ({
  status: 422,
  contentType: 'application/problem+json',
  json: { title: 'the input is not valid', status: 422, detail: message, code: 'E0301', errors: [{ pointer, message }], fix: [] },
});

/** Answers one route and counts what was sent to it. */
async function answering(page, method, path, answers) {
  const sent = [];
  await page.route(path, async (route) => {
    if (route.request().method() !== method) return route.fallback();
    sent.push(route.request().postDataJSON());
    // Time for a second click to do harm.
    await new Promise((resolve) => setTimeout(resolve, 150));
    return route.fulfill(answers[Math.min(sent.length, answers.length) - 1]);
  });
  return sent;
}
/** Two clicks before the page could draw itself anew. */
const twice = (form) => form.evaluate((one) => {
  one.requestSubmit();
  one.requestSubmit();
});

/** The refusal of the first try stands beside the field, and the second try succeeds. */
async function refusedOnce(page, { form, field, beside, sent, name }) {
  await twice(form);
  await form.getByText(beside, { exact: true }).first().waitFor();
  assert.equal(sent.length, 1, `${name}: sent once`);
  assert.equal(await field.getAttribute('aria-invalid'), 'true', name);
  assert.deepEqual(await axe(page), [], name);
  assert.equal(await overflow(page), '', name);
}

const checks_ = [
  ['what a stranger sends', async (world) => {
    const page = await openPage(world.browser, null);
    await page.route('**/api/v1/public/acme/ideas', (route) => route.fulfill({ json: { tenant: 'Acme', title_chars_max: 120, text_chars_max: 4000, note: 'A person reads it first.' } }));
    const sent = await answering(page, 'POST', '**/api/v1/public/acme/ideas', [
      refusal('/title', 'it has a control character in it'),
      { status: 201, json: { id: 'ide_1', key: 'k', page: '/suggest/acme#ide_1.k' } },
    ]);
    await page.goto('/suggest/acme');
    const form = page.getByRole('form', { name: 'Send an idea' });
    const field = form.getByLabel('Your idea, in a line');
    await field.fill('An alarm at the lid');
    await refusedOnce(page, { form, field, beside: 'It has a control character in it.', sent, name: 'suggest' });
    await shot(world.browser, page, 'forms-suggest-light', false);
    await twice(form);
    await page.getByRole('heading', { name: 'Thank you' }).waitFor();
    assert.equal(sent.length, 2);
    assert.deepEqual(page.errors, []);
  }],
  ['how somebody is told', async (world) => {
    const page = await openPage(world.browser, null);
    const own = {
      roles: ['operator'], severity: 'warning', timezone: 'Europe/Berlin', quiet: { from: '22:00', to: '06:00', except: 'critical' },
      digest: null, channels: ['webhook'], mail: null, webhook: 'https://example.org/hook', webhook_secrets: 1, mqtt: null,
    };
    await page.route('**/api/v1/people/me/notify', (route) => route.fulfill({ json: own }));
    const status = {
      closed: null, last_unheard: null, taken: 0, overflow: 0, disk: null,
      routes: [{ person: 'usr_1', channel: 'webhook', state: 'failing', waiting: 1, held: 0, told: 0, next_try: null, last_success: null, last_error: null, disabled: null, failed: [], forgotten: 0 }],
    };
    await page.route('**/api/v1/notify/status', (route) => route.fulfill({ json: status }));
    const sent = await answering(page, 'PATCH', '**/api/v1/people/me/notify', [refusal('/webhook', 'webhooks may not reach this address'), { json: own }]);
    const again = await answering(page, 'POST', '**/api/v1/notify/enable', [{ status: 204 }]);
    await page.goto('/alarms#notify');
    const card = region(page, 'How I am told');
    const form = card.locator('form');
    const field = form.getByLabel('Webhook', { exact: true });
    await field.fill('https://10.0.0.1/hook');
    await refusedOnce(page, { form, field, beside: 'Webhooks may not reach this address.', sent, name: 'notify' });
    await form.scrollIntoViewIfNeeded();
    await shot(world.browser, page, 'forms-notify-light', false);
    await twice(form);
    await page.getByText('Saved: it holds from the next alarm on').waitFor();
    assert.equal(sent.length, 2);
    assert.equal(await form.getByText('Webhooks may not reach this address.').count(), 0, 'the next try forgets it');
    await card.getByRole('button', { name: 'Try now' }).evaluate((button) => {
      button.click();
      button.click();
    });
    await page.getByText('It is tried again').waitFor();
    assert.equal(again.length, 1);
    assert.deepEqual(page.errors, []);
  }],
  ['a contract', async (world) => {
    const answer = await fetch(`${world.base}/api/v1/customers`);
    if (!answer.ok || (await answer.json()).items.length === 0) return 'left out: nobody pays here yet';
    const page = await openPage(world.browser, null);
    const sent = await answering(page, 'POST', '**/api/v1/contracts', [refusal('/filter', 'no device matches'), refusal('/name', 'is taken')]);
    await page.goto('/revenue');
    const contracts = region(page, 'Contracts');
    const add = contracts.getByRole('button', { name: 'Add a contract' });
    await add.waitFor({ timeout: rated_ms_max });
    await add.click();
    const form = contracts.getByRole('form', { name: 'New contract' });
    const field = form.getByLabel('Devices');
    await field.fill('kind:nothing');
    await form.getByLabel('Agreed by').fill('Dr. Vogt');
    // The plans of the venture come by themselves.
    await page.waitForFunction((button) => !button.disabled, await form.getByRole('button', { name: 'Make the contract' }).elementHandle());
    await refusedOnce(page, { form, field, beside: 'No device matches.', sent, name: 'contract' });
    await form.scrollIntoViewIfNeeded();
    await shot(world.browser, page, 'forms-contract-light', false);
    await twice(form);
    await form.getByText('Is taken.', { exact: true }).waitFor();
    assert.deepEqual([sent.length, await field.getAttribute('aria-invalid')], [2, 'false'], 'the next refusal is another');
    assert.deepEqual(page.errors, []);
  }],
  ['a score', async (world) => {
    const answer = await fetch(`${world.base}/api/v1/ideas`);
    const idea = answer.ok ? (await answer.json()).items[0] : undefined;
    if (!idea) return 'left out: no idea is here';
    const page = await openPage(world.browser, null);
    const detail = await world.get(`/api/v1/ideas/${idea.id}`);
    const sent = await answering(page, 'PUT', `**/api/v1/ideas/${idea.id}/scores`, [refusal('/inputs/confidence', '80 is not between 0 and 1'), { json: detail }]);
    await page.goto(`/ideas?idea=${idea.id}`);
    const form = region(page, 'Score').getByRole('form', { name: 'Give numbers' });
    const field = form.getByLabel('Confidence');
    await field.fill('0.1');
    await refusedOnce(page, { form, field, beside: '80 is not between 0 and 1.', sent, name: 'score' });
    await shot(world.browser, page, 'forms-score-light', false);
    const answered = page.waitForResponse((response) => response.url().endsWith('/scores') && response.ok());
    await twice(form);
    await answered;
    await form.getByText('80 is not between 0 and 1.').waitFor({ state: 'detached' });
    assert.equal(sent.length, 2);
    assert.deepEqual(page.errors, []);
  }],
];

export const checks = checks_.map(([name, check]) => [`forms: ${name}: two clicks send once, and a refusal stands beside its field`, check]);
