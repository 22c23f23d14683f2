// The way of a new user from a click in an application to the end of its access; on each engine.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { texts } from '../../web/texts.js';
import { begin } from './code_flow.mjs';
import { PHONE, browse, callback, open, said, sees } from './browser.mjs';
import { client, member, profile, refresh } from './community.mjs';

test('issue 8: from a click in an application to its tokens, and to the end of its access', async (t) => {
  const [frigg, back] = [member('Frigg'), await callback(t)];
  const app = client({ name: 'Reading list', redirects: [back.uri] });
  const page = await browse(t, null, { viewport: PHONE });
  const { url, finish } = await begin(app, back.uri);

  await page.goto(url);
  await sees(page, texts.login.heading);
  await page.getByLabel(texts.login.identifier).fill(frigg.handle);
  await page.getByLabel(texts.login.password, { exact: true }).fill(frigg.password);
  await page.getByRole('button', { name: texts.login.submit }).click();
  if (profile === 'storyden') {
    await sees(page, texts.index.heading); // it forgets where the person was going
    await page.goto(url);
  }
  await sees(page, said(texts.consent.heading, { client: 'Reading list' }));
  await page.getByRole('button', { name: texts.consent.allow, exact: true }).click();
  const tokens = await finish(await back.next());
  assert.equal(tokens.claims().sub, frigg.id);

  await open(page, '/settings/applications');
  await page.getByRole('button', { name: said(texts.applications.revokeNamed, { name: 'Reading list' }) }).click();
  await page.getByRole('dialog').getByRole('button', { name: texts.applications.revoke }).click();
  await page.getByText(texts.applications.empty.title).waitFor();
  assert.equal((await refresh(app, tokens)).status, 400);
});
