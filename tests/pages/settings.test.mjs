// The settings pages: applications, access keys, sessions and password.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { messages } from './messages.mjs';
import { PHONE, openBrowser, callbackServer, checkPage, openPath, formatMessage, waitForHeading, signIn } from './browser.mjs';
import { startCodeFlow } from './code_flow.mjs';
import { client, deviceClient, issuer, member, poll, refresh, startDevice } from './community.mjs';

/** Approves a client by the device flow through the API. */
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

test('issue 8: applications: an empty list, two entries, one revoked, all revoked', async (t) => {
  const words = messages.applications;
  const page = await openBrowser(t, member('Frigg'));
  await openPath(page, '/settings/applications');
  await page.getByText(words.empty.title).waitFor();
  await checkPage(page, 'applications-empty-desktop-light');

  const [television, radio] = [deviceClient(), deviceClient({ name: 'Radio' })];
  const [first, second] = [await authorize(page.context(), television), await authorize(page.context(), radio)];
  await page.reload();
  await page.getByRole('heading', { name: 'Television' }).waitFor();
  await page.getByRole('heading', { name: 'Radio' }).waitFor();
  await page.setViewportSize(PHONE);
  await page.locator('summary').first().click();
  await checkPage(page, 'applications-phone-light');
  await page.getByRole('button', { name: formatMessage(words.revokeNamed, { name: 'Radio' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: messages.common.cancel }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal((await refresh(radio, second)).status, 200);
  await page.getByRole('button', { name: formatMessage(words.revokeNamed, { name: 'Radio' }) }).click();
  await checkPage(page, 'applications-revoke-phone-light');
  await page.getByRole('dialog').getByRole('button', { name: words.revoke }).click();
  await page.getByText(formatMessage(words.revoked.title, { name: 'Radio' })).waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Radio' }).count(), 0);
  assert.equal((await refresh(radio, second)).status, 400);

  await page.getByRole('button', { name: words.revokeAll }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.revokeAll }).click();
  await page.getByText(words.revokedAll.title).waitFor();
  await page.getByText(words.empty.title).waitFor();
  assert.equal((await refresh(television, first)).status, 400);
});

test('issue 15: applications: a remembered approval is shown and ended, and the access stays', async (t) => {
  const words = messages.applications;
  const back = await callbackServer(t);
  const app = client({ name: 'Recipes', type: 'confidential' });
  const page = await openBrowser(t, member('Frigg'));
  const approve = async () => {
    const { url, finish } = await startCodeFlow(app, back.uri);
    await page.goto(url);
    await page.getByRole('button', { name: messages.consent.allow, exact: true }).click();
    return finish(await back.next(page));
  };
  await approve();
  await openPath(page, '/settings/applications');
  await page.getByRole('heading', { name: 'Recipes' }).waitFor();
  await page.getByText(/^Gets these permissions again without asking; this ends in /).waitFor();
  await page.setViewportSize(PHONE);
  await checkPage(page, 'applications-remembered-phone-light');
  await page.getByRole('button', { name: formatMessage(words.forgetNamed, { name: 'Recipes' }) }).click();
  await page.getByText(formatMessage(words.forgotten.title, { name: 'Recipes' })).waitFor();
  await page.getByRole('heading', { name: 'Recipes' }).waitFor();
  assert.equal(await page.getByText(/^Gets these permissions again without asking/).count(), 0);
  await approve(); // asks again
});

test('issue 8: access keys: a key is created, shown once, used and deleted; a missing permission is shown', async (t) => {
  const words = messages.accessKeys;
  const page = await openBrowser(t, member('Frigg'), { viewport: PHONE, dark: true });
  await openPath(page, '/settings/access-keys');
  await page.getByText(words.empty.title).waitFor();
  await page.getByRole('button', { name: words.submit }).click();
  await page.getByRole('alert').getByText(words.nameMissing.title).waitFor();
  await page.getByLabel(words.name, { exact: true }).fill('Backup script');
  await page.getByLabel(words.expires).selectOption('7');
  await page.getByRole('button', { name: words.submit }).click();
  await waitForHeading(page, formatMessage(words.created.title, { name: 'Backup script' }));
  const key = await page.locator('.value code').textContent();
  await checkPage(page, 'access-key-made-phone-dark');
  const use = () => fetch(`${issuer}/api/auth/access-keys`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await use()).status, 200);
  await page.getByRole('button', { name: words.done }).click();
  await waitForHeading(page, words.heading);
  await page.getByRole('heading', { name: 'Backup script', exact: true }).waitFor();
  assert.equal(await page.getByText(key).count(), 0);
  await checkPage(page, 'access-keys-phone-dark');
  await page.getByRole('button', { name: formatMessage(words.removeNamed, { name: 'Backup script' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.remove }).click();
  await page.getByText(formatMessage(words.removed.title, { name: 'Backup script' })).waitFor();
  assert.equal((await use()).status, 401);

  const lokis = await openBrowser(t, member('Loki', { permissions: [] }));
  await openPath(lokis, '/settings/access-keys');
  await lokis.getByText(words.notAllowed.title).waitFor();
  await checkPage(lokis, 'access-keys-not-allowed-desktop-light');
});

test('issue 8: security: another session is signed out, the password is changed, all sessions are signed out', async (t) => {
  const words = messages.security;
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  const phone = await openBrowser(t, frigg);
  await openPath(page, '/settings/security');
  await waitForHeading(page, words.heading);
  await checkPage(page, 'security-desktop-light');
  await page.getByRole('listitem').filter({ has: page.getByRole('button', { name: new RegExp(words.signOut) }) }).getByRole('button').click();
  await page.getByRole('dialog').getByRole('button', { name: words.signOut }).click();
  await page.getByText(words.signedOut.title).waitFor();
  await openPath(phone, '/settings/security');
  await waitForHeading(phone, messages.login.heading);
  await signIn(phone.context(), frigg);

  const change = async (current, next, again = next) => {
    await page.getByLabel(words.currentPassword).fill(current);
    await page.getByLabel(words.newPassword, { exact: true }).fill(next);
    await page.getByLabel(words.repeat).fill(again);
    await page.getByRole('button', { name: words.change }).click();
  };
  const alert = (text) => page.getByRole('alert').getByText(text).waitFor();
  await change('wrong wrong', 'a better password');
  await alert(words.wrongPassword.title);
  await change(frigg.password, 'short');
  await alert(words.tooShort.title);
  await change(frigg.password, 'a better password', 'another password');
  await alert(words.different.title);
  await page.setViewportSize(PHONE);
  await page.emulateMedia({ colorScheme: 'dark' });
  await checkPage(page, 'security-different-phone-dark');
  await change(frigg.password, 'a better password');
  await alert(words.changed.title);
  await openPath(phone, '/settings/security');
  await waitForHeading(phone, messages.login.heading);
  await signIn(phone.context(), { ...frigg, password: 'a better password' });

  await page.getByRole('button', { name: words.signOutEverywhere }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.signOutEverywhere }).click();
  await waitForHeading(page, words.signedOutEverywhere.title);
  await openPath(phone, '/settings/security');
  await waitForHeading(phone, messages.login.heading);
});

test('issue 13: security: selected keys and secrets are revoked, and the page lists the remaining ones', async (t) => {
  const words = messages.security;
  const frigg = member('Frigg');
  client({ name: 'Robot', type: 'confidential', redirects: [], grants: ['client_credentials'], more: ['--owner', frigg.handle] });
  const page = await openBrowser(t, frigg);
  const key = await page.context().request.post(`${issuer}/api/auth/access-keys`, { data: { name: 'script' }, headers: { origin: issuer } });
  const { secret } = await key.json();
  const use = async () => (await fetch(`${issuer}/api/auth/access-keys`, { headers: { authorization: `Bearer ${secret}` } })).status;
  const one = { count: '1' };
  const [keys, secrets] = [formatMessage(words.accessKeys.one, one), formatMessage(words.clientSecrets.one, one)];
  const box = (forms) => page.getByLabel(formatMessage(forms.one, one));
  await openPath(page, '/settings/security');
  await waitForHeading(page, words.heading);
  assert.equal(await box(words.endAccessKeys).isChecked(), true);
  await box(words.endClientSecrets).uncheck();
  await checkPage(page, 'security-keys-desktop-light');
  await page.getByLabel(words.currentPassword).fill(frigg.password);
  await page.getByLabel(words.newPassword, { exact: true }).fill('a better password');
  await page.getByLabel(words.repeat).fill('a better password');
  assert.equal(await use(), 200);
  await page.getByRole('button', { name: words.change }).click();
  const alert = page.getByRole('alert');
  await alert.getByText(words.changed.title).waitFor();
  const text = await alert.textContent();
  assert.ok(text.includes(formatMessage(words.alsoEnded, { what: keys })), text);
  assert.ok(text.includes(formatMessage(words.stillValid, { what: secrets })), text);
  assert.equal(await use(), 401);
  assert.equal(await box(words.endAccessKeys).count(), 0);

  await page.setViewportSize(PHONE);
  await page.getByRole('button', { name: words.signOutEverywhere }).click();
  const dialog = page.getByRole('dialog');
  const also = dialog.getByLabel(formatMessage(words.endClientSecrets.one, one));
  assert.equal(await also.isChecked(), false);
  await also.check();
  await checkPage(page, 'security-everywhere-phone-light');
  await dialog.getByRole('button', { name: words.signOutEverywhere }).click();
  await waitForHeading(page, words.signedOutEverywhere.title);
  await page.getByText(formatMessage(words.alsoEnded, { what: secrets })).waitFor();
  await page.getByText(words.noneLeft).waitFor();
});

test('issue 8: a failed request is shown, and a retry works', async (t) => {
  const page = await openBrowser(t, member('Frigg'));
  for (const path of ['/settings/applications', '/settings/clients', '/settings/access-keys', '/settings/security', '/admin/oauth']) {
    await page.route('**/api/**', (route) => route.abort());
    await openPath(page, path);
    await waitForHeading(page, messages.failures.offline.title);
    await page.unroute('**/api/**');
    await page.getByRole('button', { name: messages.common.tryAgain }).click();
    await page.locator('#view h1').waitFor();
  }
});
