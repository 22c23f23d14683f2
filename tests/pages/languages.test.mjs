// Languages of the pages, in English and in Arabic (right to left): every new state on phone and desktop, light and dark.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DESKTOP, PHONE, checkPageEverywhere, formatMessage, heading, openBrowser, openPath, signIn, waitForHeading } from './browser.mjs';
import { deviceClient, issuer, member, poll, startDevice } from './community.mjs';
import { messagesOf } from './messages.mjs';

const LOCALES = [['en', 'en-GB'], ['ar', 'ar']];

for (const [language, locale] of LOCALES) {
  const messages = messagesOf(language);

  test(`the pages are in the language of the browser: ${language}`, async (t) => {
    const page = await openBrowser(t, null, { viewport: PHONE, locale });
    await openPath(page, '/login');
    await waitForHeading(page, messages.login.heading);
    assert.equal(await page.evaluate(() => document.documentElement.lang), language);
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).direction), language === 'ar' ? 'rtl' : 'ltr');
    await checkPageEverywhere(page, `${language}-login`);
    await openPath(page, '/');
    await waitForHeading(page, messages.index.heading);
    await checkPageEverywhere(page, `${language}-front`);
  });

  test(`a path that is nothing has a page: ${language}`, async (t) => {
    const page = await openBrowser(t, null, { viewport: PHONE, locale });
    await openPath(page, '/nowhere');
    await waitForHeading(page, messages.errorPage.notFound.title);
    await checkPageEverywhere(page, `${language}-not-found`);
    await page.getByRole('link', { name: messages.common.home }).click();
    await waitForHeading(page, messages.index.heading);
  });

  test(`a device gets a name, and the list of applications has it: ${language}`, async (t) => {
    const [frigg, app] = [member('Frigg'), deviceClient()];
    const device = await startDevice(app);
    const page = await openBrowser(t, frigg, { viewport: PHONE, locale });
    await openPath(page, `/oauth/consent?user_code=${device.user_code}`);
    await waitForHeading(page, formatMessage(messages.device.heading, { client: 'Television' }));
    await page.getByLabel(messages.device.name).fill('Living room');
    await checkPageEverywhere(page, `${language}-device-name`);
    await page.getByRole('button', { name: messages.device.allow, exact: true }).click();
    await waitForHeading(page, messages.device.allowed.title);
    assert.equal((await poll(app, device)).status, 200);
    await openPath(page, '/settings/applications');
    await page.getByText(formatMessage(messages.applications.onDevice, { device: 'Living room' })).waitFor();
    await checkPageEverywhere(page, `${language}-applications-device`);
  });

  test(`a sign-in from an unknown browser is shown, and ended: ${language}`, async (t) => {
    const words = messages.security;
    const frigg = member('Frigg');
    const page = await openBrowser(t, frigg, { viewport: PHONE, locale });
    const other = await openBrowser(t, frigg, { locale });
    await openPath(page, '/settings/security');
    await waitForHeading(page, words.heading);
    const notice = page.getByRole('region', { name: words.newSignIn.title });
    await notice.getByText(words.newSignIn.advice).waitFor();
    await checkPageEverywhere(page, `${language}-new-sign-in`);
    await notice.getByRole('button', { name: words.newSignIn.end }).click();
    await page.getByText(words.newSignIn.ended.title).waitFor();
    await checkPageEverywhere(page, `${language}-new-sign-in-ended`);
    await openPath(other, '/settings/security');
    await waitForHeading(other, messages.login.heading);
    // A recognized sign-in is not shown again in this browser.
    const third = await openBrowser(t, frigg, { locale });
    await openPath(third, '/');
    await openPath(page, '/');
    await page.getByRole('region', { name: words.newSignIn.title }).getByRole('button', { name: words.newSignIn.known }).click();
    await openPath(page, '/settings/access-keys');
    await waitForHeading(page, messages.accessKeys.heading);
    assert.equal(await page.getByRole('region', { name: words.newSignIn.title }).count(), 0);
  });

  test(`typed text comes back after the session has ended: ${language}`, async (t) => {
    const frigg = member('Frigg');
    const page = await openBrowser(t, frigg, { viewport: DESKTOP, locale });
    await openPath(page, '/settings/clients#new');
    await waitForHeading(page, messages.clients.createHeading);
    await page.getByRole('radio', { name: new RegExp(messages.clients.presets.native.title) }).check();
    await page.getByLabel(messages.clients.name, { exact: true }).fill('Raven mail');
    await page.getByLabel(messages.clients.redirects).fill('http://127.0.0.1/callback');
    await page.context().request.post(`${issuer}/api/auth/logout`, { headers: { origin: issuer }, maxRedirects: 0 });
    await page.getByRole('button', { name: messages.clients.submit }).click();
    await waitForHeading(page, messages.login.heading);
    await page.getByText(messages.drafts.ended.title).waitFor();
    await checkPageEverywhere(page, `${language}-session-ended`);
    await page.getByLabel(messages.login.identifier).fill(frigg.handle);
    await page.getByLabel(messages.login.password, { exact: true }).fill(frigg.password);
    await page.getByRole('button', { name: messages.login.submit }).click();
    await waitForHeading(page, messages.clients.createHeading);
    await page.getByText(messages.drafts.restored.title).waitFor();
    assert.equal(await page.getByLabel(messages.clients.name, { exact: true }).inputValue(), 'Raven mail');
    assert.equal(await page.getByLabel(messages.clients.redirects).inputValue(), 'http://127.0.0.1/callback');
    assert.ok(await page.getByRole('radio', { name: new RegExp(messages.clients.presets.native.title) }).isChecked());
    await checkPageEverywhere(page, `${language}-draft-restored`);
  });
}

