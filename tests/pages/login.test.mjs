// The sign-in page.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { messages } from './messages.mjs';
import { PHONE, assertGuarded, openBrowser, callbackServer, checkPage, checkPageEverywhere, formatMessage, openPath, signIn, stopClock, waitForHeading } from './browser.mjs';
import { startCodeFlow } from './code_flow.mjs';
import { client, runCommand, issuer, member } from './community.mjs';

const strings = messages.login;

async function fill(page, name, password) {
  await page.getByLabel(strings.identifier).fill(name);
  await page.getByLabel(strings.password, { exact: true }).fill(password);
  await page.getByRole('button', { name: strings.submit }).click();
}

test('issue 8: signs in by handle or e-mail address, and redirects to the requested page', async (t) => {
  const frigg = member('Frigg');
  for (const name of [frigg.handle, `@${frigg.handle}`, frigg.email]) {
    const page = await openBrowser(t);
    await openPath(page, '/settings/security');
    await waitForHeading(page, strings.heading);
    await fill(page, name, frigg.password);
    await waitForHeading(page, messages.security.heading);
  }
});

test('issue 8: shows the error, and allows another attempt by keyboard', async (t) => {
  const frigg = member('Frigg');
  const page = await openBrowser(t, null, { viewport: PHONE, dark: true });
  await openPath(page, '/login');
  await waitForHeading(page, strings.heading);
  await page.keyboard.type(frigg.handle); // the first field has the focus
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText(strings.fieldMissing.title).waitFor();
  await page.getByLabel(strings.password, { exact: true }).focus();
  await page.keyboard.type('not the password');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText(strings.wrongPassword.title).waitFor();
  assert.ok(await page.getByRole('alert').evaluate((alert) => alert === document.activeElement));
  await checkPage(page, 'login-wrong-phone-dark');
  await page.getByLabel(strings.password, { exact: true }).fill(frigg.password);
  await page.keyboard.press('Enter');
  await waitForHeading(page, messages.index.heading);
});

test('A-58: redirects only to a path of this origin (open redirect)', async (t) => {
  const frigg = member('Frigg');
  const evil = ['https://evil.example/', '//evil.example', '/\\evil.example', '/\t/evil.example', 'javascript:alert(1)', '/.//evil.example'];
  const page = await openBrowser(t);
  for (const target of evil) {
    await openPath(page, `/login?return_url=${encodeURIComponent(target)}`);
    await fill(page, frigg.handle, frigg.password);
    await page.waitForURL((url) => url.pathname !== '/login');
    assert.equal(new URL(page.url()).origin, issuer, target);
  }
});

test('issue 8: shows a suspension, and the rate limit after too many attempts', async (t) => {
  const [loki, thor] = [member('Loki', { permissions: [] }), member('Thor', { permissions: [] })];
  runCommand('account', 'suspend', loki.handle);
  const page = await openBrowser(t);
  await openPath(page, '/login');
  await fill(page, loki.handle, loki.password);
  await page.getByRole('alert').getByText(strings.suspended.title).waitFor();
  for (let tries = 0; tries < 10; tries += 1) {
    const data = { identifier: thor.handle, token: 'wrong wrong' };
    await page.request.post(`${issuer}/api/auth/password/signin`, { data, headers: { origin: issuer } });
  }
  await fill(page, thor.handle, thor.password);
  await page.getByRole('alert').getByText(messages.failures.tooMany.title).waitFor();
  await page.getByRole('alert').getByText(/Wait \d+ minutes?/).waitFor();
});

test('issue 8: login_hint fills in the handle, the password can be shown, an unreachable server is reported', async (t) => {
  const page = await openBrowser(t);
  await openPath(page, '/login?login_hint=frigg%40example.com');
  await waitForHeading(page, strings.heading);
  assert.equal(await page.getByLabel(strings.identifier).inputValue(), 'frigg@example.com');
  const password = page.getByLabel(strings.password, { exact: true });
  await password.fill('secret secret');
  await page.getByLabel(strings.reveal).check();
  assert.equal(await password.getAttribute('type'), 'text');
  await page.context().setOffline(true);
  await page.getByRole('button', { name: strings.submit }).click();
  await page.getByRole('alert').getByText(messages.failures.offline.title).waitFor();
  await page.context().setOffline(false);
  await checkPage(page, 'login-offline-desktop-light');
});

