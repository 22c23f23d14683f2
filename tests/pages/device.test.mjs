// The device page: the user code, details of the device, the confirmation step, and error cases.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { messages } from './messages.mjs';
import { PHONE, openBrowser, assertGuarded, checkPage, checkPageEverywhere, openPath, formatMessage, waitForHeading, stopClock } from './browser.mjs';
import { runCommand, deviceClient, expire, issuer, member, poll, startDevice } from './community.mjs';

const strings = messages.device;
const asks = (name) => formatMessage(strings.heading, { client: name });
const allow = (page) => page.getByRole('button', { name: strings.allow, exact: true });
const page_of = (device) => new URL(device.verification_uri_complete).pathname + new URL(device.verification_uri_complete).search;

async function enter(page, code) {
  await page.getByLabel(strings.code, { exact: true }).fill(code);
  await page.getByRole('button', { name: strings.submit }).click();
}

test('req_084, A-37: on a phone: the code is entered in any form and approved, and the device gets tokens', async (t) => {
  const [frigg, app] = [member('Frigg'), deviceClient()];
  const device = await startDevice(app);
  const page = await openBrowser(t, null, { viewport: PHONE });
  await openPath(page, '/oauth/consent');
  await waitForHeading(page, strings.enterHeading);
  await checkPage(page, 'device-enter-phone-light');
  await enter(page, ` ${device.user_code.toLowerCase().replace('-', ' ')}`);
  // without a session: the redirect to the sign-in page and back keeps the code
  await waitForHeading(page, messages.login.heading);
  await page.getByLabel(messages.login.identifier).fill(frigg.handle);
  await page.getByLabel(messages.login.password, { exact: true }).fill(frigg.password);
  await page.getByRole('button', { name: messages.login.submit }).click();
  await waitForHeading(page, asks('Television'));
  await page.getByText(device.user_code, { exact: true }).waitFor();
  await page.getByText('television/2.0 (tests)').waitFor();
  await page.getByText('127.0.0.1', { exact: true }).waitFor();
  await page.getByText(strings.ownDeviceOnly).waitFor();
  await checkPageEverywhere(page, 'device');
  await allow(page).click();
  await waitForHeading(page, strings.allowed.title);
  await checkPage(page, 'device-allowed-phone-light');
  const { status, body } = await poll(app, device);
  assert.equal(status, 200, JSON.stringify(body));
});

test('issue 13: a client that changed while the page was open is shown again', async (t) => {
  const thor = member('Thor');
  const app = deviceClient({ more: ['--owner', thor.handle] });
  const owner = await openBrowser(t, thor);
  const device = await startDevice(app);
  const page = await openBrowser(t, member('Frigg'));
  await openPath(page, page_of(device));
  await waitForHeading(page, asks('Television'));
  const path = `${issuer}/api/auth/oauth/clients/${app.id}`;
  const renamed = await owner.context().request.patch(path, { data: { name: 'Bank' }, headers: { origin: issuer } });
  assert.equal(renamed.status(), 200, await renamed.text());
  await allow(page).click();
  await page.getByRole('alert').getByText(messages.consent.changed.title).waitFor();
  await waitForHeading(page, asks('Bank'));
  await allow(page).click();
  await waitForHeading(page, strings.allowed.title);
  assert.equal((await poll(app, device)).status, 200);
});

test('issue 8: a link with the code, a pasted line, and a denial that the device receives', async (t) => {
  const [frigg, app] = [member('Frigg'), deviceClient()];
  const device = await startDevice(app);
  const page = await openBrowser(t, frigg);
  await openPath(page, page_of(device));
  await waitForHeading(page, asks('Television'));
  await page.getByRole('button', { name: strings.deny, exact: true }).click();
  await waitForHeading(page, strings.denied.title);
  assert.equal((await poll(app, device)).body.error, 'access_denied');

  const another = await startDevice(app);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await openPath(page, '/oauth/consent');
  await waitForHeading(page, strings.enterHeading);
  await page.evaluate((line) => navigator.clipboard.writeText(line), `Your code is: ${another.user_code}`);
  await page.getByLabel(strings.code, { exact: true }).focus();
  await page.keyboard.press('ControlOrMeta+v');
  await page.keyboard.press('Enter');
  await waitForHeading(page, asks('Television'));
  await page.getByText(another.user_code, { exact: true }).waitFor();
});

