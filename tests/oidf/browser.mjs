// A person with Chromium: signs in, approves or denies, and confirms a sign-out on the built-in pages.
import { chromium } from 'playwright-core';

import { pause } from './suite.mjs';

const issuer = process.env.OIDF_ISSUER;
const STEP = 60_000; // milliseconds without a change, after which a page is final

let browser;

export async function startBrowser() {
  const args = ['--disable-gpu', '--renderer-process-limit=2'];
  if (process.getuid?.() === 0) args.push('--no-sandbox'); // Chromium has no sandbox for root
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args, timeout: 120_000 });
}

export const stopBrowser = () => browser?.close();

/** The browser of a plan: one page, whose cache is kept for all modules. */
export async function newPage() {
  const viewport = { width: 1000, height: 900 };
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-GB', viewport });
  context.setDefaultTimeout(120_000); // tolerate a busy machine
  return context.newPage();
}

/** Forgets the cookies, and leaves the last page of a module. */
export async function reset(page) {
  await page.goto('about:blank');
  await page.context().clearCookies();
}

/** Recognizes the page that is shown: the name of the next action, `loading`, or `final`. */
async function pageState(page) {
  const url = new URL(page.url());
  if (url.protocol === 'about:') return 'loading';
  if (url.origin !== issuer) return 'elsewhere';
  return page.evaluate(() => {
    const isShown = (id) => document.getElementById(id)?.checkVisibility() === true;
    const isReady = (id) => isShown(id) && !document.getElementById(id).matches(':disabled, [aria-disabled="true"]');
    if (document.readyState !== 'complete' || isShown('loading')) return 'loading';
    if (location.pathname === '/login' && isShown('other') && !isShown('identifier')) return 'choose';
    if (location.pathname === '/login' && isReady('submit')) return 'sign-in';
    if (location.pathname === '/oauth/authorize/consent' && isReady('allow')) return 'consent';
    if (location.pathname === '/oauth/authorize/consent' && isReady('allow-privileged')) return 'confirm';
    if (location.pathname === '/logout' && isReady('sign-out')) return 'sign-out';
    return document.querySelector('[data-guarded]')?.checkVisibility() ? 'loading' : 'final';
  });
}

/** What a person does on each page; false: the person only looks. */
const actions = {
  choose: (page) => page.locator('#other').click(),
  'sign-in': async (page, { member }) => {
    await page.locator('#identifier').fill(member.handle);
    await page.locator('#password').fill(member.password);
    await page.locator('#submit').click();
  },
  consent: (page, { decision }) => page.locator(decision === 'deny' ? '#deny' : '#allow').click(),
  confirm: (page) => page.locator('#allow-privileged').click(),
  'sign-out': (page) => page.locator('#sign-out').click(),
};

async function open(page, { url, method }) {
  if (method !== 'POST') {
    await page.goto(url, { waitUntil: 'commit' });
    return;
  }
  const form = new URL(url);
  const fields = [...form.searchParams];
  form.search = '';
  await page.evaluate(([action, values]) => {
    const element = Object.assign(document.createElement('form'), { method: 'post', action });
    for (const [name, value] of values) element.append(Object.assign(document.createElement('input'), { name, value }));
    document.body.append(element);
    element.submit();
  }, [form.href, fields]);
}

/** Opens an address and acts on each page, until a page of the suite or a page without an action. Returns whether
 *  the browser arrived at the suite and, with `pictures`, screenshots of the first and the last page of the server. */
export async function visit(page, address, person) {
  const shots = {};
  const look = async () => {
    if (!person.pictures) return;
    shots.last = await page.screenshot();
    shots.first ??= shots.last;
  };
  await open(page, address);
  let [last, since, finalFor] = ['', Date.now(), 0];
  for (;;) {
    const state = await pageState(page).catch(() => 'loading'); // the page navigates
    if (state === 'elsewhere') {
      await page.waitForLoadState().catch(() => {});
      return { ...shots, arrived: true };
    }
    const step = `${state} ${page.url()}`;
    if (actions[state] && step !== last) {
      [last, since, finalFor] = [step, Date.now(), 0];
      await look();
      if (person.decision === 'look') return { ...shots, arrived: false };
      await actions[state](page, person).catch(() => {}); // the page navigated
      continue;
    }
    // A page that redirects by a script looks final for a moment.
    finalFor = state === 'final' ? finalFor + 1 : 0;
    if (finalFor >= 10 || Date.now() - since > STEP) {
      await look();
      return { ...shots, arrived: false };
    }
    await pause(150);
  }
}