/** The name of the button of an account. */
const continueAs = ({ name, handle }) => formatMessage(strings.continueAs, { account: `${name} @${handle}` });

test('issue 15: names the application that the member signs in for, and where its answer goes', async (t) => {
  const page = await openBrowser(t);
  const hostile = '<img src=x onerror=alert(1)> Bank';
  for (const [name, uri, target] of [
    ['Reading list', 'https://reading.example/callback', 'reading.example'],
    [hostile, 'http://127.0.0.1/callback', strings.program],
    ['Reader', 'com.example.reader:/callback', strings.app],
  ]) {
    const app = client({ name, redirects: [uri] });
    await page.goto((await startCodeFlow(app, uri)).url);
    await waitForHeading(page, strings.heading);
    await page.getByText(formatMessage(strings.client, { client: name, target })).waitFor();
    assert.equal(await page.locator('main img').count(), 0);
  }
  await checkPageEverywhere(page, 'login-for-application');
  await openPath(page, '/login?return_url=%2Foauth%2Fauthorize%2Fconsent%3Frequest_id%3Dunknown');
  await waitForHeading(page, strings.heading);
  assert.equal(await page.locator('#client').isVisible(), false);
});

test('issue 15: prompt=select_account offers the accounts of the browser, and signs another account in beside them', async (t) => {
  const [frigg, thor, sif, back] = [member('Frigg'), member('Thor'), member('Sif'), await callbackServer(t)];
  const app = client({ name: 'Reading list' });
  const page = await openBrowser(t, frigg, { viewport: PHONE });
  await signIn(page.context(), thor);
  const ask = async () => {
    const flow = await startCodeFlow(app, back.uri, { prompt: 'select_account' });
    await page.goto(flow.url);
    await page.getByRole('heading', { name: strings.choose }).waitFor();
    return flow.finish;
  };
  const allow = () => page.getByRole('button', { name: messages.consent.allow, exact: true }).click();
  const finish = await ask();
  await checkPageEverywhere(page, 'login-accounts');
  await page.getByRole('button', { name: continueAs(frigg) }).click();
  await page.getByText(`@${frigg.handle}`).waitFor();
  await allow();
  assert.equal((await finish(await back.next(page))).claims().sub, frigg.id);

  const another = await ask();
  await page.getByRole('button', { name: strings.otherAccount }).click();
  await fill(page, sif.handle, sif.password);
  await page.getByText(`@${sif.handle}`).waitFor();
  await allow();
  assert.equal((await another(await back.next(page))).claims().sub, sif.id);

  await ask();
  for (const account of [frigg, thor, sif]) await page.getByRole('button', { name: continueAs(account) }).waitFor();
  // the session ended meanwhile
  runCommand('account', 'suspend', thor.handle);
  await page.getByRole('button', { name: continueAs(thor) }).click();
  await page.getByRole('alert').getByText(strings.accountGone.title).waitFor();
  assert.equal(await page.getByLabel(strings.identifier).inputValue(), thor.handle);
  await checkPage(page, 'login-account-gone-phone-light');
});

test('issue 15, req_127: a click soon after the accounts were shown has no effect (double-clickjacking)', async (t) => {
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  await stopClock(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  await openPath(page, '/login?prompt=select_account&return_url=%2Fsettings%2Fsecurity');
  const button = page.getByRole('button', { name: continueAs(frigg) });
  await button.waitFor();
  await assertGuarded(page, button, async () => sent.length > 0);
  await button.click();
  await waitForHeading(page, messages.security.heading);
  assert.equal(sent.length, 1);
});

test('A-61: shows a message without JavaScript', async (t) => {
  const page = await openBrowser(t, null, { javaScriptEnabled: false });
  for (const path of ['/login', '/oauth/authorize/consent', '/oauth/consent', '/settings/clients', '/admin/oauth', '/']) {
    await openPath(page, path);
    // locators by text ignore <noscript>
    const message = page.locator('noscript p');
    await message.waitFor();
    assert.equal(await message.textContent(), messages.common.needsScript);
  }
});
