/** The door: sign in with a token, the first start, sign out. The server's side is played here. */
import assert from 'node:assert/strict';
import { axe, openPage, overflow, shot } from './browser.mjs';

const problem = (title, detail, code) => ({
  status: 401, contentType: 'application/problem+json', json: { title, status: 401, detail, code, errors: [], fix: [] },
});

/** Refuses everything until the right token was given; then lets the real server answer. */
async function guard(page) {
  const door = { open: false };
  await page.route('**/api/v1/**', (route) => (door.open ? route.continue() : route.fulfill(problem('not signed in', 'the request carries no token', 'E0101'))));
  await page.routeWebSocket('**/stream*', (socket) => (door.open ? socket.connectToServer() : socket.close()));
  await page.route('**/api/v1/session', (route) => {
    if (route.request().method() === 'DELETE') door.open = false;
    else if (route.request().postDataJSON().token !== 'own-token') return route.fulfill(problem('not signed in', 'the token is not accepted', 'E0101'));
    else door.open = true;
    return route.fulfill({ json: { role: 'owner' } });
  });
  await page.route('**/api/v1/setup', (route) => {
    const { setup_token, tenant, owner } = route.request().postDataJSON();
    if (setup_token !== 'setup-1') return route.fulfill(problem('setup token refused', 'the setup token is wrong', 'E0104'));
    assert.deepEqual([tenant, owner], ['Nordwind', 'Ada']);
    return route.fulfill({ status: 201, json: { tenant: 'ten_1', user: 'usr_1', token: 'own-token' } });
  });
  await page.route('**/api/v1/status', async (route) => {
    if (!door.open) return route.fallback();
    const answer = await route.fetch();
    return route.fulfill({ json: { ...(await answer.json()), loopback_owner: false } });
  });
}

export const checks = [
  ['without a token there is a door: a wrong token is refused by name, the right one opens the page that was asked for', async (world) => {
    const page = await openPage(world.browser, null);
    await guard(page);
    await page.goto('/fleet?filter=status:live');
    await page.getByLabel('Token').fill('wrong');
    await shot(world.browser, page, 'sign-in', false);
    assert.deepEqual(await axe(page), []);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('The token is not accepted').first().waitFor();
    await shot(world.browser, page, 'sign-in-refused', false);
    await page.getByLabel('Token').fill('own-token');
    await page.keyboard.press('Enter');
    await page.locator('[data-row="0"]').waitFor();
    assert.match(page.url(), /fleet\?filter=status:live$/);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token').waitFor();
  }],
  ['the first start makes the owner, whose token is shown once', async (world) => {
    const page = await openPage(world.browser, null, { width: 360, height: 780 });
    await guard(page);
    await page.goto('/');
    await page.getByRole('button', { name: 'Use the setup token' }).click();
    await page.getByLabel('Setup token').fill('guess');
    await page.getByLabel('Company or project').fill('Nordwind');
    await page.getByLabel('Your name').fill('Ada');
    await page.getByRole('button', { name: 'Become the owner' }).click();
    await page.getByText('The setup was refused').waitFor();
    await page.getByLabel('Setup token').fill('setup-1');
    await shot(world.browser, page, 'first-start-phone', false);
    assert.deepEqual(await axe(page), []);
    await page.getByRole('button', { name: 'Become the owner' }).click();
    await page.getByText('own-token').waitFor();
    assert.equal(await overflow(page), '');
    assert.ok(await page.getByRole('button', { name: 'Open the console' }).isDisabled());
    await page.getByLabel('I have kept it').check();
    await shot(world.browser, page, 'first-start-token-phone', false);
    await page.getByRole('button', { name: 'Open the console' }).click();
    await page.locator('.rail').waitFor();
  }],
];
