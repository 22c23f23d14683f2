// The administration page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { messages } from './messages.mjs';
import { DESKTOP, PHONE, callbackServer, openBrowser, checkPage, openPath, formatMessage, waitForHeading } from './browser.mjs';
import { startCodeFlow } from './code_flow.mjs';
import { client, deviceClient, issuer, member, poll, refresh, startDevice } from './community.mjs';

const strings = messages.admin;

async function approve(page, app) {
  const device = await startDevice(app);
  const path = `${issuer}/api/oauth/device/consent`;
  await page.context().request.get(`${path}?user_code=${device.user_code}`);
  await page.context().request.post(path, { data: { user_code: device.user_code, decision: 'approve' }, headers: { origin: issuer } });
  const { status, body } = await poll(app, device);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

test('issue 8: only administrators have access, other members see an error', async (t) => {
  const page = await openBrowser(t, member('Frigg'), { viewport: PHONE });
  await openPath(page, '/admin/oauth');
  await page.getByText(strings.notAllowed.title).waitFor();
  await checkPage(page, 'admin-not-allowed-phone-light');
  const nobody = await openBrowser(t);
  await openPath(nobody, '/admin/oauth#audit?event=signed_in');
  await waitForHeading(nobody, messages.login.heading);
  const odin = member('Odin', { admin: true });
  await nobody.getByLabel(messages.login.identifier).fill(odin.handle);
  await nobody.getByLabel(messages.login.password, { exact: true }).fill(odin.password);
  await nobody.getByRole('button', { name: messages.login.submit }).click();
  await waitForHeading(nobody, strings.audit);
  assert.equal(await nobody.getByLabel(strings.event).inputValue(), 'signed_in');
});

test('issue 8: a client is found, changed, loses all access, and is deleted', async (t) => {
  const odin = member('Odin', { admin: true });
  const name = `Telescope ${odin.handle}`;
  const app = deviceClient({ name });
  const frigg = await openBrowser(t, member('Frigg'));
  const tokens = await approve(frigg, app);
  await poll(app, { device_code: 'unknown' });
  const page = await openBrowser(t, odin);
  await openPath(page, '/admin/oauth#clients');
  await waitForHeading(page, strings.clients);
  await page.getByLabel(strings.search).fill(name.toLowerCase());
  await page.keyboard.press('Enter');
  await page.getByText(formatMessage(messages.lists.count.one, { count: '1' })).waitFor();
  await checkPage(page, 'admin-clients-desktop-light');
  await page.getByRole('link', { name }).click();
  await waitForHeading(page, name);
  const errors = page.getByRole('region', { name: messages.clients.errors.heading });
  await errors.getByText(messages.clients.errors.hints.device_code).waitFor();
  await checkPage(page, 'admin-client-desktop-light');
  await page.getByLabel(messages.clients.name, { exact: true }).fill(`${name} II`);
  await page.getByRole('button', { name: messages.clients.save }).click();
  await page.getByText(messages.clients.saved.title).waitFor();
  await waitForHeading(page, `${name} II`);

  await page.getByRole('button', { name: strings.revokeAll.ofClient }).click();
  await page.getByRole('dialog').getByText(/1 approval and 1 refresh token/).waitFor();
  await checkPage(page, 'admin-end-desktop-light');
  await page.getByRole('dialog').getByRole('button', { name: strings.revokeAll.action }).click();
  await page.getByText(strings.revokeAll.done.title).waitFor();
  assert.equal((await refresh(app, tokens)).status, 400);
  await page.getByRole('button', { name: strings.revokeAll.ofClient }).click();
  await page.getByText(strings.revokeAll.nothing.title).waitFor();

  await page.getByRole('button', { name: messages.clients.remove }).click();
  await page.getByRole('dialog').getByRole('button', { name: messages.clients.remove }).click();
  await page.getByText(formatMessage(messages.clients.removed.title, { name: `${name} II` })).waitFor();
  await waitForHeading(page, strings.clients);
  await page.getByLabel(strings.search).fill(name);
  await page.keyboard.press('Enter');
  await page.getByText(strings.noMatch.title).waitFor();
  await page.goBack();
  await page.getByText(formatMessage(messages.clients.removed.title, { name: '' }).slice(0, 2)).first().waitFor({ state: 'detached' });
});

test('issue 8: a refresh token is found by its client and revoked; all access to an account is revoked', async (t) => {
  const [app, other, friggs] = [deviceClient({ name: 'Radio' }), deviceClient({ name: 'Lamp' }), member('Frigg')];
  const frigg = await openBrowser(t, friggs);
  const [tokens, more] = [await approve(frigg, app), await approve(frigg, other)];
  const page = await openBrowser(t, member('Odin', { admin: true }), { viewport: PHONE, dark: true });
  await openPath(page, '/admin/oauth#tokens');
  await waitForHeading(page, strings.tokens);
  await page.locator('summary', { hasText: strings.filter }).click();
  await page.getByLabel(strings.client).fill(app.client_id);
  await page.keyboard.press('Enter');
  await page.getByText(formatMessage(messages.lists.count.one, { count: '1' })).waitFor();
  await checkPage(page, 'admin-tokens-phone-dark');
  await page.getByLabel(/^Select: Radio of Frigg/).check();
  await page.getByRole('button', { name: strings.token.revokeSelected }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.token.revokeSelected }).click();
  await page.getByText(formatMessage(strings.token.revokedMessage.title.one, { count: '1' })).waitFor();
  await page.getByText(strings.token.revoked, { exact: true }).waitFor();
  assert.equal((await refresh(app, tokens)).status, 400);

  await page.getByRole('link', { name: `Frigg (@${friggs.handle})` }).click();
  await waitForHeading(page, `Frigg (@${friggs.handle})`);
  await page.getByRole('link', { name: strings.member.related.tokens }).click();
  await page.getByRole('link', { name: 'Lamp' }).waitFor();
  await page.getByRole('button', { name: strings.revokeAll.ofAccount }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.revokeAll.action }).click();
  await page.getByText(strings.revokeAll.done.title).waitFor();
  assert.equal((await refresh(other, more)).status, 400);
});

