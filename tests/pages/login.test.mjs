// The sign-in page.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { texts } from '../../web/texts.js';
import { PHONE, browse, look, open, sees } from './browser.mjs';
import { auth, issuer, member } from './community.mjs';

const words = texts.login;

async function fill(page, name, password) {
  await page.getByLabel(words.identifier).fill(name);
  await page.getByLabel(words.password, { exact: true }).fill(password);
  await page.getByRole('button', { name: words.submit }).click();
}

test('issue 8: signs in by handle or e-mail address, and goes back to where the person was going', async (t) => {
  const frigg = member('Frigg');
  for (const name of [frigg.handle, `@${frigg.handle}`, frigg.email]) {
    const page = await browse(t);
    await open(page, '/settings/security');
    await sees(page, words.heading);
    await fill(page, name, frigg.password);
    await sees(page, texts.security.heading);
  }
});

test('issue 8: says what was wrong, and lets the person try again by keyboard alone', async (t) => {
  const frigg = member('Frigg');
  const page = await browse(t, null, { viewport: PHONE, dark: true });
  await open(page, '/login');
  await sees(page, words.heading);
  await page.keyboard.type(frigg.handle); // the first field has the focus
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText(words.empty.title).waitFor();
  await page.getByLabel(words.password, { exact: true }).focus();
  await page.keyboard.type('not the password');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText(words.wrong.title).waitFor();
  assert.ok(await page.getByRole('alert').evaluate((alert) => alert === document.activeElement));
  await look(page, 'login-wrong-phone-dark');
  await page.getByLabel(words.password, { exact: true }).fill(frigg.password);
  await page.keyboard.press('Enter');
  await sees(page, texts.index.heading);
});

test('A-58: goes back to a path of this origin and to nothing else', async (t) => {
  const frigg = member('Frigg');
  const evil = ['https://evil.example/', '//evil.example', '/\\evil.example', '/\t/evil.example', 'javascript:alert(1)', '/.//evil.example'];
  const page = await browse(t);
  for (const target of evil) {
    await open(page, `/login?return_url=${encodeURIComponent(target)}`);
    await fill(page, frigg.handle, frigg.password);
    await page.waitForURL((url) => url.pathname !== '/login');
    assert.equal(new URL(page.url()).origin, issuer, target);
  }
});

test('issue 8: tells a suspended member, and who tried too often', async (t) => {
  const [loki, thor] = [member('Loki', { permissions: [] }), member('Thor', { permissions: [] })];
  auth('account', 'suspend', loki.handle);
  const page = await browse(t);
  await open(page, '/login');
  await fill(page, loki.handle, loki.password);
  await page.getByRole('alert').getByText(words.suspended.title).waitFor();
  for (let tries = 0; tries < 10; tries += 1) {
    const data = { identifier: thor.handle, token: 'wrong wrong' };
    await page.request.post(`${issuer}/api/auth/password/signin`, { data, headers: { origin: issuer } });
  }
  await fill(page, thor.handle, thor.password);
  await page.getByRole('alert').getByText(texts.failures.tooMany.title).waitFor();
  await page.getByRole('alert').getByText(/Wait \d+ minutes?/).waitFor();
});

test('issue 8: an application may propose who signs in, a password can be shown, an absent server is told', async (t) => {
  const page = await browse(t);
  await open(page, '/login?login_hint=frigg%40example.com');
  await sees(page, words.heading);
  assert.equal(await page.getByLabel(words.identifier).inputValue(), 'frigg@example.com');
  const password = page.getByLabel(words.password, { exact: true });
  await password.fill('secret secret');
  await page.getByLabel(words.reveal).check();
  assert.equal(await password.getAttribute('type'), 'text');
  await page.context().setOffline(true);
  await page.getByRole('button', { name: words.submit }).click();
  await page.getByRole('alert').getByText(texts.failures.offline.title).waitFor();
  await page.context().setOffline(false);
  await look(page, 'login-offline-desktop-light');
});

test('A-61: says so without JavaScript', async (t) => {
  const page = await browse(t, null, { javaScriptEnabled: false });
  for (const path of ['/login', '/oauth/authorize/consent', '/oauth/consent', '/settings/clients', '/admin/oauth', '/']) {
    await open(page, path);
    // locators by text pass <noscript> over
    const message = page.locator('noscript p');
    await message.waitFor();
    assert.equal(await message.textContent(), texts.common.needsScript);
  }
});
