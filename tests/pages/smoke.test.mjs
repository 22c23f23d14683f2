// One flow on every engine: from the authorization request of a client to the revocation of its access.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { messages } from './messages.mjs';
import { startCodeFlow } from './code_flow.mjs';
import { PHONE, openBrowser, callbackServer, openPath, formatMessage, waitForHeading } from './browser.mjs';
import { client, member, profile, refresh } from './community.mjs';

test('issue 8: from the authorization request of a client to its tokens and their revocation', async (t) => {
  const [frigg, back] = [member('Frigg'), await callbackServer(t)];
  const app = client({ name: 'Reading list', redirects: [back.uri] });
  const page = await openBrowser(t, null, { viewport: PHONE });
  const { url, finish } = await startCodeFlow(app, back.uri);

  await page.goto(url);
  await waitForHeading(page, messages.login.heading);
  await page.getByLabel(messages.login.identifier).fill(frigg.handle);
  await page.getByLabel(messages.login.password, { exact: true }).fill(frigg.password);
  await page.getByRole('button', { name: messages.login.submit }).click();
  if (profile === 'storyden') {
    await waitForHeading(page, messages.index.heading); // this profile drops return_url
    await page.goto(url);
  }
  await waitForHeading(page, formatMessage(messages.consent.heading, { client: 'Reading list' }));
  await page.getByRole('button', { name: messages.consent.allow, exact: true }).click();
  const tokens = await finish(await back.next(page));
  assert.equal(tokens.claims().sub, frigg.id);

  await openPath(page, '/settings/applications');
  await page.getByRole('button', { name: formatMessage(messages.applications.revokeNamed, { name: 'Reading list' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: messages.applications.revoke }).click();
  await page.getByText(messages.applications.empty.title).waitFor();
  assert.equal((await refresh(app, tokens)).status, 400);
});
