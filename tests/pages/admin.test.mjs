// Administration.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { texts } from '../../web/texts.js';
import { PHONE, browse, look, open, said, sees } from './browser.mjs';
import { client, deviceClient, issuer, member, poll, refresh, startDevice } from './community.mjs';

const words = texts.admin;

async function approve(page, app) {
  const device = await startDevice(app);
  const path = `${issuer}/api/oauth/device/consent`;
  await page.context().request.get(`${path}?user_code=${device.user_code}`);
  await page.context().request.post(path, { data: { user_code: device.user_code, decision: 'approve' }, headers: { origin: issuer } });
  const { status, body } = await poll(app, device);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

test('issue 8: is for administrators, and others are told', async (t) => {
  const page = await browse(t, member('Frigg'), { viewport: PHONE });
  await open(page, '/admin/oauth');
  await page.getByText(words.notAllowed.title).waitFor();
  await look(page, 'admin-not-allowed-phone-light');
  const nobody = await browse(t);
  await open(nobody, '/admin/oauth#audit?event=signed_in');
  await sees(nobody, texts.login.heading);
  const odin = member('Odin', { admin: true });
  await nobody.getByLabel(texts.login.identifier).fill(odin.handle);
  await nobody.getByLabel(texts.login.password, { exact: true }).fill(odin.password);
  await nobody.getByRole('button', { name: texts.login.submit }).click();
  await sees(nobody, words.audit);
  assert.equal(await nobody.getByLabel(words.event).inputValue(), 'signed_in');
});

test('issue 8: an application is found, changed, stripped of all it was given, and deleted', async (t) => {
  const odin = member('Odin', { admin: true });
  const name = `Telescope ${odin.handle}`;
  const app = deviceClient({ name });
  const frigg = await browse(t, member('Frigg'));
  const tokens = await approve(frigg, app);
  const page = await browse(t, odin);
  await open(page, '/admin/oauth');
  await sees(page, words.clients);
  await page.getByLabel(words.search).fill(name.toLowerCase());
  await page.keyboard.press('Enter');
  await page.getByText(said(texts.lists.count.one, { count: '1' })).waitFor();
  await look(page, 'admin-clients-desktop-light');
  await page.getByRole('link', { name }).click();
  await sees(page, name);
  await look(page, 'admin-client-desktop-light');
  await page.getByLabel(texts.clients.name, { exact: true }).fill(`${name} II`);
  await page.getByRole('button', { name: texts.clients.save }).click();
  await page.getByText(texts.clients.saved.title).waitFor();
  await sees(page, `${name} II`);

  await page.getByRole('button', { name: words.end.ofClient }).click();
  await page.getByRole('dialog').getByText(/1 approval and 1 refresh token/).waitFor();
  await look(page, 'admin-end-desktop-light');
  await page.getByRole('dialog').getByRole('button', { name: words.end.action }).click();
  await page.getByText(words.end.done.title).waitFor();
  assert.equal((await refresh(app, tokens)).status, 400);
  await page.getByRole('button', { name: words.end.ofClient }).click();
  await page.getByText(words.end.nothing.title).waitFor();

  await page.getByRole('button', { name: texts.clients.remove }).click();
  await page.getByRole('dialog').getByRole('button', { name: texts.clients.remove }).click();
  await page.getByText(said(texts.clients.removed.title, { name: `${name} II` })).waitFor();
  await sees(page, words.clients);
  await page.getByLabel(words.search).fill(name);
  await page.keyboard.press('Enter');
  await page.getByText(words.nothingFound.title).waitFor();
  await page.goBack();
  await page.getByText(said(texts.clients.removed.title, { name: '' }).slice(0, 2)).first().waitFor({ state: 'detached' });
});

test('issue 8: a token is found by its application and revoked, an account loses all it approved', async (t) => {
  const [app, other, friggs] = [deviceClient({ name: 'Radio' }), deviceClient({ name: 'Lamp' }), member('Frigg')];
  const frigg = await browse(t, friggs);
  const [tokens, more] = [await approve(frigg, app), await approve(frigg, other)];
  const page = await browse(t, member('Odin', { admin: true }), { viewport: PHONE, dark: true });
  await open(page, '/admin/oauth#tokens');
  await sees(page, words.tokens);
  await page.locator('summary', { hasText: words.filter }).click();
  await page.getByLabel(words.client).fill(app.client_id);
  await page.keyboard.press('Enter');
  await page.getByText(said(texts.lists.count.one, { count: '1' })).waitFor();
  await look(page, 'admin-tokens-phone-dark');
  await page.getByRole('button', { name: /Revoke the token of Radio/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.token.revoke }).click();
  await page.getByText(words.token.ended.title).waitFor();
  await page.getByText(words.token.revoked, { exact: true }).waitFor();
  assert.equal((await refresh(app, tokens)).status, 400);

  await page.getByRole('link', { name: friggs.id }).click();
  await page.getByRole('heading', { name: /Lamp/ }).waitFor();
  await page.getByRole('button', { name: words.end.ofAccount }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.end.action }).click();
  await page.getByText(words.end.done.title).waitFor();
  assert.equal((await refresh(other, more)).status, 400);
});