test('issue 8: device authorizations are filtered by state and do not show valid user codes', async (t) => {
  const app = deviceClient({ name: 'Door bell' });
  const device = await startDevice(app);
  const page = await openBrowser(t, member('Odin', { admin: true }));
  await openPath(page, `/admin/oauth#devices?client_id=${app.client_id}`);
  await page.getByRole('link', { name: 'Door bell' }).waitFor();
  await page.getByText(strings.states.pending, { exact: true }).last().waitFor();
  assert.equal(await page.getByText(device.user_code).count(), 0);
  await checkPage(page, 'admin-devices-desktop-light');
  await page.getByLabel(strings.state).selectOption('denied');
  await page.getByRole('button', { name: strings.filter, exact: true }).click();
  await page.getByText(strings.noMatch.title).waitFor();
  await page.getByRole('link', { name: strings.clear }).click();
  await page.getByText(strings.noMatch.title).waitFor({ state: 'detached' });
});

test('issue 8: the audit trail is filtered by event and has pages', async (t) => {
  const odin = member('Odin', { admin: true });
  const page = await openBrowser(t, odin);
  for (let times = 0; times < 2; times += 1) await openBrowser(t, odin);
  await openPath(page, `/admin/oauth#audit?page_size=1&account_id=${odin.id}`);
  await page.getByText(strings.events.signed_in).last().waitFor();
  await page.getByRole('link', { name: messages.lists.next }).click();
  await page.getByText(/^Page 2 of \d/).waitFor();
  assert.ok(await page.getByRole('heading', { level: 1 }).evaluate((heading) => heading === document.activeElement));
  await page.reload();
  await page.getByText(/^Page 2 of \d/).waitFor();
  await page.goBack();
  await page.getByText(/^Page 1 of \d/).waitFor();
  await page.getByLabel(strings.event).selectOption('code_replayed');
  await page.getByRole('button', { name: strings.filter, exact: true }).click();
  await page.getByText(strings.noMatch.title).waitFor();
  await openPath(page, `/admin/oauth#audit?account_id=${odin.id}`);
  await page.getByText(strings.events.signed_in).last().waitFor();
  await checkPage(page, 'admin-audit-desktop-light');
  await page.locator('td summary').first().click();
  await page.setViewportSize(PHONE);
  await checkPage(page, 'admin-audit-phone-light');
  await page.getByLabel(strings.table.actor, { exact: true }).fill(`@${odin.handle}`);
  await page.keyboard.press('Enter');
  await page.getByText(strings.events.signed_in).last().waitFor();
  for (const format of ['jsonl', 'csv']) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: strings.exportAs[format] }).click()]);
    assert.equal(download.suggestedFilename(), `audit.${format}`);
    assert.match(readFileSync(await download.path(), 'utf8'), new RegExp(`Odin \\(@${odin.handle}\\)`));
  }
});