test('A-37: the privileged permissions of a client that inherits all are listed and confirmed', async (t) => {
  const odin = member('Odin', { admin: true });
  const cli = { client_id: 'storyden-cli' };
  const device = await startDevice(cli);
  const page = await openBrowser(t, odin, { viewport: PHONE });
  await openPath(page, page_of(device));
  await waitForHeading(page, asks('Storyden'));
  await page.getByText(messages.scopes.inherits).waitFor();
  await page.getByText(messages.clientDetails.builtIn).waitFor();
  await checkPageEverywhere(page, 'device-inherits');
  // the second click of a double click does not confirm
  await allow(page).dblclick();
  await waitForHeading(page, formatMessage(strings.confirmHeading, { client: 'Storyden' }));
  await page.locator('#confirm').getByText(messages.scopes.labels.ADMINISTRATOR).waitFor();
  await checkPageEverywhere(page, 'device-confirm');
  assert.equal((await poll(cli, device)).body.error, 'authorization_pending');
  await page.getByRole('button', { name: strings.back }).click();
  await waitForHeading(page, asks('Storyden'));
  await allow(page).click();
  await page.getByRole('button', { name: strings.confirm }).click();
  await waitForHeading(page, strings.allowed.title);
});

test('req_127: a click soon after the page or the confirmation was shown has no effect (double-clickjacking)', async (t) => {
  const odin = member('Odin', { admin: true });
  const cli = { client_id: 'storyden-cli' };
  const device = await startDevice(cli);
  const page = await openBrowser(t, odin);
  await stopClock(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  await openPath(page, page_of(device));
  await waitForHeading(page, asks('Storyden'));
  await page.getByText(`@${odin.handle}`).waitFor(); // the last element that is loaded
  await assertGuarded(page, allow(page), async () => !(await allow(page).isVisible()));
  await allow(page).click();
  await waitForHeading(page, formatMessage(strings.confirmHeading, { client: 'Storyden' }));
  await assertGuarded(page, page.getByRole('button', { name: strings.confirm }), async () => sent.length > 0);
  await page.getByRole('button', { name: strings.confirm }).click();
  await waitForHeading(page, strings.allowed.title);
  assert.equal(sent.length, 1);
});

test('issue 8: missing, wrong, expired, used and claimed codes, and too many attempts show an error', async (t) => {
  const [frigg, thor, app] = [member('Frigg'), member('Thor'), deviceClient()];
  const alert = (page, text) => page.getByRole('alert').getByText(text).waitFor();
  const page = await openBrowser(t, frigg, { viewport: PHONE, dark: true });
  await openPath(page, '/oauth/consent');
  await waitForHeading(page, strings.enterHeading);
  await page.getByRole('button', { name: strings.submit }).click();
  await alert(page, strings.noCode.title);
  await enter(page, 'UUUU-UUUU');
  await alert(page, strings.malformedCode.title);
  await checkPage(page, 'device-not-a-code-phone-dark');

  const used = await startDevice(app);
  await enter(page, used.user_code);
  await waitForHeading(page, asks('Television'));
  const other = await openBrowser(t, thor);
  await openPath(other, page_of(used));
  await waitForHeading(other, strings.claimedByOther.title);
  await checkPage(other, 'device-claimed-desktop-light');
  await allow(page).click();
  await waitForHeading(page, strings.allowed.title);
  await openPath(page, page_of(used));
  await alert(page, strings.wrongCode.title);

  const late = await startDevice(app);
  await openPath(page, page_of(late));
  await waitForHeading(page, asks('Television'));
  expire('oauth_device_authorisations', 'user_code_display', late.user_code);
  await allow(page).click();
  await alert(page, strings.wrongCode.title);
  await page.reload();
  await alert(page, strings.wrongCode.title);

  for (const code of ['0000-0001', '0000-0002', '0000-0003', '0000-0004', '0000-0005', '0000-0006']) {
    await openPath(other, `/oauth/consent?user_code=${code}`);
    await other.locator('h1:visible').waitFor();
  }
  await waitForHeading(other, messages.failures.tooMany.title);
});

test('issue 8: missing permission and suspension show an error', async (t) => {
  const [loki, frigg, app] = [member('Loki', { permissions: [] }), member('Frigg'), deviceClient()];
  const device = await startDevice(app);
  const page = await openBrowser(t, loki);
  await openPath(page, page_of(device));
  await waitForHeading(page, messages.consent.notPermitted.title);
  const friggs = await openBrowser(t, frigg);
  await openPath(friggs, page_of(device));
  await waitForHeading(friggs, asks('Television'));
  runCommand('account', 'suspend', frigg.handle);
  await allow(friggs).click();
  await friggs.locator('h1:visible', { hasText: messages.login.heading }).or(friggs.getByRole('alert')).first().waitFor();
  assert.equal((await poll(app, device)).body.error, 'authorization_pending');
});
