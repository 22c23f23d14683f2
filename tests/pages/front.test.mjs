// The front page, sign-out, the callback of remote connections, and properties of all pages.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { messages } from './messages.mjs';
import { DESKTOP, PHONE, openBrowser, checkPage, openPath, formatMessage, waitForHeading } from './browser.mjs';
import { issuer, member } from './community.mjs';

test('issue 8: the front page describes the server and links to the pages of the member', async (t) => {
  const page = await openBrowser(t, null, { viewport: PHONE, dark: true });
  await openPath(page, '/');
  await waitForHeading(page, messages.index.heading);
  await page.getByText(issuer, { exact: true }).waitFor();
  await checkPage(page, 'front-phone-dark');
  assert.equal(await page.getByRole('link', { name: messages.index.admin }).count(), 0);

  const frigg = await openBrowser(t, member('Frigg'));
  await openPath(frigg, '/');
  await frigg.getByRole('link', { name: messages.index.security }).waitFor();
  assert.equal(await frigg.getByRole('link', { name: messages.index.admin }).count(), 0);
  await checkPage(frigg, 'front-member-desktop-light');
  await frigg.getByRole('button', { name: messages.index.signOut }).click();
  await frigg.getByText(messages.layout.signedOut.title).waitFor();
  await frigg.getByRole('link', { name: messages.index.signIn }).waitFor();

  const odin = await openBrowser(t, member('Odin', { admin: true }), { viewport: PHONE });
  await openPath(odin, '/');
  await odin.getByRole('link', { name: messages.index.admin }).click();
  await waitForHeading(odin, messages.admin.overview);
});

test('req_187: asks for confirmation of a sign-out that a client requested', async (t) => {
  const page = await openBrowser(t, member('Frigg'), { viewport: PHONE });
  await page.goto(`${issuer}/api/oauth/end_session`);
  await waitForHeading(page, formatMessage(messages.logout.heading, { host: new URL(issuer).host }));
  await checkPage(page, 'logout-phone-light');
  await page.getByRole('link', { name: messages.logout.stay }).click();
  await page.getByRole('link', { name: messages.index.security }).click();
  await waitForHeading(page, messages.security.heading);
  await page.goto(`${issuer}/api/oauth/end_session`);
  await page.getByRole('button', { name: messages.logout.signOut }).click();
  await waitForHeading(page, messages.layout.signedOut.title);
  await openPath(page, '/settings/security');
  await waitForHeading(page, messages.login.heading);
});

test('issue 8: the callback of a remote connection shows errors as text, never as markup', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }), { viewport: PHONE });
  await openPath(page, '/oauth/remote/callback');
  await waitForHeading(page, messages.remote.incomplete.title);
  await checkPage(page, 'remote-incomplete-phone-light');
  await openPath(page, '/oauth/remote/callback?error=access_denied&state=x');
  await waitForHeading(page, messages.remote.accessDenied.title);
  await openPath(page, '/oauth/remote/callback?error=server_error&error_description=%3Cimg%20src%3Dx%3E%E2%80%AEevil&state=x');
  await waitForHeading(page, messages.remote.refused.title);
  await page.getByText('Error of the service: <img src=x>evil').waitFor();
  assert.equal(new URL(page.url()).search, '');
  await openPath(page, '/oauth/remote/callback?code=nonsense&state=nonsense');
  await page.locator('h1:visible').waitFor();
  assert.notEqual(await page.locator('h1:visible').textContent(), messages.remote.connected.title);
  assert.equal(new URL(page.url()).search, '');
});

test('issue 8: the skip link passes the navigation, and every page has a title and a language', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }), { viewport: DESKTOP });
  for (const path of ['/settings/applications', '/settings/clients', '/settings/access-keys', '/settings/security', '/admin/oauth#keys']) {
    await openPath(page, path);
    await page.locator('#view h1').waitFor();
    const address = page.url();
    assert.equal(await page.title(), await page.locator('#view h1').textContent());
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), messages.common.skip);
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    assert.equal(page.url(), address); // the skip link does not change the view
  }
});

test('req_118: pages load nothing from other origins', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }));
  const foreign = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== issuer) foreign.push(url.href);
  });
  for (const path of ['/', '/login', '/logout', '/oauth/consent', '/settings/clients#new', '/admin/oauth', '/oauth/remote/callback']) {
    await openPath(page, path);
    await page.locator('h1:visible').first().waitFor();
  }
  assert.deepEqual(foreign, []);
});