test('the signing keys are those of the JWK set, rotate, and are revoked with the counts of a dry run', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }), { viewport: PHONE });
  await openPath(page, '/admin/oauth#keys');
  await waitForHeading(page, strings.keys);
  const published = async () => (await (await fetch(`${issuer}/api/oauth/jwks`)).json()).keys.map(({ kid }) => kid);
  const before = await published();
  for (const kid of before) await page.getByText(kid, { exact: true }).waitFor();
  await checkPage(page, 'admin-keys-phone-light');

  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: formatMessage(strings.key.rotateNamed, { algorithm: 'RS256', kid: before[0] }) }).click();
  await checkPage(page, 'admin-keys-rotate-phone-light');
  await dialog.getByRole('button', { name: messages.common.cancel }).click();
  assert.deepEqual(await published(), before);
  await page.getByRole('button', { name: formatMessage(strings.key.rotateNamed, { algorithm: 'RS256', kid: before[0] }) }).click();
  await dialog.getByRole('button', { name: strings.key.rotate }).click();
  await page.getByText(strings.key.rotated.title).waitFor();
  const after = await published();
  const next = after.find((kid) => !before.includes(kid));
  assert.equal(after.length, before.length + 1);
  await page.getByText(next, { exact: true }).waitFor();
  await page.getByText(strings.key.about.next).waitFor();
  await page.setViewportSize(DESKTOP);
  await checkPage(page, 'admin-keys-next-desktop-light');

  // The next key: nothing that began before its creation ends, so the session of the page goes on.
  await page.getByRole('button', { name: formatMessage(strings.key.revokeNamed, { algorithm: 'RS256', kid: next }) }).click();
  await dialog.getByRole('heading', { name: formatMessage(strings.key.revokeQuestion.title, { kid: next }) }).waitFor();
  await checkPage(page, 'admin-keys-revoke-desktop-light');
  await dialog.getByRole('button', { name: messages.common.cancel }).click();
  assert.deepEqual(await published(), after);

  // A revocation would end the sessions of the other tests: the answers are made up.
  await page.route(/\/revoke$/, (route) => route.fulfill({ json: { kid: next, dry_run: false, sessions: 2, grants: 1 } }));
  await page.getByRole('button', { name: formatMessage(strings.key.revokeNamed, { algorithm: 'RS256', kid: next }) }).click();
  await page.route(/\/api\/admin\/oauth\/keys$/, (route) => route.fulfill({ status: 401, json: {} }));
  await dialog.getByRole('button', { name: strings.key.revoke }).click();
  await waitForHeading(page, strings.key.revoked.title);
  await page.getByText(/2 sessions and 1 approval/).waitFor();
  await page.getByText(strings.key.revoked.signedOut).waitFor();
  await checkPage(page, 'admin-keys-revoked-desktop-light');
});

