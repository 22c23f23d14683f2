// The overview, the first page of administrators, in English and in Arabic (right to left).
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PHONE, checkPage, checkPageEverywhere, formatMessage, openBrowser, openPath, waitForHeading } from './browser.mjs';
import { client, deviceClient, issuer, member, poll, post, startDevice } from './community.mjs';
import { messagesOf } from './messages.mjs';

const PATH = '**/api/admin/oauth/overview';
const HOURS = 24;
const DAYS = 30;

/** Counts of `length` intervals that look like a day of a community. */
const counts = (length, scale) => Array.from({ length }, (_, index) => Math.round(scale * Math.max(0, Math.sin((index / length) * Math.PI * 2 - 1))));

function figures(length, scale) {
  const none = new Array(length).fill(0);
  const single = none.with(length - 4, 2);
  return {
    starts_at: length === DAYS ? '2026-10-30T00:00:00Z' : '2026-11-27T10:00:00Z',
    interval_seconds: length === DAYS ? 86_400 : 3_600,
    sign_ins: counts(length, scale),
    approvals: counts(length, scale / 3),
    repeated_approvals: counts(length, scale / 2),
    tokens: ['authorization_code', 'client_credentials', 'device_code', 'jwt_bearer', 'refresh_token', 'token_exchange'].map((grant_type, index) => ({
      grant_type,
      counts: counts(length, (scale * (index + 2)) / 2),
    })),
    client_errors: single,
    errors_by_client: [
      { kind: 'client', id: 'dc52m97k5m8qlgngkhv0', client_id: 'sdoak_rDC4mkNETaT1elnxSZJlERwa', name: 'Reading list of the community', errors: 1_204 },
      { kind: 'client', id: 'dc52m97k5m8qlgngkhv1', errors: 12 },
      { kind: 'unknown', errors: 2 },
      { kind: 'other', errors: 1 },
    ],
    thefts: length === DAYS ? single : none,
    lockouts: none,
  };
}

const BUSY = {
  version: '1.2.3',
  statistics: { retention_seconds: 7_776_000, last_day: figures(HOURS, 1_300), last_month: figures(DAYS, 20_000) },
  alerts: [
    {
      status: 'fail',
      check: 'storyden',
      finding: 'OAUTH_SIGNING_KEY_BASE64 is not set: the Storyden verifies access tokens with its own key and rejects the tokens of this server',
      advice: 'set OAUTH_SIGNING_KEY_BASE64 (and OAUTH_SIGNING_KEY_ID, if set) to the values of the Storyden',
    },
    { status: 'warn', check: 'clean-up', finding: 'sessions: at least 10000 due, never completed, 0 deleted', advice: 'leave `serve` running' },
  ],
  backlog: {
    due_rows: 10_040,
    steps: [{ name: 'sessions', due_rows: 10_000, more: true }, { name: 'authorization codes', due_rows: 40, more: false }],
    completed_at: '2026-11-28T09:00:00Z',
    revocation_in_progress: true,
  },
  signing_keys: [
    { algorithm: 'ES256', kid: '0a1b2c3d4e5f6071', signs_from: '2026-11-02T09:00:00Z', rotates_at: '2027-01-31T09:00:00Z' },
    { algorithm: 'RS256', kid: 'settings-key' },
  ],
};