test('passwords do not come back, and a draft belongs to one account', async (t) => {
  const messages = messagesOf('en');
  const words = messages.security;
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  await openPath(page, '/settings/security');
  await waitForHeading(page, words.heading);
  await page.getByLabel(words.reveal).check(); // a revealed password is a text field
  await page.getByLabel(words.currentPassword).fill(frigg.password);
  await page.getByLabel(words.newPassword, { exact: true }).fill('a better password');
  await page.getByLabel(words.repeat).fill('a better password');
  await page.context().request.post(`${issuer}/api/auth/logout`, { headers: { origin: issuer }, maxRedirects: 0 });
  await page.getByRole('button', { name: words.change }).click();
  await waitForHeading(page, messages.login.heading);
  assert.ok(!(await page.evaluate(() => JSON.stringify(sessionStorage))).includes('password'));

  const other = await openBrowser(t, frigg);
  await openPath(other, '/settings/access-keys');
  await other.getByLabel(messages.accessKeys.name).fill('secret plan');
  await other.context().request.post(`${issuer}/api/auth/logout`, { headers: { origin: issuer }, maxRedirects: 0 });
  await other.getByRole('button', { name: messages.accessKeys.submit }).click();
  await waitForHeading(other, messages.login.heading);
  await signIn(other.context(), member('Loki'));
  await openPath(other, '/settings/access-keys');
  await waitForHeading(other, messages.accessKeys.heading);
  assert.equal(await other.getByLabel(messages.accessKeys.name).inputValue(), '');
});

test('a chosen language is remembered, and the text of a form survives the choice', async (t) => {
  const [english, german] = [messagesOf('en'), messagesOf('de')];
  const page = await openBrowser(t, member('Frigg'));
  await openPath(page, '/settings/access-keys');
  await page.getByLabel(english.accessKeys.name).fill('Backup');
  await page.getByLabel(english.common.language).selectOption('de');
  await waitForHeading(page, german.accessKeys.heading);
  assert.equal(await page.getByLabel(german.accessKeys.name).inputValue(), 'Backup');
  await openPath(page, '/');
  await waitForHeading(page, german.index.heading);
  assert.equal(await heading(page, english.index.heading).count(), 0);
});