test('issue 8: a remote connection is created manually and deleted', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }));
  await openPath(page, '/admin/oauth#connections');
  await waitForHeading(page, strings.connections);
  await checkPage(page, 'admin-connections-desktop-light');
  await page.getByRole('button', { name: strings.connection.connect, exact: true }).click();
  await page.getByRole('alert').getByText(strings.connection.resourceMissing.title).waitFor();
  const service = client({ name: 'This server itself', redirects: [`${issuer}/oauth/remote/callback`] });
  await page.getByText(strings.connection.manual).click();
  await page.getByLabel(strings.connection.resource).fill(`${issuer}/mcp`);
  await page.getByLabel(strings.connection.clientId).fill(service.client_id);
  await page.getByLabel(strings.connection.authorizationEndpoint).fill(`${issuer}/api/oauth/authorize`);
  await page.getByLabel(strings.connection.tokenEndpoint).fill(`${issuer}/api/oauth/token`);
  await page.getByLabel(strings.connection.scope, { exact: true }).fill('openid offline_access');
  await checkPage(page, 'admin-connections-by-hand-desktop-light');
  await page.getByRole('button', { name: strings.connection.connect, exact: true }).click();
  await waitForHeading(page, formatMessage(messages.consent.heading, { client: 'This server itself' }));
  await page.getByRole('button', { name: messages.consent.allow, exact: true }).click();
  await waitForHeading(page, messages.remote.connected.title);
  await checkPage(page, 'remote-connected-desktop-light');
  assert.equal(new URL(page.url()).search, '');
  await page.getByRole('link', { name: messages.remote.back }).click();
  await page.getByText(strings.connection.statuses.connected, { exact: true }).waitFor();
  await checkPage(page, 'admin-connections-connected-desktop-light');
  await page.getByRole('button', { name: formatMessage(strings.connection.editNamed, { name: `${issuer}/mcp` }) }).click();
  await page.locator('form.edit').getByLabel(strings.connection.scope, { exact: true }).fill('openid');
  await checkPage(page, 'admin-connections-change-desktop-light');
  await page.getByRole('button', { name: strings.connection.save, exact: true }).click();
  await page.getByText(strings.connection.saved.title).waitFor();
  await page.getByRole('button', { name: formatMessage(strings.connection.removeNamed, { name: `${issuer}/mcp` }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.connection.remove }).click();
  await page.getByText(strings.connection.removed.title).waitFor();
});

test('issue 15: a resource is added with scopes, shown at the consent page, changed and removed', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }));
  const host = `tools-${Date.now()}.example`;
  const url = `https://${host}/mcp`;
  const scope = `${host}/read`;
  await openPath(page, '/admin/oauth#resources');
  await waitForHeading(page, strings.resources);
  await page.getByRole('button', { name: strings.resource.add, exact: true }).click();
  await page.getByRole('alert').getByText(strings.resource.urlMissing.title).waitFor();
  await page.getByLabel(strings.resource.url, { exact: true }).fill(url);
  await page.getByLabel(strings.resource.name, { exact: true }).fill('Tools');
  await page.getByLabel(strings.resource.scopes, { exact: true }).fill(`${scope} [Nobody] Read your tools`);
  await page.getByRole('button', { name: strings.resource.add, exact: true }).click();
  await page.getByText(strings.resource.unknownRole.title).waitFor();
  await page.getByLabel(strings.resource.scopes, { exact: true }).fill(`${scope} Read your tools\n${host}/write [admin] Change your tools`);
  await page.getByRole('button', { name: strings.resource.add, exact: true }).click();
  await page.getByText(strings.resource.added.title).waitFor();
  await page.getByText('Read your tools').waitFor();
  await page.getByText(strings.resource.metadata).first().click();
  await page.getByText(`https://${host}/.well-known/oauth-protected-resource/mcp`).waitFor();
  await checkPage(page, 'admin-resources-desktop-light');

  const app = client({ name: 'Workshop', type: 'confidential', scope: `openid ${scope}` });
  const back = await callbackServer(t);
  const frigg = await openBrowser(t, member('Frigg'));
  await frigg.goto((await startCodeFlow(app, back.uri, { scope: `openid ${scope}`, resource: url })).url);
  await waitForHeading(frigg, formatMessage(messages.consent.heading, { client: 'Workshop' }));
  await frigg.getByText(formatMessage(messages.scopes.ofResource, { resource: 'Tools' })).waitFor();
  await frigg.getByText('Read your tools').waitFor();
  await frigg.getByText(url, { exact: true }).waitFor();
  await checkPage(frigg, 'consent-resource-desktop-light');
  await frigg.getByRole('button', { name: messages.consent.allow, exact: true }).click();
  await back.next(frigg);

  // The form of an application offers what the member's roles give.
  await openPath(frigg, '/settings/clients#new');
  await frigg.locator('summary').first().click();
  await frigg.getByText(formatMessage(messages.scopes.ofResource, { resource: 'Tools' })).waitFor();
  await frigg.getByLabel('Read your tools', { exact: true }).check();
  assert.equal(await frigg.getByText('Change your tools').count(), 0);
  await checkPage(frigg, 'clients-new-resource-desktop-light');

  await page.getByRole('button', { name: formatMessage(strings.resource.change, { name: 'Tools' }) }).click();
  await page.getByLabel(strings.resource.scopes, { exact: true }).fill(`${scope} [Member] Read all tools`);
  await page.getByRole('button', { name: strings.resource.save, exact: true }).click();
  await page.getByText(strings.resource.saved.title).waitFor();
  await page.getByText('Read all tools').waitFor();
  await page.getByRole('button', { name: formatMessage(strings.resource.removeNamed, { name: 'Tools' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.resource.remove }).click();
  await page.getByText(strings.resource.removed.title).waitFor();
  await openPath(frigg, '/settings/applications');
  await frigg.getByText(messages.applications.outdated).waitFor();
  assert.equal(await frigg.getByText(/^Gets these permissions again without asking/).count(), 0);
  await checkPage(frigg, 'applications-outdated-desktop-light');
});