for (const [language, locale] of [['en', 'en-GB'], ['ar', 'ar']]) {
  const messages = messagesOf(language);
  const words = messages.admin.overviewPage;

  test(`issue 18: the overview of a busy community: ${language}`, async (t) => {
    const page = await openBrowser(t, member('Odin', { admin: true }), { viewport: PHONE, locale });
    await page.route(PATH, (route) => route.fulfill({ json: BUSY }));
    await openPath(page, '/admin/oauth');
    await waitForHeading(page, messages.admin.overview);
    assert.equal(await page.locator('.chart').count(), 6);
    await page.getByText(words.nothing).first().waitFor();
    await checkPageEverywhere(page, `${language}-overview-day`);
    await page.getByRole('link', { name: words.periods.month }).click();
    await page.getByText(words.countedMonth).waitFor();
    for (const details of await page.locator('.chart summary').all()) await details.click();
    await checkPageEverywhere(page, `${language}-overview-month-values`);
    await page.reload();
    await page.getByText(words.countedMonth).waitFor();
    // The bars run in the direction of reading.
    const bars = await page.locator('.chart svg[role=img]').first().locator('.slot').evaluateAll((slots) => slots.map((slot) => slot.getBoundingClientRect().left));
    assert.equal(bars.length, DAYS);
    assert.equal(bars[0] < bars[DAYS - 1], language !== 'ar');
  });

  test(`issue 18: the overview of a new server, and without statistics: ${language}`, async (t) => {
    const page = await openBrowser(t, member('Odin', { admin: true }), { viewport: PHONE, locale });
    const { statistics, ...rest } = BUSY;
    const quiet = { ...rest, alerts: [], signing_keys: [], backlog: { due_rows: 0, steps: [], revocation_in_progress: false } };
    const none = (length) => {
      const nothing = new Array(length).fill(0);
      const empty = { sign_ins: nothing, approvals: nothing, repeated_approvals: nothing, tokens: [], client_errors: nothing, errors_by_client: [], thefts: nothing, lockouts: nothing };
      return { ...figures(length, 0), ...empty };
    };
    let answer = { ...quiet, statistics: { ...statistics, last_day: none(HOURS), last_month: none(DAYS) } };
    await page.route(PATH, (route) => route.fulfill({ json: answer }));
    await openPath(page, '/admin/oauth#overview');
    await page.getByText(words.noAlerts).waitFor();
    assert.equal(await page.getByText(words.nothing).count(), 6);
    await checkPageEverywhere(page, `${language}-overview-empty`);
    answer = quiet;
    await page.reload();
    await page.getByText(words.off.title).waitFor();
    await checkPageEverywhere(page, `${language}-overview-off`);
  });
}

test('issue 18: the overview shows what happened on this server', async (t) => {
  const messages = messagesOf('en');
  const words = messages.admin.overviewPage;
  const app = deviceClient({ name: 'Lighthouse' });
  const frigg = await openBrowser(t, member('Frigg'));
  const device = await startDevice(app);
  const path = `${issuer}/api/oauth/device/consent`;
  await frigg.context().request.get(`${path}?user_code=${device.user_code}`);
  await frigg.context().request.post(path, { data: { user_code: device.user_code, decision: 'approve' }, headers: { origin: issuer } });
  assert.equal((await poll(app, device)).status, 200);
  const broken = client({ name: `Broken ${device.user_code}` });
  for (let round = 0; round < 40; round += 1) {
    const { status } = await post('/api/oauth/token', { grant_type: 'refresh_token', client_id: broken.client_id, refresh_token: 'x' });
    assert.equal(status, 400);
  }
  const page = await openBrowser(t, member('Odin', { admin: true }));
  await openPath(page, '/admin/oauth');
  await waitForHeading(page, messages.admin.overview);
  // Counts are written every ten seconds.
  const row = page.getByRole('row', { name: new RegExp(broken.name) });
  while ((await row.count()) === 0) {
    await page.reload();
    await waitForHeading(page, messages.admin.overview);
  }
  await row.getByText('40', { exact: true }).waitFor();
  const chart = page.locator('.chart', { hasText: words.charts.tokens });
  await chart.getByRole('img', { name: new RegExp(`^${words.charts.tokens}`) }).waitFor();
  await chart.getByText(words.values).click();
  await chart.getByRole('table').waitFor();
  await checkPage(page, 'overview-real-desktop-light');
  await page.getByRole('link', { name: broken.name }).click();
  await waitForHeading(page, broken.name);
  await page.goBack();
  await page.getByRole('link', { name: words.periods.month }).click();
  await page.getByText(words.countedMonth).waitFor();
  await page.getByText(formatMessage(words.doctor, { command: 'storyden-auth doctor' })).waitFor();
});
