/**
 * The console in a real browser against a running server.
 *
 *   IOTBIZ_E2E_URL     the server, such as http://127.0.0.1:7070; needs one live device.
 *                      Without it the mock of dev/ is started on free ports.
 *   IOTBIZ_E2E_SHOTS   folder for screenshots of every page, both themes, and 360 px
 *   IOTBIZ_E2E_CHROMIUM  the browser, /usr/bin/chromium by default
 *   IOTBIZ_E2E_CONSOLE folder of a built console to test in place of the server's own
 *   IOTBIZ_E2E_BOX     the address behind the QR code of `demo --lan`; without it its checks are left out
 *   IOTBIZ_E2E_FILE    run only the checks of this file, such as revenue
 *   IOTBIZ_E2E_ONLY    run only the checks whose name contains this text
 *
 * Ends with "N passed, N failed" and exit code 1 when any failed.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { openBrowser } from './browser.mjs';
import { send } from './mqtt.mjs';
import { checks as deviceChecks } from './device.mjs';
import { checks as connectChecks } from './connect.mjs';
import { checks as fleetChecks } from './fleet.mjs';
import { checks as mapChecks } from './map.mjs';
import { checks as perfChecks } from './perf.mjs';
import { checks as shellChecks } from './shell.mjs';
import { checks as doorChecks } from './door.mjs';
import { checks as boxChecks } from './box.mjs';
import { checks as linkChecks } from './link.mjs';
import { checks as identityChecks } from './identity.mjs';
import { checks as alarmChecks } from './alarms.mjs';
import { checks as revenueChecks } from './revenue.mjs';
import { checks as ventureChecks } from './venture.mjs';
import { checks as ideasChecks } from './ideas.mjs';
import { checks as claimsChecks } from './claims.mjs';
import { checks as changeChecks } from './change.mjs';
import { checks as formsChecks } from './forms.mjs';

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

async function startMock() {
  const [PORT, MQTT_PORT, MQTTS_PORT] = [await freePort(), await freePort(), await freePort()];
  const script = join(import.meta.dirname, '../dev/mock.mjs');
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, PORT, MQTT_PORT, MQTTS_PORT },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return { base: `http://127.0.0.1:${PORT}`, stop: () => child.kill() };
}

async function get(base, path) {
  const response = await fetch(base + path);
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

/** The device that speaks most often, with a number among its readings. */
async function liveDevice(base) {
  for (let tries = 0; tries < 40; tries += 1) {
    const { items } = await get(base, '/api/v1/devices?filter=status:live&limit=200');
    const speaking = items.filter((one) => Object.values(one.readings).some((reading) => typeof reading.value === 'number'));
    const kinds = [...new Map(speaking.reverse().map((one) => [one.kind, one])).values()];
    const details = await Promise.all(kinds.map((one) => get(base, `/api/v1/devices/${one.id}`)));
    const every_ms = (one) => Math.min(Infinity, ...Object.values(one.expected_every));
    const [found] = details.sort((a, b) => every_ms(a) - every_ms(b));
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('the server has no live device with a number among its readings');
}

/** Lets a device that is due once a minute or less speak every two seconds, as itself. */
async function keepSpeaking({ base, device, status }) {
  if (Math.min(...Object.values(device.expected_every)) <= 5000) return () => {};
  const made = await fetch(`${base}/api/v1/devices/${device.id}/credentials`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  const { id, username, token } = await made.json();
  if (!made.ok) throw new Error(`${device.name} got no token: ${made.status}`);
  const numbers = Object.entries(device.readings).filter(([one, { value }]) => typeof value === 'number' && one in device.expected_every);
  const [name, reading] = numbers.sort(([a], [b]) => device.expected_every[a] - device.expected_every[b])[0];
  const timer = setInterval(() => {
    const value = Math.round((reading.value + 0.4 * Math.sin(Date.now() / 7000)) * 100) / 100;
    send({ host: status.mqtt.host, port: status.mqtt.port, user: username, token, topic: 'me/telemetry', payload: JSON.stringify({ [name]: value }) }).catch((error) => console.log(`      not sent: ${error}`));
  }, 2000);
  // A device holds few tokens; a server that is tested often would run out of them.
  return async () => {
    clearInterval(timer);
    await fetch(`${base}/api/v1/devices/${device.id}/credentials/${id}`, { method: 'DELETE' });
  };
}

const given = process.env.IOTBIZ_E2E_URL?.replace(/\/$/, '');
const server = given ? { base: given, stop: () => {} } : await startMock();
const browser = await openBrowser(server.base, process.env.IOTBIZ_E2E_SHOTS);
const world = {
  browser,
  base: server.base,
  get: (path) => get(server.base, path),
  device: await liveDevice(server.base),
  status: await get(server.base, '/api/v1/status'),
};

const silence = await keepSpeaking(world);
const only = process.env.IOTBIZ_E2E_ONLY ?? '';
const file = process.env.IOTBIZ_E2E_FILE ?? '';
const files = {
  device: deviceChecks, connect: connectChecks, fleet: fleetChecks, map: mapChecks, shell: shellChecks, perf: perfChecks,
  door: doorChecks, box: boxChecks, link: linkChecks, identity: identityChecks, alarms: alarmChecks, revenue: revenueChecks,
  venture: ventureChecks, ideas: ideasChecks, claims: claimsChecks, change: changeChecks, forms: formsChecks,
};
const all = file === '' ? Object.values(files).flat() : files[file];
if (!all) throw new Error(`IOTBIZ_E2E_FILE=${file} is none of ${Object.keys(files).join(', ')}`);
let failed = 0;
let passed = 0;
for (const [name, check] of all.filter(([name]) => name.includes(only))) {
  const began = performance.now();
  try {
    const note = await check(world);
    passed += 1;
    const took = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`ok    ${name} (${took} s)${note ? `: ${note}` : ''}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error?.stack ?? error).split('\n').slice(0, 12).join('\n      ')}`);
    const page = browser.context.pages().at(-1);
    if (browser.shots && page) {
      const file = `failed-${name.replaceAll(/\W+/g, '-').slice(0, 60)}.png`;
      await page.screenshot({ path: join(browser.shots, file) }).catch(() => {});
    }
  }
  for (const page of browser.context.pages().slice(1)) await page.close();
}
await silence();
await browser.close();
server.stop();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