test('issue 16: a trusted issuer is added, maps a member, is changed and removed', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }));
  const frigg = member('Frigg');
  const url = `https://idp-${Date.now()}.example`;
  const name = `Company ${Date.now()}`;
  await openPath(page, '/admin/oauth#issuers');
  await waitForHeading(page, strings.issuers);
  await page.getByRole('button', { name: strings.issuer.add, exact: true }).click();
  await page.getByRole('alert').getByText(strings.issuer.urlMissing.title).waitFor();
  await page.getByLabel(strings.issuer.url, { exact: true }).fill(url);
  await page.getByLabel(strings.issuer.name, { exact: true }).fill(name);
  await page.getByRole('button', { name: strings.issuer.add, exact: true }).click();
  await page.getByText(strings.issuer.added.title).waitFor();
  await page.getByText(strings.issuer.mapTitle).first().click();
  await page.getByLabel(strings.issuer.subject, { exact: true }).first().fill('00u1');
  await page.getByLabel(strings.issuer.handle, { exact: true }).first().fill(frigg.handle);
  await page.getByRole('button', { name: strings.issuer.map, exact: true }).first().click();
  await page.getByText(strings.issuer.mapped.title).waitFor();
  await page.getByText(`@${frigg.handle}`).waitFor();
  await page.getByText(strings.issuer.mapTitle).first().click();
  await page.getByLabel(strings.issuer.subject, { exact: true }).first().fill('00u2');
  await page.getByLabel(strings.issuer.handle, { exact: true }).first().fill(frigg.handle);
  await page.getByRole('button', { name: strings.issuer.map, exact: true }).first().click();
  const unmap = (subject) => page.getByRole('button', { name: formatMessage(strings.issuer.unmapNamed, { subject }) });
  await unmap('00u2').waitFor();
  await checkPage(page, 'admin-issuers-desktop-light');
  await page.setViewportSize(PHONE);
  const [one, other] = [await unmap('00u1').boundingBox(), await unmap('00u2').boundingBox()];
  assert.ok(other.y - (one.y + one.height) >= 6, 'the buttons do not touch');
  await checkPage(page, 'admin-issuers-phone-light');
  await page.setViewportSize(DESKTOP);
  for (const subject of ['00u1', '00u2']) {
    await unmap(subject).click();
    await unmap(subject).waitFor({ state: 'detached' });
  }
  await page.getByRole('button', { name: formatMessage(strings.issuer.change, { name }) }).click();
  await page.getByLabel(strings.issuer.byEmail).check();
  await page.getByRole('button', { name: strings.issuer.save, exact: true }).click();
  await page.getByText(strings.issuer.saved.title).waitFor();
  await page.getByText(strings.issuer.mapsByEmail).waitFor();
  await page.getByRole('button', { name: formatMessage(strings.issuer.removeNamed, { name }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.issuer.remove }).click();
  await page.getByText(strings.issuer.removed.title).waitFor();
});
