// The device page: the code, what is told of the device, the confirm step, and the wrong turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { texts } from '../../web/texts.js';
import { PHONE, browse, isHeldBack, look, lookAround, open, said, sees, stopClock } from './browser.mjs';
import { auth, deviceClient, expire, issuer, member, poll, startDevice } from './community.mjs';

const words = texts.device;
const asks = (name) => said(words.heading, { client: name });
const allow = (page) => page.getByRole('button', { name: words.allow, exact: true });
const page_of = (device) => new URL(device.verification_uri_complete).pathname + new URL(device.verification_uri_complete).search;

async function enter(page, code) {
  await page.getByLabel(words.code, { exact: true }).fill(code);
  await page.getByRole('button', { name: words.submit }).click();
}

test('req_084, A-37: on a phone: the code in any form, compared, allowed, and the device goes on', async (t) => {
  const [frigg, app] = [member('Frigg'), deviceClient()];
  const device = await startDevice(app);
  const page = await browse(t, null, { viewport: PHONE });
  await open(page, '/oauth/consent');
  await sees(page, words.enterHeading);
  await look(page, 'device-enter-phone-light');
  await enter(page, ` ${device.user_code.toLowerCase().replace('-', ' ')}`);
  // nobody is signed in: there and back, with the code
  await sees(page, texts.login.heading);
  await page.getByLabel(texts.login.identifier).fill(frigg.handle);
  await page.getByLabel(texts.login.password, { exact: true }).fill(frigg.password);
  await page.getByRole('button', { name: texts.login.submit }).click();
  await sees(page, asks('Television'));
  await page.getByText(device.user_code, { exact: true }).waitFor();
  await page.getByText('television/2.0 (tests)').waitFor();
  await page.getByText('127.0.0.1', { exact: true }).waitFor();
  await page.getByText(words.onlyYours).waitFor();
  await lookAround(page, 'device');
  await allow(page).click();
  await sees(page, words.allowed.title);
  await look(page, 'device-allowed-phone-light');
  const { status, body } = await poll(app, device);
  assert.equal(status, 200, JSON.stringify(body));
});

test('issue 13: an application that changed while its page was open is shown again', async (t) => {
  const thor = member('Thor');
  const app = deviceClient({ more: ['--owner', thor.handle] });
  const owner = await browse(t, thor);
  const device = await startDevice(app);
  const page = await browse(t, member('Frigg'));
  await open(page, page_of(device));
  await sees(page, asks('Television'));
  const path = `${issuer}/api/auth/oauth/clients/${app.id}`;
  const renamed = await owner.context().request.patch(path, { data: { name: 'Bank' }, headers: { origin: issuer } });
  assert.equal(renamed.status(), 200, await renamed.text());
  await allow(page).click();
  await page.getByRole('alert').getByText(texts.consent.changed.title).waitFor();
  await sees(page, asks('Bank'));
  await allow(page).click();
  await sees(page, words.allowed.title);
  assert.equal((await poll(app, device)).status, 200);
});

test('issue 8: a link that brings the code, a pasted line, and a denial that the device hears', async (t) => {
  const [frigg, app] = [member('Frigg'), deviceClient()];
  const device = await startDevice(app);
  const page = await browse(t, frigg);
  await open(page, page_of(device));
  await sees(page, asks('Television'));
  await page.getByRole('button', { name: words.deny, exact: true }).click();
  await sees(page, words.denied.title);
  assert.equal((await poll(app, device)).body.error, 'access_denied');

  const another = await startDevice(app);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await open(page, '/oauth/consent');
  await sees(page, words.enterHeading);
  await page.evaluate((line) => navigator.clipboard.writeText(line), `Your code is: ${another.user_code}`);
  await page.getByLabel(words.code, { exact: true }).focus();
  await page.keyboard.press('ControlOrMeta+v');
  await page.keyboard.press('Enter');
  await sees(page, asks('Television'));
  await page.getByText(another.user_code, { exact: true }).waitFor();
});

