/** The browser under test, and what is checked on every page whatever the test is about. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
export const step_ms_max = 15_000;

export async function openBrowser(base, shots) {
  const profile = mkdtempSync(join(tmpdir(), 'iotbiz-e2e-'));
  if (shots) mkdirSync(shots, { recursive: true });
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.IOTBIZ_E2E_CHROMIUM ?? '/usr/bin/chromium',
    // A page that does not come from the server itself may else not open a socket to this machine.
    args: process.env.IOTBIZ_E2E_CONSOLE ? [...flags, '--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets'] : flags,
    viewport: { width: 1440, height: 1080 },
    colorScheme: 'light',
    baseURL: base,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  context.setDefaultTimeout(step_ms_max);
  const folder = process.env.IOTBIZ_E2E_CONSOLE;
  if (folder) await serveConsole(context, base, folder);
  const foreign = new Set();
  const origin = new URL(base).host;
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && url.host !== origin) foreign.add(url.host);
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, foreign, close, shots, base };
}

/** Serves the console from a folder instead of the server, which may embed an older one. */
async function serveConsole(context, base, folder) {
  const own = (url) => url.origin === new URL(base).origin && !/^\/(api|box|ingest|schemas|healthz|readyz|metrics|mqtt)\b/.test(url.pathname);
  await context.route(own, (route) => {
    const file = join(folder, new URL(route.request().url()).pathname);
    return route.fulfill({ path: /\.\w+$/.test(file) && existsSync(file) ? file : join(folder, 'index.html') });
  });
}

/** A page that remembers its script errors. `expected` are those the test provokes. */
export async function openPage(browser, path, { width = 1440, height = 1080, dark = false } = {}) {
  const page = await browser.context.newPage();
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(String(error)));
  page.on('console', (line) => {
    // A refused request is logged by the browser itself; the tests that provoke one look at the page.
    if (line.type() === 'error' && !line.text().includes('Failed to load resource')) {
      if (!line.text().includes('WebSocket connection')) page.errors.push(line.text());
    }
  });
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
  if (path) await page.goto(path);
  return page;
}

export async function shot(browser, page, name, fullPage = true) {
  if (!browser.shots) return;
  await page.screenshot({ path: join(browser.shots, `${name}.png`), fullPage });
}

/** All axe rules of WCAG 2.2 A and AA and the best practices; violations as text. */
export async function axe(page) {
  await page.evaluate(axeSource);
  // What lies behind a bar that stays in view is scrolled out from under it: that is no small target.
  const stay = (how) => page.evaluate((position) => document.querySelectorAll('.sections').forEach((one) => (one.style.position = position)), how);
  await stay('static');
  const result = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      rules: { 'target-size': { enabled: true } },
    }),
  );
  await stay('');
  return result.violations.map(
    (one) => `${one.id}: ${one.help} (${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary ?? ''}`.replaceAll(/\s+/g, ' ')).join(' | ')})`,
  );
}

/** How far the page is wider than the screen, in px, and what sticks out. */
export function overflow(page) {
  return page.evaluate(() => {
    const wide = document.documentElement.scrollWidth - innerWidth;
    if (wide <= 0) return '';
    const out = [...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
    return `${wide} px: ${out.slice(0, 3).map((one) => one.outerHTML.slice(0, 80)).join(' | ')}`;
  });
}
