// The administrators' pages of members, and of blocked applications.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { messages } from './messages.mjs';
import { PHONE, checkPage, formatMessage, openBrowser, openPath, signIn, waitForHeading } from './browser.mjs';
import { deviceClient, issuer, member, poll, runCommand, startDevice } from './community.mjs';

const strings = messages.admin;

/** Lets a signed-in member allow an application. */
async function approve(page, app) {
  const device = await startDevice(app);
  const path = `${issuer}/api/oauth/device/consent`;
  await page.context().request.get(`${path}?user_code=${device.user_code}`);
  await page.context().request.post(path, { data: { user_code: device.user_code, decision: 'approve' }, headers: { origin: issuer } });
  assert.equal((await poll(app, device)).status, 200);
}

test('issue 18: members are searched, filtered, sorted, and the address remembers it', async (t) => {
  const odin = member('Odin', { admin: true });
  const tag = odin.handle.slice(-6);
  const friggs = member('Frigg');
  runCommand('account', 'suspend', friggs.handle, '--yes');
  const page = await openBrowser(t, odin);
  await openPath(page, '/admin/oauth#members');
  await waitForHeading(page, strings.members);
  await checkPage(page, 'admin-members-desktop-light');
  await page.getByLabel(strings.memberList.search).fill(friggs.handle);
  await page.keyboard.press('Enter');
  await page.getByText(formatMessage(messages.lists.count.one, { count: '1' })).waitFor();
  const row = page.getByRole('row', { name: new RegExp(friggs.handle) });
  await row.getByText(strings.memberList.states.suspended).waitFor();
  await page.reload();
  assert.equal(await page.getByLabel(strings.memberList.search).inputValue(), friggs.handle);
  await page.getByLabel(strings.memberList.state).selectOption('active');
  await page.getByRole('button', { name: strings.filter, exact: true }).click();
  await page.getByText(strings.noMatch.title).waitFor();
  await checkPage(page, 'admin-members-none-desktop-light');
  await openPath(page, `/admin/oauth#members?q=${tag}`);
  await openPath(page, '/admin/oauth#members?sort=-joined');
  await page.getByRole('columnheader', { name: strings.memberList.joined }).waitFor();
  assert.equal(await page.getByRole('columnheader', { name: strings.memberList.joined }).getAttribute('aria-sort'), 'descending');
  await page.getByRole('link', { name: strings.memberList.joined }).click();
  await page.waitForURL(/sort=joined/);
  await page.setViewportSize(PHONE);
  await checkPage(page, 'admin-members-phone-light');
});

test('issue 18: the members are cards on a phone in the dark', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }), { viewport: PHONE, dark: true });
  await openPath(page, '/admin/oauth#members');
  await waitForHeading(page, strings.members);
  await checkPage(page, 'admin-members-phone-dark');
});

