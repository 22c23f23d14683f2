// The viewer of the API document. Violations of the Content Security Policy fail the test (browser.mjs).
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openBrowser, openPath } from './browser.mjs';
import { issuer } from './community.mjs';

test('issue 19: /api/docs shows the document from this origin alone', async (t) => {
  const page = await openBrowser(t, null);
  const foreign = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== issuer) foreign.push(url.href);
  });
  await openPath(page, '/api/docs');
  await page.getByRole('heading', { name: 'storyden-auth' }).waitFor();
  for (const tag of ['Applications', 'Discovery', 'Members', 'Administrators']) {
    await page.getByRole('link', { name: tag, exact: true }).waitFor();
  }
  await page.getByText('Exchange a grant for tokens').click();
  await page.getByText('A code, a device code and a refresh token work once.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Try it out' }).count(), 0);
  assert.deepEqual(foreign, []);
});