test('issue 8: devices by their state, without a code that can still be entered', async (t) => {
  const app = deviceClient({ name: 'Door bell' });
  const device = await startDevice(app);
  const page = await browse(t, member('Odin', { admin: true }));
  await open(page, `/admin/oauth#devices?client_id=${app.client_id}`);
  await page.getByRole('heading', { name: /Door bell/ }).waitFor();
  await page.getByText(words.states.pending, { exact: true }).last().waitFor();
  assert.equal(await page.getByText(device.user_code).count(), 0);
  await look(page, 'admin-devices-desktop-light');
  await page.getByLabel(words.state).selectOption('denied');
  await page.getByRole('button', { name: words.filter, exact: true }).click();
  await page.getByText(words.nothingFound.title).waitFor();
  await page.getByRole('link', { name: words.clear }).click();
  await page.getByText(words.nothingFound.title).waitFor({ state: 'detached' });
});

test('issue 8: the audit trail by event, page by page', async (t) => {
  const odin = member('Odin', { admin: true });
  const page = await browse(t, odin);
  for (let times = 0; times < 2; times += 1) await browse(t, odin);
  await open(page, `/admin/oauth#audit?page_size=1&account_id=${odin.id}`);
  await page.getByText(words.events.signed_in).last().waitFor();
  await page.getByRole('link', { name: texts.lists.next }).click();
  await page.getByText(/^Page 2 of \d/).waitFor();
  assert.ok(await page.getByRole('heading', { level: 1 }).evaluate((heading) => heading === document.activeElement));
  await page.reload();
  await page.getByText(/^Page 2 of \d/).waitFor();
  await page.goBack();
  await page.getByText(/^Page 1 of \d/).waitFor();
  await page.getByLabel(words.event).selectOption('code_replayed');
  await page.getByRole('button', { name: words.filter, exact: true }).click();
  await page.getByText(words.nothingFound.title).waitFor();
  await open(page, `/admin/oauth#audit?account_id=${odin.id}`);
  await page.getByText(words.events.signed_in).last().waitFor();
  await page.locator('.item summary').first().click();
  await page.setViewportSize(PHONE);
  await look(page, 'admin-audit-phone-light');
});

test('issue 8: the signing keys are those that applications fetch', async (t) => {
  const page = await browse(t, member('Odin', { admin: true }), { viewport: PHONE });
  await open(page, '/admin/oauth#keys');
  await sees(page, words.keys);
  const { keys } = await (await fetch(`${issuer}/api/oauth/jwks`)).json();
  for (const { kid } of keys) await page.getByText(kid, { exact: true }).waitFor();
  await look(page, 'admin-keys-phone-light');
});

test('issue 8: a service is connected by hand, and the connection is deleted', async (t) => {
  const page = await browse(t, member('Odin', { admin: true }));
  await open(page, '/admin/oauth#connections');
  await sees(page, words.connections);
  await look(page, 'admin-connections-desktop-light');
  await page.getByRole('button', { name: words.connection.connect, exact: true }).click();
  await page.getByRole('alert').getByText(words.connection.noResource.title).waitFor();
  const service = client({ name: 'This server itself', redirects: [`${issuer}/oauth/remote/callback`] });
  await page.getByText(words.connection.byHand).click();
  await page.getByLabel(words.connection.resource).fill(`${issuer}/mcp`);
  await page.getByLabel(words.connection.clientId).fill(service.client_id);
  await page.getByLabel(words.connection.authorizationEndpoint).fill(`${issuer}/api/oauth/authorize`);
  await page.getByLabel(words.connection.tokenEndpoint).fill(`${issuer}/api/oauth/token`);
  await page.getByLabel(words.connection.scope, { exact: true }).fill('openid offline_access');
  await look(page, 'admin-connections-by-hand-desktop-light');
  await page.getByRole('button', { name: words.connection.connect, exact: true }).click();
  await sees(page, said(texts.consent.heading, { client: 'This server itself' }));
  await page.getByRole('button', { name: texts.consent.allow, exact: true }).click();
  await sees(page, texts.remote.connected.title);
  await look(page, 'remote-connected-desktop-light');
  assert.equal(new URL(page.url()).search, '');
  await page.getByRole('link', { name: texts.remote.back }).click();
  await page.getByText(words.connection.statuses.connected, { exact: true }).waitFor();
  await look(page, 'admin-connections-connected-desktop-light');
  await page.getByRole('button', { name: said(words.connection.removeNamed, { name: `${issuer}/mcp` }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.connection.remove }).click();
  await page.getByText(words.connection.removed.title).waitFor();
});
