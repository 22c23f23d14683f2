// The front page, signing out, the way back from a service, and what holds for every page.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { texts } from '../../web/texts.js';
import { DESKTOP, PHONE, browse, look, open, said, sees } from './browser.mjs';
import { issuer, member } from './community.mjs';

test('issue 8: the front page: what this is, and a person\'s own pages', async (t) => {
  const page = await browse(t, null, { viewport: PHONE, dark: true });
  await open(page, '/');
  await sees(page, texts.index.heading);
  await page.getByText(issuer, { exact: true }).waitFor();
  await look(page, 'front-phone-dark');
  assert.equal(await page.getByRole('link', { name: texts.index.admin }).count(), 0);

  const frigg = await browse(t, member('Frigg'));
  await open(frigg, '/');
  await frigg.getByRole('link', { name: texts.index.security }).waitFor();
  assert.equal(await frigg.getByRole('link', { name: texts.index.admin }).count(), 0);
  await look(frigg, 'front-member-desktop-light');
  await frigg.getByRole('button', { name: texts.index.signOut }).click();
  await frigg.getByText(texts.frame.signedOut.title).waitFor();
  await frigg.getByRole('link', { name: texts.index.signIn }).waitFor();

  const odin = await browse(t, member('Odin', { admin: true }), { viewport: PHONE });
  await open(odin, '/');
  await odin.getByRole('link', { name: texts.index.admin }).click();
  await sees(odin, texts.admin.clients);
});

test('req_187: asks before it signs out somebody whom an application sent', async (t) => {
  const page = await browse(t, member('Frigg'), { viewport: PHONE });
  await page.goto(`${issuer}/api/oauth/end_session`);
  await sees(page, said(texts.logout.heading, { host: new URL(issuer).host }));
  await look(page, 'logout-phone-light');
  await page.getByRole('link', { name: texts.logout.stay }).click();
  await page.getByRole('link', { name: texts.index.security }).click();
  await sees(page, texts.security.heading);
  await page.goto(`${issuer}/api/oauth/end_session`);
  await page.getByRole('button', { name: texts.logout.signOut }).click();
  await sees(page, texts.frame.signedOut.title);
  await open(page, '/settings/security');
  await sees(page, texts.login.heading);
});

test('issue 8: the way back from a service says what happened, in words and never as markup', async (t) => {
  const page = await browse(t, member('Odin', { admin: true }), { viewport: PHONE });
  await open(page, '/oauth/remote/callback');
  await sees(page, texts.remote.incomplete.title);
  await look(page, 'remote-incomplete-phone-light');
  await open(page, '/oauth/remote/callback?error=access_denied&state=x');
  await sees(page, texts.remote.refusedBy.title);
  await open(page, '/oauth/remote/callback?error=server_error&error_description=%3Cimg%20src%3Dx%3E%E2%80%AEevil&state=x');
  await sees(page, texts.remote.refused.title);
  await page.getByText('It said: <img src=x>evil').waitFor();
  assert.equal(new URL(page.url()).search, '');
  await open(page, '/oauth/remote/callback?code=nonsense&state=nonsense');
  await page.locator('h1:visible').waitFor();
  assert.notEqual(await page.locator('h1:visible').textContent(), texts.remote.connected.title);
  assert.equal(new URL(page.url()).search, '');
});

test('issue 8: a keyboard gets past the navigation, and every page has a title and a language', async (t) => {
  const page = await browse(t, member('Odin', { admin: true }), { viewport: DESKTOP });
  for (const path of ['/settings/applications', '/settings/clients', '/settings/access-keys', '/settings/security', '/admin/oauth#keys']) {
    await open(page, path);
    await page.locator('#view h1').waitFor();
    const address = page.url();
    assert.equal(await page.title(), await page.locator('#view h1').textContent());
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), texts.common.skip);
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    assert.equal(page.url(), address); // it is no view of its own
  }
});

test('req_118: nothing is loaded from elsewhere', async (t) => {
  const page = await browse(t, member('Odin', { admin: true }));
  const foreign = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== issuer) foreign.push(url.href);
  });
  for (const path of ['/', '/login', '/logout', '/oauth/consent', '/settings/clients#new', '/admin/oauth', '/oauth/remote/callback']) {
    await open(page, path);
    await page.locator('h1:visible').first().waitFor();
  }
  assert.deepEqual(foreign, []);
});
