// Browser helpers. A test fails on an error in the console, a violation of the Content Security Policy, a finding
// of axe, or horizontal overflow.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { issuer } from './community.mjs';

export const PHONE = { width: 360, height: 740 };
export const DESKTOP = { width: 1280, height: 900 };

const SCREENSHOTS = fileURLToPath(new URL('screenshots/', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser;

before(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []; // Chromium has no sandbox for root
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args, timeout: 120_000 });
});

after(() => browser?.close());

/** Opens a browser context and a page, signed in if a member is given. Console errors fail the test at its end. */
export async function openBrowser(t, person, { viewport = DESKTOP, dark = false, ...options } = {}) {
  const colorScheme = dark ? 'dark' : 'light';
  const context = await browser.newContext({ viewport, colorScheme, locale: 'en-GB', ...options });
  context.setDefaultTimeout(120_000); // tolerate a busy machine
  const errors = [];
  context.on('console', (message) => {
    if (message.type() === 'error' && !isExpectedError(message)) errors.push(message.text());
  });
  context.on('weberror', (error) => errors.push(String(error.error())));
  t.after(async () => {
    await context.close();
    assert.deepEqual(errors, []);
  });
  if (person) await signIn(context, person);
  return context.newPage();
}

// The browser logs every failed response. Error responses are expected in many tests, and so are missing files of
// a client's server.
function isExpectedError(message) {
  const [, reason] = /^Failed to load resource: (.*)/.exec(message.text()) ?? [];
  if (reason === undefined) return false;
  return !message.location().url.startsWith(issuer) || /status of 4\d\d|ERR_FAILED|ERR_INTERNET_DISCONNECTED/.test(reason);
}

/** Signs a member in through the API. */
export async function signIn(context, { handle, password }) {
  const answer = await context.request.post(`${issuer}/api/auth/password/signin`, {
    data: { identifier: handle, token: password },
    headers: { origin: issuer },
  });
  assert.equal(answer.status(), 200, await answer.text());
}

/** Checks a page: no finding of axe, no horizontal scrolling; takes a screenshot. */
export async function checkPage(page, name) {
  await page.waitForFunction(() => !document.querySelector('[role=status]#loading:not([hidden])'));
  const { scrollWidth, width } = await page.evaluate(() => ({
    scrollWidth: document.documentElement.scrollWidth,
    width: document.documentElement.clientWidth,
  }));
  await page.screenshot({ path: `${SCREENSHOTS}${name}.png`, fullPage: true });
  assert.ok(scrollWidth <= width, `${name} scrolls sideways: ${scrollWidth} > ${width}`);
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`));
  });
  assert.deepEqual(violations, [], name);
}

/** Checks a page at phone and desktop size, light and dark. */
export async function checkPageEverywhere(page, name) {
  const before = page.viewportSize();
  for (const [size, viewport] of [['phone', PHONE], ['desktop', DESKTOP]]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await checkPage(page, `${name}-${size}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(before);
}

/** Opens a path of the server. */
export async function openPath(page, path) {
  await openUrl(page, new URL(path, issuer).href);
}

/** Opens an address, also while another navigation is in progress. */
export async function openUrl(page, url) {
  try {
    await page.goto(url);
  } catch (error) {
    if (!/interrupted by another navigation|ERR_ABORTED/.test(error.message)) throw error;
    await page.waitForLoadState();
    await page.goto(url);
  }
}

/** Returns the locator of a heading of level 1. */
export function heading(page, name) {
  return page.getByRole('heading', { level: 1, name, exact: true });
}

/** Waits until a page shows a heading. */
export async function waitForHeading(page, name) {
  await heading(page, name).waitFor();
}

/** Waits until the clickjacking guard enables a button (web/guard.js). */
export async function waitUntilEnabled(button) {
  await button.and(button.page().locator(':not([aria-disabled="true"], :disabled)')).waitFor();
}

/** Stops the clock of a page; `page.clock.runFor` moves it. */
export async function stopClock(page) {
  const now = Date.now();
  await page.clock.install({ time: now });
  await page.clock.pauseAt(now + 1000);
}

/** Asserts that a guarded button ignores clicks and keys, and that it does not move when it is enabled. `acted`
 *  returns true if the button had an effect. */
export async function assertGuarded(page, button, acted) {
  assert.equal(await button.getAttribute('aria-disabled'), 'true');
  const inPage = () => button.evaluate((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return { left: left + scrollX, top: top + scrollY, width, height };
  });
  await button.scrollIntoViewIfNeeded();
  const before = await inPage();
  const place = await button.boundingBox();
  await button.click({ force: true });
  for (const key of ['Enter', ' ']) {
    await button.focus();
    await page.keyboard.press(key);
  }
  // A press that begins before the button is enabled has no effect.
  await page.mouse.move(place.x + place.width / 2, place.y + place.height / 2);
  await page.mouse.down();
  await page.clock.runFor(499);
  assert.equal(await button.getAttribute('aria-disabled'), 'true');
  await page.clock.runFor(1);
  await waitUntilEnabled(button);
  await page.mouse.up();
  await page.clock.runFor(1); // let the page handle the release
  assert.equal(await acted(), false);
  assert.deepEqual(await inPage(), before);
}

/** Inserts values into a message, like `formatText` of web/i18n.js. */
export function formatMessage(text, parts = {}) {
  return text.replaceAll(/\{(\w+)\}/g, (_, name) => parts[name] ?? '');
}

/** Starts the HTTP server of a client on a loopback address. `next(page)` resolves to the address of the next
 *  redirect, once the page shows it: earlier, the next navigation of the page would interrupt the redirect. `publish`
 *  serves a client metadata document. */
export async function callbackServer(t) {
  const waiting = [];
  const received = [];
  const documents = new Map();
  const server = createServer((request, response) => {
    if (documents.has(request.url)) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(documents.get(request.url)));
      return;
    }
    if (!request.url.startsWith('/callback')) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><html lang="en"><title>Back</title><link rel="icon" href="data:,"><h1>Back at the application</h1>');
    const address = new URL(request.url, `http://${request.headers.host}`);
    const waiter = waiting.shift();
    if (waiter) waiter(address);
    else received.push(address);
  });
  await new Promise((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    uri: `${origin}/callback`,
    publish: (path, document) => {
      documents.set(path, { client_id: `${origin}${path}`, ...document });
      return `${origin}${path}`;
    },
    next: async (page) => {
      const address = received.shift() ?? (await new Promise((done) => waiting.push(done)));
      await page.waitForURL((url) => url.href === address.href);
      return address;
    },
    count: () => received.length,
  };
}
