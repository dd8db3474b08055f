/** Identity: claim batches, what expires, credentials that end at once, boards that change. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { axe, openPage, overflow, shot } from './browser.mjs';
import { hold, speakPlainly } from './mqtt.mjs';

/** From the second click to the closed connection, as the design promises. */
const closing_ms_max = 1000;
const looks = [
  ['light', {}],
  ['dark', { dark: true }],
  ['phone', { width: 360, height: 780 }],
];
const fresh = (what) => `${what}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 6)}`;

async function call(world, method, path, body) {
  const response = await fetch(`${world.base}/api/v1${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return response.status === 204 ? null : response.json();
}

/** A device of its own, with the token it can use. */
async function addDevice(world) {
  const { kind, venture } = world.device;
  return call(world, 'POST', '/devices', { name: fresh('e2e-id'), kind, venture, origin: 'virtual' });
}

async function connected(world, { username, token }) {
  const { host, port } = world.status.mqtt;
  return hold({ host, port, user: username, token });
}

/** By key: on a phone a pointer would have to scroll first, as what is pressed may lie behind the bar. */
const press = (button) => button.press('Enter');

const credentials = (page) => page.getByRole('region', { name: 'Credentials' });
const claims = (page) => page.getByRole('region', { name: 'Claim batches' });

async function fillClaim(world, page, name) {
  await press(claims(page).getByRole('button', { name: 'New claim batch' }));
  await page.getByLabel('Batch', { exact: true }).fill(name);
  await page.getByRole('radiogroup', { name: 'Kind' }).last().getByText(world.device.kind, { exact: true }).click();
  await page.getByLabel('Devices', { exact: true }).fill('3');
  await page.getByLabel('Serial numbers').fill('SN-1\nSN-2\nSN-2\nSN-3');
}

async function finding(page, what) {
  assert.deepEqual(await axe(page), [], what);
  assert.equal(await overflow(page), '', what);
}

export const checks = [
  ['a claim batch is made, its token is shown once, and a second click revokes it', async (world) => {
    const page = await openPage(world.browser, '/connect');
    const name = fresh('batch');
    await fillClaim(world, page, name);
    await page.getByText('3 serial numbers, 1 pasted twice and taken once. No other gets in.').waitFor();
    await page.getByRole('button', { name: 'Make the batch' }).click();
    const token = await page.locator('[data-once]').innerText();
    assert.ok(token.length > 20, token);
    await page.getByRole('button', { name: 'Copy token' }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), token);
    const row = page.locator(`[data-claim="${name}"]`);
    await row.getByText('open', { exact: true }).waitFor();
    assert.match(await row.innerText(), /3 serial numbers/);
    const stranger = fresh('SN').toUpperCase();
    const answer = await fetch(`${world.base}/provision/v1/csr`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ serial: stranger, csr: 'a request that is never read' }),
    });
    assert.equal(answer.status, 403);
    await page.getByText(`${stranger} turned away`).waitFor();
    await page.getByText('serial number not in the list').first().waitFor();
    await page.getByRole('region', { name: 'What expires' }).getByText(`Claim batch ${name}`).or(page.getByRole('button', { name: /^Show all/ })).first().waitFor();
    await page.getByRole('button', { name: 'I have kept it' }).click();
    assert.equal(await page.locator('[data-once]').count(), 0);
    await row.getByRole('button', { name: `Revoke ${name}` }).click();
    await page.getByText('No further device gets in with it: 3 of 3 are not yet claimed.').waitFor();
    await page.getByRole('group', { name: `Revoke ${name}` }).getByRole('button', { name: `Revoke ${name}` }).click();
    await row.getByText('revoked', { exact: true }).waitFor();
    const { items } = await world.get('/api/v1/claims');
    assert.notEqual(items.find((one) => one.name === name).revoked, null);
    assert.ok(!JSON.stringify(items).includes(token), 'a list holds the token');
    assert.deepEqual(page.errors, []);
  }],
  ['a batch that is refused says why beside its field', async (world) => {
    const page = await openPage(world.browser, '/connect');
    await fillClaim(world, page, 'Not A Name');
    await page.getByRole('button', { name: 'Make the batch' }).click();
    await page.getByText('The batch was not made').waitFor();
    assert.equal(await page.getByLabel('Batch', { exact: true }).getAttribute('aria-invalid'), 'true');
  }],
  ['a claim batch is made with the keyboard alone', async (world) => {
    const page = await openPage(world.browser, '/connect');
    const name = fresh('keys');
    await claims(page).getByRole('button', { name: 'New claim batch' }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.type(name);
    const type = async (label, text) => {
      for (let steps = 0; steps < 12; steps += 1) {
        await page.keyboard.press('Tab');
        if (await page.getByLabel(label, { exact: true }).evaluate((one) => one === document.activeElement)) break;
      }
      await page.keyboard.type(text);
    };
    await type('Devices', '2');
    await page.keyboard.press('Enter');
    await page.locator('[data-once]').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.textContent), `Token of ${name}, shown once`);
    const revoke = page.getByRole('button', { name: `Revoke ${name}` });
    await revoke.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    assert.ok(await revoke.evaluate((one) => one === document.activeElement), 'the focus did not come back');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.locator(`[data-claim="${name}"]`).getByText('revoked', { exact: true }).waitFor();
  }],
  ['a revoked credential closes the connection of its device, and the page shows the measured time', async (world) => {
    const { device, credential } = await addDevice(world);
    const held = await connected(world, credential);
    const page = await openPage(world.browser, `/devices/${device.id}`);
    await page.locator('[data-connected="true"]').getByText('connected', { exact: true }).waitFor();
    await credentials(page).getByRole('button', { name: /^Revoke token/ }).click();
    await page.getByText('It is the last one: the device stays out until it gets another.').waitFor();
    await shot(world.browser, page, 'revoke-asked');
    const began = performance.now();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    const after = (await held.closed) - began;
    await page.locator('[data-outcome="ok"]').waitFor();
    const words = await page.locator('[data-outcome]').innerText();
    const [, seconds] = /connection closed after (\d+\.\d) s/.exec(words) ?? assert.fail(words);
    await shot(world.browser, page, 'revoked');
    assert.ok(after < closing_ms_max, `the socket was open for ${Math.round(after)} ms`);
    assert.ok(Number(seconds) * 1000 <= closing_ms_max, words);
    await page.locator('[data-connected="false"]').waitFor();
    await page.getByText('cannot get in').first().waitFor();
    assert.deepEqual(page.errors, []);
    return `${words}; the socket after ${Math.round(after)} ms`;
  }],
  ['revoking what nobody uses says that nobody was connected', async (world) => {
    const { device } = await addDevice(world);
    const page = await openPage(world.browser, `/connect?device=${device.id}`);
    await credentials(page).getByRole('button', { name: /^Revoke token/ }).click();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    await page.locator('[data-outcome="mute"]').getByText(`${device.name} was not connected`).waitFor();
  }],
  ['a new certificate comes as three files, and its key is shown once', async (world) => {
    const { device } = await addDevice(world);
    const page = await openPage(world.browser, `/connect?device=${device.id}`);
    await credentials(page).getByRole('button', { name: 'New certificate' }).click();
    await page.getByText('--csr request.pem').waitFor();
    await page.getByRole('button', { name: 'Make the certificate' }).click();
    const files = {};
    for (const file of ['device.crt', 'device.key', 'ca.crt']) {
      const coming = page.waitForEvent('download');
      await credentials(page).getByRole('button', { name: `Download ${file}` }).click();
      const download = await coming;
      assert.equal(download.suggestedFilename(), file);
      files[file] = readFileSync(await download.path(), 'utf8');
    }
    assert.match(files['device.crt'], /^-----BEGIN CERTIFICATE-----/);
    assert.equal(files['device.crt'].match(/BEGIN CERTIFICATE/g).length >= 2, true, 'the authority that signed it is missing');
    assert.match(files['device.key'], /^-----BEGIN PRIVATE KEY-----/);
    const coming = page.waitForEvent('download');
    await page.getByRole('region', { name: 'Connect', exact: true }).getByRole('button', { name: 'Download ca.crt' }).click();
    assert.equal(readFileSync(await (await coming).path(), 'utf8'), files['ca.crt']);
    await page.getByRole('button', { name: 'I have kept them' }).click();
    const opener = credentials(page).getByRole('button', { name: 'New certificate' });
    assert.ok(await opener.evaluate((one) => one === document.activeElement), 'the focus did not come back');
    await credentials(page).getByText('Certificate', { exact: true }).waitFor();
    assert.ok(!(await page.content()).includes('PRIVATE KEY'), 'the key is still in the page');
    await page.reload();
    await credentials(page).getByText(/renew by/).waitFor();
    assert.ok(!(await page.content()).includes('PRIVATE KEY'));
  }],
  ['a board is replaced, then the device is retired and stands muted in the fleet', async (world) => {
    const { device, credential } = await addDevice(world);
    const held = await connected(world, credential);
    const page = await openPage(world.browser, `/devices/${device.id}`);
    const board = page.getByRole('region', { name: 'Board' });
    await board.getByRole('button', { name: 'Replace the board' }).click();
    await board.getByLabel('Serial number').fill(fresh('SN'));
    await board.getByRole('button', { name: 'Replace the board' }).click();
    const token = await board.locator('[data-once]').innerText();
    await board.getByText('1 credential of the old board ended.').waitFor();
    await held.closed;
    const again = await connected(world, { username: credential.username, token });
    await board.getByRole('button', { name: 'I have kept it' }).click();
    await board.getByRole('button', { name: 'Retire the device' }).click();
    await board.getByText('Its history stays, and a new board brings it back.').waitFor();
    await board.getByRole('button', { name: `Retire ${device.name}` }).click();
    await again.closed;
    await board.getByText('out of service').waitFor();
    await page.goto('/fleet');
    await page.getByRole('button', { name: /^retired/ }).click();
    await page.locator('.frow.retired').getByText(device.name).waitFor();
    assert.match(page.url(), /status:retired|status%3Aretired/);
    await shot(world.browser, page, 'fleet-retired');
    await finding(page, 'fleet, retired');
  }],
  ['a refusal before any name is told as one that may be this device', async (world) => {
    const { device } = await addDevice(world);
    const info = await world.get(`/api/v1/devices/${device.id}/connect`);
    if (!info.mqtts_port) return 'this server offers no TLS';
    const page = await openPage(world.browser, `/connect?device=${device.id}`);
    await page.locator('[data-ear="wait"]').waitFor();
    await speakPlainly({ host: info.host, port: info.mqtts_port });
    await page.locator('[data-unnamed]').getByText('no TLS where TLS is spoken').waitFor();
    assert.equal(await page.locator('[data-ear]').getAttribute('data-ear'), 'wait');
    await shot(world.browser, page, 'connect-unnamed');
    await finding(page, 'unnamed refusal');
  }],
  ...looks.map(([look, options]) => [`claims, expiry, credentials and board have no finding of axe and fit (${look})`, async (world) => {
    const { device } = await addDevice(world);
    const page = await openPage(world.browser, '/connect', options);
    const name = fresh('look');
    await fillClaim(world, page, name);
    await finding(page, 'claim form');
    await shot(world.browser, page, `claim-form-${look}`);
    await press(page.getByRole('button', { name: 'Make the batch' }));
    await page.locator('[data-once]').waitFor();
    await press(page.getByRole('button', { name: `Revoke ${name}` }));
    await page.getByRole('group', { name: `Revoke ${name}` }).waitFor();
    await finding(page, 'claim made and revoke asked');
    await shot(world.browser, page, `claim-made-${look}`);
    await page.goto(`/devices/${device.id}`);
    await press(credentials(page).getByRole('button', { name: 'New certificate' }));
    await press(page.getByRole('button', { name: 'Retire the device' }));
    await finding(page, 'certificate and retirement asked');
    await press(page.getByRole('button', { name: 'Make the certificate' }));
    await page.getByText('The key is shown once: the server keeps no copy').waitFor();
    await finding(page, 'certificate made');
    await shot(world.browser, page, `credentials-${look}`);
    await page.goto('/connect');
    const table = page.getByRole('region', { name: 'What expires' }).getByRole('button', { name: 'As table' });
    await press(table);
    await page.getByText(/ or later$/).waitFor();
    await finding(page, 'expiry as table');
    await shot(world.browser, page, `connect-start-${look}`);
    const { items } = await world.get('/api/v1/claims');
    await call(world, 'DELETE', `/claims/${items.find((one) => one.name === name).id}`);
  }]),
];
