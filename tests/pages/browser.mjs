// A browser, and people in front of it. Whatever a page complains about fails the test: an error in the
// console, a violation of its policy, something that axe finds, a line that is wider than the screen.
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
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []; // Chromium has none for root
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args, timeout: 120_000 });
});

after(() => browser?.close());

/** A browser of their own for somebody, signed in when a member is given. What it complained about is
 *  looked at when the test is over. */
export async function browse(t, person, { viewport = DESKTOP, dark = false, ...options } = {}) {
  const colorScheme = dark ? 'dark' : 'light';
  const context = await browser.newContext({ viewport, colorScheme, locale: 'en-GB', ...options });
  context.setDefaultTimeout(120_000); // a busy machine is no failure
  const complaints = [];
  context.on('console', (message) => {
    if (message.type() === 'error' && !isRefusal(message)) complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, []);
  });
  if (person) await signIn(context, person);
  return context.newPage();
}

// The browser notes each answer that is no success; refusals are what many tests are about, and what is
// missing at an application is no fault of ours.
function isRefusal(message) {
  const [, reason] = /^Failed to load resource: (.*)/.exec(message.text()) ?? [];
  if (reason === undefined) return false;
  return !message.location().url.startsWith(issuer) || /status of 4\d\d|ERR_FAILED|ERR_INTERNET_DISCONNECTED/.test(reason);
}

/** Signs somebody in without the page. */
export async function signIn(context, { handle, password }) {
  const answer = await context.request.post(`${issuer}/api/auth/password/signin`, {
    data: { identifier: handle, token: password },
    headers: { origin: issuer },
  });
  assert.equal(answer.status(), 200, await answer.text());
}

/** Looks at a page: nothing for axe, no sideways scrolling, and a screenshot for people. */
export async function look(page, name) {
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

/** Looks at a page on a phone and on a desktop, light and dark. */
export async function lookAround(page, name) {
  const before = page.viewportSize();
  for (const [size, viewport] of [['phone', PHONE], ['desktop', DESKTOP]]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await look(page, `${name}-${size}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(before);
}

/** Opens a page of the server. */
export async function open(page, path) {
  await go(page, new URL(path, issuer).href);
}

/** Opens an address; also while the page is still on its way to another one, as after an answer that an
 *  application has and the browser has not shown yet. */
export async function go(page, url) {
  try {
    await page.goto(url);
  } catch (error) {
    if (!/interrupted by another navigation|ERR_ABORTED/.test(error.message)) throw error;
    await page.waitForLoadState();
    await page.goto(url);
  }
}

/** The heading of what a page shows. */
export function heading(page, name) {
  return page.getByRole('heading', { level: 1, name, exact: true });
}

/** Waits until a page shows this heading. */
export async function sees(page, name) {
  await heading(page, name).waitFor();
}

/** Waits until a button that is held back for a moment acts (web/guard.js). */
export async function ready(button) {
  await button.and(button.page().locator(':not([aria-disabled="true"], :disabled)')).waitFor();
}

/** A page of which the clock stands still until `page.clock.runFor` moves it. */
export async function stopClock(page) {
  const now = Date.now();
  await page.clock.install({ time: now });
  await page.clock.pauseAt(now + 1000);
}

/** Tries a button in every way while it is held back, and fails if it is not, or moves when it is ready.
 *  `moved` says whether something happened. */
export async function isHeldBack(page, button, moved) {
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
  // A press that begins early and ends late is none.
  await page.mouse.move(place.x + place.width / 2, place.y + place.height / 2);
  await page.mouse.down();
  await page.clock.runFor(499);
  assert.equal(await button.getAttribute('aria-disabled'), 'true');
  await page.clock.runFor(1);
  await ready(button);
  await page.mouse.up();
  await page.clock.runFor(1); // what the page does after a release
  assert.equal(await moved(), false);
  assert.deepEqual(await inPage(), before);
}

/** A text with its parts filled in, as the pages do it. */
export function said(text, parts = {}) {
  return text.replaceAll(/\{(\w+)\}/g, (_, name) => parts[name] ?? '');
}

/** Where an application of our own waits to be called back, on this computer. `next()` is the address
 *  of the next browser that comes, `publish` puts a document beside it. */
export async function callback(t) {
  const waiting = [];
  const came = [];
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
    else came.push(address);
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
    next: () => (came.length > 0 ? Promise.resolve(came.shift()) : new Promise((done) => waiting.push(done))),
    count: () => came.length,
  };
}
