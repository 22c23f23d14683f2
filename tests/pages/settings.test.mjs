// A member's own pages: what they allowed, their keys, their sessions and password.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { texts } from '../../web/texts.js';
import { PHONE, browse, look, open, said, sees, signIn } from './browser.mjs';
import { client, deviceClient, issuer, member, poll, refresh, startDevice } from './community.mjs';

/** Lets an application in by the device flow, without a page. */
async function authorize(context, app) {
  const device = await startDevice(app);
  const path = `${issuer}/api/oauth/device/consent`;
  await context.request.get(`${path}?user_code=${device.user_code}`);
  const data = { user_code: device.user_code, decision: 'approve' };
  const decided = await context.request.post(path, { data, headers: { origin: issuer } });
  assert.equal(decided.status(), 200);
  const { status, body } = await poll(app, device);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

test('issue 8: applications: nothing, two, one revoked, all revoked', async (t) => {
  const words = texts.applications;
  const page = await browse(t, member('Frigg'));
  await open(page, '/settings/applications');
  await page.getByText(words.empty.title).waitFor();
  await look(page, 'applications-empty-desktop-light');

  const [television, radio] = [deviceClient(), deviceClient({ name: 'Radio' })];
  const [first, second] = [await authorize(page.context(), television), await authorize(page.context(), radio)];
  await page.reload();
  await page.getByRole('heading', { name: 'Television' }).waitFor();
  await page.getByRole('heading', { name: 'Radio' }).waitFor();
  await page.setViewportSize(PHONE);
  await page.locator('summary').first().click();
  await look(page, 'applications-phone-light');
  await page.getByRole('button', { name: said(words.revokeNamed, { name: 'Radio' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: texts.common.cancel }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal((await refresh(radio, second)).status, 200);
  await page.getByRole('button', { name: said(words.revokeNamed, { name: 'Radio' }) }).click();
  await look(page, 'applications-revoke-phone-light');
  await page.getByRole('dialog').getByRole('button', { name: words.revoke }).click();
  await page.getByText(said(words.revoked.title, { name: 'Radio' })).waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Radio' }).count(), 0);
  assert.equal((await refresh(radio, second)).status, 400);

  await page.getByRole('button', { name: words.revokeAll }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.revokeAll }).click();
  await page.getByText(words.revokedAll.title).waitFor();
  await page.getByText(words.empty.title).waitFor();
  assert.equal((await refresh(television, first)).status, 400);
});

test('issue 8: access keys: one is made, seen once, used, deleted; who may have none is told', async (t) => {
  const words = texts.accessKeys;
  const page = await browse(t, member('Frigg'), { viewport: PHONE, dark: true });
  await open(page, '/settings/access-keys');
  await page.getByText(words.empty.title).waitFor();
  await page.getByRole('button', { name: words.submit }).click();
  await page.getByRole('alert').getByText(words.nameless.title).waitFor();
  await page.getByLabel(words.name, { exact: true }).fill('Backup script');
  await page.getByLabel(words.expires).selectOption('7');
  await page.getByRole('button', { name: words.submit }).click();
  await sees(page, said(words.created.title, { name: 'Backup script' }));
  const key = await page.locator('.value code').textContent();
  await look(page, 'access-key-made-phone-dark');
  const use = () => fetch(`${issuer}/api/auth/access-keys`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await use()).status, 200);
  await page.getByRole('button', { name: words.done }).click();
  await sees(page, words.heading);
  await page.getByRole('heading', { name: 'Backup script', exact: true }).waitFor();
  assert.equal(await page.getByText(key).count(), 0);
  await look(page, 'access-keys-phone-dark');
  await page.getByRole('button', { name: said(words.removeNamed, { name: 'Backup script' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.remove }).click();
  await page.getByText(said(words.removed.title, { name: 'Backup script' })).waitFor();
  assert.equal((await use()).status, 401);

  const lokis = await browse(t, member('Loki', { permissions: [] }));
  await open(lokis, '/settings/access-keys');
  await lokis.getByText(words.notAllowed.title).waitFor();
  await look(lokis, 'access-keys-not-allowed-desktop-light');
});

test('issue 8: security: another session is ended, the password is changed, and everything is ended', async (t) => {
  const words = texts.security;
  const frigg = member('Frigg');
  const page = await browse(t, frigg);
  const phone = await browse(t, frigg);
  await open(page, '/settings/security');
  await sees(page, words.heading);
  await look(page, 'security-desktop-light');
  await page.getByRole('listitem').filter({ hasText: words.other }).getByRole('button').click();
  await page.getByRole('dialog').getByRole('button', { name: words.signOut }).click();
  await page.getByText(words.signedOut.title).waitFor();
  await open(phone, '/settings/security');
  await sees(phone, texts.login.heading);
  await signIn(phone.context(), frigg);

  const change = async (current, next, again = next) => {
    await page.getByLabel(words.currentPassword).fill(current);
    await page.getByLabel(words.newPassword, { exact: true }).fill(next);
    await page.getByLabel(words.repeat).fill(again);
    await page.getByRole('button', { name: words.change }).click();
  };
  const alert = (text) => page.getByRole('alert').getByText(text).waitFor();
  await change('wrong wrong', 'a better password');
  await alert(words.wrong.title);
  await change(frigg.password, 'short');
  await alert(words.short.title);
  await change(frigg.password, 'a better password', 'another password');
  await alert(words.different.title);
  await page.setViewportSize(PHONE);
  await page.emulateMedia({ colorScheme: 'dark' });
  await look(page, 'security-different-phone-dark');
  await change(frigg.password, 'a better password');
  await alert(words.changed.title);
  await open(phone, '/settings/security');
  await sees(phone, texts.login.heading);
  await signIn(phone.context(), { ...frigg, password: 'a better password' });

  await page.getByRole('button', { name: words.everywhere }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.everywhere }).click();
  await sees(page, words.everywhereDone.title);
  await open(phone, '/settings/security');
  await sees(phone, texts.login.heading);
});

test('issue 13: security: keys and secrets are ended where asked, and the page says what is left', async (t) => {
  const words = texts.security;
  const frigg = member('Frigg');
  client({ name: 'Robot', type: 'confidential', redirects: [], grants: ['client_credentials'], more: ['--owner', frigg.handle] });
  const page = await browse(t, frigg);
  const key = await page.context().request.post(`${issuer}/api/auth/access-keys`, { data: { name: 'script' }, headers: { origin: issuer } });
  const { secret } = await key.json();
  const use = async () => (await fetch(`${issuer}/api/auth/access-keys`, { headers: { authorization: `Bearer ${secret}` } })).status;
  const one = { count: '1' };
  const [keys, secrets] = [said(words.accessKeys.one, one), said(words.clientSecrets.one, one)];
  const box = (forms) => page.getByLabel(said(forms.one, one));
  await open(page, '/settings/security');
  await sees(page, words.heading);
  assert.equal(await box(words.endAccessKeys).isChecked(), true);
  await box(words.endClientSecrets).uncheck();
  await look(page, 'security-keys-desktop-light');
  await page.getByLabel(words.currentPassword).fill(frigg.password);
  await page.getByLabel(words.newPassword, { exact: true }).fill('a better password');
  await page.getByLabel(words.repeat).fill('a better password');
  assert.equal(await use(), 200);
  await page.getByRole('button', { name: words.change }).click();
  const alert = page.getByRole('alert');
  await alert.getByText(words.changed.title).waitFor();
  const text = await alert.textContent();
  assert.ok(text.includes(said(words.alsoEnded, { what: keys })), text);
  assert.ok(text.includes(said(words.left, { what: secrets })), text);
  assert.equal(await use(), 401);
  assert.equal(await box(words.endAccessKeys).count(), 0);

  await page.setViewportSize(PHONE);
  await page.getByRole('button', { name: words.everywhere }).click();
  const dialog = page.getByRole('dialog');
  const also = dialog.getByLabel(said(words.endClientSecrets.one, one));
  assert.equal(await also.isChecked(), false);
  await also.check();
  await look(page, 'security-everywhere-phone-light');
  await dialog.getByRole('button', { name: words.everywhere }).click();
  await sees(page, words.everywhereDone.title);
  await page.getByText(said(words.alsoEnded, { what: secrets })).waitFor();
  await page.getByText(words.nothingLeft).waitFor();
});

test('issue 8: a page whose API fails says so, and goes on when it works again', async (t) => {
  const page = await browse(t, member('Frigg'));
  for (const path of ['/settings/applications', '/settings/clients', '/settings/access-keys', '/settings/security', '/admin/oauth']) {
    await page.route('**/api/**', (route) => route.abort());
    await open(page, path);
    await sees(page, texts.failures.offline.title);
    await page.unroute('**/api/**');
    await page.getByRole('button', { name: texts.common.tryAgain }).click();
    await page.locator('#view h1').waitFor();
  }
});
