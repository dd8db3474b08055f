/** Connect: add a device, be refused by name, be heard. */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';
import { send } from './mqtt.mjs';

const fresh = () => `e2e-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 6)}`;

async function add(world, page, name) {
  await page.goto('/connect');
  await page.getByLabel('Name').fill(name);
  await page.getByRole('button', { name: 'Add the device' }).click();
  await page.waitForURL(/device=/);
  await page.locator('[data-ear="wait"]').waitFor();
}

export const checks = [
  ['a device is added, refused by name, then received', async (world) => {
    const page = await openPage(world.browser, null);
    const name = fresh();
    await add(world, page, name);
    const id = new URL(page.url()).searchParams.get('device');
    const masked = await page.locator('[data-token]').innerText();
    assert.match(masked, /^•+/, 'the token is shown before it is asked for');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    const token = await page.locator('[data-token]').innerText();
    await page.getByRole('button', { name: 'Hide', exact: true }).click();
    await shot(world.browser, page, 'connect-listening');

    const info = await world.get(`/api/v1/devices/${id}/connect`);
    const mqtt = { host: info.host, port: info.mqtt_port, topic: 'me/telemetry', user: info.username };
    const payload = JSON.stringify(info.example_payload);
    const refused = await send({ ...mqtt, token: 'wrong', payload });
    assert.notEqual(refused.connack, 0);
    await page.locator('[data-ear="bad"]').waitFor();
    assert.match(await page.locator('.ear').innerText(), /token|password|secret/i);
    await shot(world.browser, page, 'connect-refused');

    const taken = await send({ ...mqtt, token, payload });
    assert.deepEqual(taken, { connack: 0, puback: true });
    await page.locator('[data-ear="ok"]').waitFor();
    const number = Object.values(info.example_payload).find((value) => typeof value === 'number');
    if (number !== undefined) await page.locator('.ear .v').getByText(String(number)).waitFor();

    await send({ ...mqtt, token, payload: '{"temprature":3.9}' });
    await page.locator('[data-ear="part"]').waitFor();
    assert.match(await page.locator('.ear').innerText(), /temprature/);
    await shot(world.browser, page, 'connect-heard');
    assert.deepEqual(page.errors, []);
  }],
  ['a stranger that is refused is shown as another', async (world) => {
    const page = await openPage(world.browser, null);
    await add(world, page, fresh());
    const { mqtt } = world.status;
    await send({ ...mqtt, user: 'nobody-knows-me', token: 'x', topic: 'me/telemetry', payload: '{}' });
    await page.getByText('refused another').first().waitFor();
    assert.equal(await page.locator('[data-ear]').getAttribute('data-ear'), 'wait');
  }],
  ['the copied snippet has the real token, and it is gone after a reload', async (world) => {
    const page = await openPage(world.browser, null);
    await add(world, page, fresh());
    await page.getByRole('tab', { name: 'curl' }).click();
    await page.getByRole('button', { name: 'Copy code' }).click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(!copied.includes('{TOKEN}') && !copied.includes('•'), copied);
    await page.reload();
    await page.getByText('shown once, when it was made').waitFor();
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByRole('button', { name: 'Make the token' }).click();
    await page.locator('[data-token]').waitFor();
  }],
  ['the tabs of the snippets follow the arrow keys', async (world) => {
    const page = await openPage(world.browser, null);
    await add(world, page, fresh());
    await page.getByRole('tab').first().focus();
    await page.keyboard.press('ArrowRight');
    assert.equal(await page.getByRole('tab').nth(1).getAttribute('aria-selected'), 'true');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('role')), 'tab');
  }],
  ['the code for phones stands on Connect, leads where the terminal says, and a phone that joins appears', async (world) => {
    if (!process.env.IOTBIZ_E2E_BOX) return 'left out: the server has no page for phones';
    const { phone } = await world.get('/api/v1/status');
    assert.equal(phone.url, process.env.IOTBIZ_E2E_BOX);
    const wrong = [];
    for (const [look, options] of [['light', {}], ['dark', { dark: true }], ['phone', { width: 360, height: 780 }]]) {
      const page = await openPage(world.browser, '/connect', options);
      const card = page.getByRole('region', { name: 'A phone as a device' });
      const code = card.getByRole('img', { name: /^QR code/ });
      await code.waitFor();
      // What a camera sees: each module of the server's code, at its place.
      const drawn = await code.evaluate((svg) => svg.querySelector('path').getAttribute('d'));
      const dark = [...drawn.matchAll(/M(\d+) (\d+)h(\d+)/g)].reduce((sum, [, , , run]) => sum + Number(run), 0);
      assert.equal(dark, phone.code.join('').replaceAll('0', '').length);
      await card.getByText(/\d+ of 50 phones/).waitFor();
      await page.getByRole('region', { name: 'What expires' }).waitFor();
      await shot(world.browser, page, `connect-phone-${look}`);
      wrong.push(...(await axe(page)).map((words) => `${look}: ${words}`), await overflow(page), ...page.errors);
    }
    assert.deepEqual(wrong.filter((one) => one !== ''), []);
    const page = await openPage(world.browser, '/connect');
    const card = page.getByRole('region', { name: 'A phone as a device' });
    await card.getByText(/\d+ of 50 phones/).waitFor();
    const claim = new URL(phone.url).hash.replace('#claim=', '');
    const joined = await fetch(`${new URL(phone.url).origin}/box/claim`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ claim }) });
    const { name } = await joined.json();
    await card.locator(`[data-phone="${name}"]`).waitFor();
  }],
  ['a name that is taken is refused beside the field', async (world) => {
    const page = await openPage(world.browser, '/connect');
    await page.getByLabel('Name').fill(world.device.name);
    await page.getByRole('button', { name: 'Add the device' }).click();
    await page.getByText('The device was not added').waitFor();
    assert.match(page.url(), /\/connect$/);
  }],
];