test('issue 18: a member is shown, gets and loses a role, is signed out, suspended and reinstated', async (t) => {
  const friggs = member('Frigg');
  const frigg = await openBrowser(t, friggs);
  const app = deviceClient({ name: 'Radio' });
  await approve(frigg, app);
  await frigg.context().request.post(`${issuer}/api/auth/access-keys`, { data: { name: 'Laptop' }, headers: { origin: issuer } });
  const page = await openBrowser(t, member('Odin', { admin: true }));
  await openPath(page, `/admin/oauth#member/@${friggs.handle}`);
  await waitForHeading(page, `Frigg (@${friggs.handle})`);
  await page.getByText(friggs.id, { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Radio' }).waitFor();
  await page.getByRole('heading', { name: 'Laptop' }).waitFor();
  await checkPage(page, 'admin-member-desktop-light');
  const dialog = page.getByRole('dialog');

  await page.getByLabel(strings.member.giveLabel, { exact: true }).selectOption({ label: 'Admin' });
  await page.getByRole('button', { name: strings.member.give }).click();
  await dialog.getByText(strings.member.giveQuestion.text).waitFor();
  await checkPage(page, 'admin-member-give-desktop-light');
  await dialog.getByRole('button', { name: strings.member.give }).click();
  await page.getByText(strings.member.roleGiven.title).waitFor();
  await page.getByRole('button', { name: formatMessage(strings.member.takeNamed, { role: 'Admin' }) }).click();
  await dialog.getByRole('button', { name: strings.member.take }).click();
  await page.getByText(strings.member.roleTaken.title).waitFor();

  await page.getByRole('button', { name: formatMessage(strings.member.revokeKeyNamed, { name: 'Laptop' }) }).click();
  await dialog.getByRole('button', { name: strings.member.revoke }).click();
  await page.getByText(strings.member.keyRevoked.title).waitFor();
  await page.getByText(strings.member.noKeys).waitFor();

  await page.getByRole('button', { name: strings.member.signOut.action, exact: true }).last().click();
  await dialog.getByRole('button', { name: strings.member.signOut.action }).click();
  await page.getByText(strings.member.signedOut.title).waitFor();
  await page.getByText(strings.member.noSessions).waitFor();
  await frigg.goto(`${issuer}/settings/security`);
  await waitForHeading(frigg, messages.login.heading);

  await page.getByRole('button', { name: strings.member.suspend.action, exact: true }).click();
  await checkPage(page, 'admin-member-suspend-desktop-light');
  await dialog.getByRole('button', { name: strings.member.suspend.action }).click();
  await page.getByText(strings.member.suspendedMessage.title).waitFor();
  await page.getByText(strings.member.noApplications).waitFor();
  await page.setViewportSize(PHONE);
  await checkPage(page, 'admin-member-suspended-phone-light');
  await page.getByRole('button', { name: strings.member.reinstate }).click();
  await page.getByText(strings.member.reinstated.title).waitFor();
  await signIn(frigg.context(), friggs);
});

test('issue 18: the own account cannot be suspended, and an unknown member is not found', async (t) => {
  const odin = member('Odin', { admin: true });
  const page = await openBrowser(t, odin, { viewport: PHONE, dark: true });
  await openPath(page, `/admin/oauth#member/${odin.id}`);
  await waitForHeading(page, `Odin (@${odin.handle})`);
  assert.equal(await page.getByRole('button', { name: strings.member.suspend.action, exact: true }).count(), 0);
  await page.getByRole('button', { name: formatMessage(strings.member.takeNamed, { role: 'Admin' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.member.take }).click();
  await page.getByText(/cannot take ADMINISTRATOR from your own account/).waitFor();
  await checkPage(page, 'admin-member-own-phone-dark');
  await openPath(page, '/admin/oauth#member/none');
  await page.getByText(strings.member.notFound.title).waitFor();
  await checkPage(page, 'admin-member-not-found-phone-dark');
});

test('issue 18: beside a Storyden a member is shown without changes', async (t) => {
  const friggs = member('Frigg');
  const page = await openBrowser(t, member('Odin', { admin: true }));
  await page.route(/\/api\/admin\/oauth\/members\/[^?]*$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), kept_by_storyden: true } });
  });
  await openPath(page, `/admin/oauth#member/${friggs.handle}`);
  await page.getByText(strings.member.storyden.title).waitFor();
  assert.equal(await page.getByRole('button', { name: strings.member.suspend.action, exact: true }).count(), 0);
  assert.equal(await page.getByLabel(strings.member.giveLabel, { exact: true }).count(), 0);
  await checkPage(page, 'admin-member-storyden-desktop-light');
});

test('issue 18: an application known by its address is blocked, and the block ends', async (t) => {
  const page = await openBrowser(t, member('Odin', { admin: true }));
  const url = `https://app-${Date.now()}.example/client.json`;
  runCommand('client', 'block', url, '--yes');
  await openPath(page, '/admin/oauth#clients');
  await page.getByRole('link', { name: strings.blocked.link }).click();
  await waitForHeading(page, strings.blocked.title);
  await page.getByText(url, { exact: true }).waitFor();
  await checkPage(page, 'admin-blocked-desktop-light');
  await page.getByRole('button', { name: formatMessage(strings.blocked.endNamed, { client: url }) }).click();
  await page.getByText(strings.blocked.ended.title).waitFor();
  await page.getByText(url, { exact: true }).waitFor({ state: 'detached' });

  // A client known by its address; its host does not exist, so the answers are made up.
  const app = { id: 'c0000000000000000000', client_id: url, name: 'Editor', type: 'public', scope_policy: 'explicit', redirect_uris: [], allowed_scopes: [], allowed_grants: ['authorization_code'], createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z' };
  await page.route(/\/api\/admin\/oauth\/clients\/c0000000000000000000$/, (route) => route.fulfill({ json: app }));
  await openPath(page, `/admin/oauth#client/${app.id}`);
  await waitForHeading(page, 'Editor');
  await page.getByRole('button', { name: strings.blocked.block }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.blocked.block }).click();
  await page.getByText(formatMessage(strings.blocked.done.title, { name: 'Editor' })).waitFor();
  await page.getByText(url, { exact: true }).waitFor();
});