test('A-37: a client that inherits everything has its powers named and asked for a second time', async (t) => {
  const odin = member('Odin', { admin: true });
  const cli = { client_id: 'storyden-cli' };
  const device = await startDevice(cli);
  const page = await browse(t, odin, { viewport: PHONE });
  await open(page, page_of(device));
  await sees(page, asks('Storyden'));
  await page.getByText(texts.scopes.inherits).waitFor();
  await page.getByText(texts.asker.builtIn).waitFor();
  await lookAround(page, 'device-inherits');
  // the second click of a double click is no answer to the second question
  await allow(page).dblclick();
  await sees(page, said(words.confirmHeading, { client: 'Storyden' }));
  await page.locator('#confirm').getByText(texts.scopes.words.ADMINISTRATOR).waitFor();
  await lookAround(page, 'device-confirm');
  assert.equal((await poll(cli, device)).body.error, 'authorization_pending');
  await page.getByRole('button', { name: words.back }).click();
  await sees(page, asks('Storyden'));
  await allow(page).click();
  await page.getByRole('button', { name: words.confirm }).click();
  await sees(page, words.allowed.title);
});

test('req_127: a click soon after the page or the second question was shown allows nothing', async (t) => {
  const odin = member('Odin', { admin: true });
  const cli = { client_id: 'storyden-cli' };
  const device = await startDevice(cli);
  const page = await browse(t, odin);
  await stopClock(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  await open(page, page_of(device));
  await sees(page, asks('Storyden'));
  await page.getByText(`@${odin.handle}`).waitFor(); // the last that comes
  await isHeldBack(page, allow(page), async () => !(await allow(page).isVisible()));
  await allow(page).click();
  await sees(page, said(words.confirmHeading, { client: 'Storyden' }));
  await isHeldBack(page, page.getByRole('button', { name: words.confirm }), async () => sent.length > 0);
  await page.getByRole('button', { name: words.confirm }).click();
  await sees(page, words.allowed.title);
  assert.equal(sent.length, 1);
});

test('issue 8: no code, a wrong one, an expired one, a used one, somebody else\'s, too many', async (t) => {
  const [frigg, thor, app] = [member('Frigg'), member('Thor'), deviceClient()];
  const alert = (page, text) => page.getByRole('alert').getByText(text).waitFor();
  const page = await browse(t, frigg, { viewport: PHONE, dark: true });
  await open(page, '/oauth/consent');
  await sees(page, words.enterHeading);
  await page.getByRole('button', { name: words.submit }).click();
  await alert(page, words.noCode.title);
  await enter(page, 'UUUU-UUUU');
  await alert(page, words.notCode.title);
  await look(page, 'device-not-a-code-phone-dark');

  const used = await startDevice(app);
  await enter(page, used.user_code);
  await sees(page, asks('Television'));
  const other = await browse(t, thor);
  await open(other, page_of(used));
  await sees(other, words.claimed.title);
  await look(other, 'device-claimed-desktop-light');
  await allow(page).click();
  await sees(page, words.allowed.title);
  await open(page, page_of(used));
  await alert(page, words.wrongCode.title);

  const late = await startDevice(app);
  await open(page, page_of(late));
  await sees(page, asks('Television'));
  expire('oauth_device_authorisations', 'user_code_display', late.user_code);
  await allow(page).click();
  await alert(page, words.wrongCode.title);
  await page.reload();
  await alert(page, words.wrongCode.title);

  for (const code of ['0000-0001', '0000-0002', '0000-0003', '0000-0004', '0000-0005', '0000-0006']) {
    await open(other, `/oauth/consent?user_code=${code}`);
    await other.locator('h1:visible').waitFor();
  }
  await sees(other, texts.failures.tooMany.title);
});

test('issue 8: who may not authorize, and who is suspended', async (t) => {
  const [loki, frigg, app] = [member('Loki', { permissions: [] }), member('Frigg'), deviceClient()];
  const device = await startDevice(app);
  const page = await browse(t, loki);
  await open(page, page_of(device));
  await sees(page, texts.consent.notPermitted.title);
  const friggs = await browse(t, frigg);
  await open(friggs, page_of(device));
  await sees(friggs, asks('Television'));
  auth('account', 'suspend', frigg.handle);
  await allow(friggs).click();
  await friggs.locator('h1:visible', { hasText: texts.login.heading }).or(friggs.getByRole('alert')).first().waitFor();
  assert.equal((await poll(app, device)).body.error, 'authorization_pending');
});
