// The consent page of the code flow: protection of the member, and error cases.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import * as openid from 'openid-client';

import { messages } from './messages.mjs';
import { DESKTOP, PHONE, openBrowser, callbackServer, assertGuarded, checkPage, checkPageEverywhere, waitUntilEnabled, formatMessage, waitForHeading, signIn, stopClock } from './browser.mjs';
import { startCodeFlow } from './code_flow.mjs';
import { runCommand, client, expire, issuer, member } from './community.mjs';

const strings = messages.consent;
const asks = (name) => formatMessage(strings.heading, { client: name });
const allow = (page) => page.getByRole('button', { name: strings.allow, exact: true });
const deny = (page) => page.getByRole('button', { name: strings.deny, exact: true });

/** Creates a client on another host; requests to that host are answered by the test. */
async function elsewhere(page, host) {
  const visits = [];
  await page.route(`https://${host}/**`, (route) => {
    visits.push(new URL(route.request().url()));
    return route.fulfill({ contentType: 'text/html', body: '<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><h1>The app</h1>' });
  });
  return visits;
}

test('req_192, req_118: shows the client, the redirect URI, the scopes and the account, and redirects with a code', async (t) => {
  const [frigg, back] = [member('Frigg'), await callbackServer(t)];
  const app = client({ name: 'Reading list', scope: 'openid profile email offline_access CREATE_POST MANAGE_POSTS READ_PROFILE', redirects: ['https://reading.example/callback', 'http://127.0.0.1/callback'] });
  const page = await openBrowser(t, frigg);
  const visits = await elsewhere(page, 'reading.example');
  const asked = { scope: 'openid profile email offline_access CREATE_POST MANAGE_POSTS READ_PROFILE' };
  await page.goto((await startCodeFlow(app, 'https://reading.example/callback', asked)).url);
  await waitForHeading(page, asks('Reading list'));
  await page.getByText('reading.example', { exact: true }).waitFor();
  await page.getByText(messages.scopes.labels.CREATE_POST).waitFor();
  await page.getByText(`@${frigg.handle}`).waitFor();
  // scopes that the member lacks are listed as not granted
  await page.getByText(messages.scopes.refused.one.replace('{count}', '1')).click();
  await page.getByText(messages.scopes.labels.MANAGE_POSTS).waitFor();
  await checkPageEverywhere(page, 'consent');
  assert.deepEqual(visits, []);

  const { url, finish } = await startCodeFlow(app, back.uri);
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  await page.getByText(strings.loopbackWarning).waitFor();
  await checkPageEverywhere(page, 'consent-loopback');
  await allow(page).click();
  const tokens = await finish(await back.next(page));
  assert.equal(tokens.claims().sub, frigg.id);
});

test('issue 15: a permission is left out by keyboard, openid cannot be, and the tokens say what was granted', async (t) => {
  const [app, back] = [client({ scope: 'openid profile offline_access CREATE_POST' }), await callbackServer(t)];
  const page = await openBrowser(t, member('Frigg'), { viewport: PHONE });
  const { url, finish } = await startCodeFlow(app, back.uri, { scope: 'openid profile offline_access CREATE_POST' });
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  await page.getByText(messages.scopes.selectHint).waitFor();
  const box = (name) => page.getByLabel(messages.scopes.labels[name], { exact: true });
  assert.equal(await box('openid').isDisabled(), true);
  assert.equal(await box('openid').isChecked(), true);
  await box('CREATE_POST').focus();
  await page.keyboard.press('Space');
  await page.getByText(messages.scopes.labels.profile).click();
  await checkPageEverywhere(page, 'consent-left-out');
  await allow(page).click();
  const tokens = await finish(await back.next(page));
  assert.equal(tokens.scope, 'openid offline_access');
});

test('issue 15, A-37: privileged permissions are listed and confirmed a second time', async (t) => {
  const [odin, back] = [member('Odin', { admin: true }), await callbackServer(t)];
  const app = client({ name: 'Admin tool', scope: 'openid CREATE_POST ADMINISTRATOR' });
  const page = await openBrowser(t, odin);
  const ask = async () => {
    const flow = await startCodeFlow(app, back.uri, { scope: 'openid CREATE_POST ADMINISTRATOR' });
    await page.goto(flow.url);
    await waitForHeading(page, asks('Admin tool'));
    return flow.finish;
  };
  const confirmHeading = formatMessage(strings.confirmHeading, { client: 'Admin tool' });
  const finish = await ask();
  // the second click of a double click does not confirm
  await allow(page).dblclick();
  await waitForHeading(page, confirmHeading);
  await page.locator('#confirm').getByText(messages.scopes.labels.ADMINISTRATOR).waitFor();
  assert.equal(await page.locator('#confirm').getByText(messages.scopes.labels.CREATE_POST).count(), 0);
  await checkPageEverywhere(page, 'consent-confirm');
  await page.getByRole('button', { name: strings.goBack }).click();
  await waitForHeading(page, asks('Admin tool'));
  await allow(page).click();
  await page.getByRole('button', { name: strings.confirm }).click();
  assert.equal((await finish(await back.next(page))).scope, 'openid CREATE_POST ADMINISTRATOR');

  // without the privileged permission there is nothing to confirm
  const again = await ask();
  await page.getByLabel(messages.scopes.labels.ADMINISTRATOR, { exact: true }).uncheck();
  await allow(page).click();
  assert.equal((await again(await back.next(page))).scope, 'openid CREATE_POST');
});

test('issue 15, req_127: a click soon after the confirmation was shown has no effect (double-clickjacking)', async (t) => {
  const [odin, back] = [member('Odin', { admin: true }), await callbackServer(t)];
  const app = client({ name: 'Admin tool', scope: 'openid ADMINISTRATOR' });
  const page = await openBrowser(t, odin);
  await stopClock(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  await page.goto((await startCodeFlow(app, back.uri, { scope: 'openid ADMINISTRATOR' })).url);
  await waitForHeading(page, asks('Admin tool'));
  await page.getByText(`@${odin.handle}`).waitFor(); // the last element that is loaded
  await page.clock.runFor(500);
  await waitUntilEnabled(allow(page));
  await allow(page).click();
  await waitForHeading(page, formatMessage(strings.confirmHeading, { client: 'Admin tool' }));
  await assertGuarded(page, page.getByRole('button', { name: strings.confirm }), async () => sent.length > 0);
  await page.getByRole('button', { name: strings.confirm }).click();
  assert.ok((await back.next(page)).searchParams.has('code'));
  assert.equal(sent.length, 1);
});

test('issue 15: an approval is remembered: no page with a session, and none after a sign-in', async (t) => {
  const [frigg, back] = [member('Frigg'), await callbackServer(t)];
  const app = client({ name: 'Recipes', type: 'confidential' });
  const page = await openBrowser(t, frigg);
  const first = await startCodeFlow(app, back.uri);
  await page.goto(first.url);
  await waitForHeading(page, asks('Recipes'));
  await page.getByText(strings.remembers).waitFor();
  await checkPageEverywhere(page, 'consent-remembers');
  await allow(page).click();
  await first.finish(await back.next(page));

  const second = await startCodeFlow(app, back.uri);
  await page.goto(second.url);
  assert.equal((await second.finish(await back.next(page))).claims().sub, frigg.id);

  await page.context().clearCookies();
  const third = await startCodeFlow(app, back.uri);
  await page.goto(third.url);
  await waitForHeading(page, messages.login.heading);
  await page.getByLabel(messages.login.identifier).fill(frigg.handle);
  await page.getByLabel(messages.login.password, { exact: true }).fill(frigg.password);
  await page.getByRole('button', { name: messages.login.submit }).click();
  assert.equal((await third.finish(await back.next(page))).claims().sub, frigg.id);

  const shown = await startCodeFlow(app, back.uri, { prompt: 'consent' });
  await page.goto(shown.url);
  await waitForHeading(page, asks('Recipes'));
  await deny(page).click();
  assert.equal((await back.next(page)).searchParams.get('error'), 'access_denied');
});

test('issue 8: a denial by keyboard redirects to the client', async (t) => {
  const [app, back] = [client(), await callbackServer(t)];
  const page = await openBrowser(t, member('Frigg'), { viewport: PHONE });
  const { url } = await startCodeFlow(app, back.uri);
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  // The heading has the focus; the tab order is sign-out, address, buttons.
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press('Tab');
    if (await deny(page).evaluate((button) => button === document.activeElement)) break;
  }
  await page.keyboard.press('Enter');
  const address = await back.next(page);
  assert.equal(address.searchParams.get('error'), 'access_denied');
  assert.equal(address.searchParams.get('code'), null);
});

test('issue 13: a client that changed while the page was open is shown again', async (t) => {
  const [thor, back] = [member('Thor'), await callbackServer(t)];
  const app = client({ name: 'Reading list', redirects: ['http://127.0.0.1/callback'], more: ['--owner', thor.handle] });
  const owner = await openBrowser(t, thor);
  const page = await openBrowser(t, member('Frigg'));
  const { url, finish } = await startCodeFlow(app, back.uri);
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  const path = `${issuer}/api/auth/oauth/clients/${app.id}`;
  const renamed = await owner.context().request.patch(path, { data: { name: 'Bank' }, headers: { origin: issuer } });
  assert.equal(renamed.status(), 200, await renamed.text());
  await allow(page).click();
  await page.getByRole('alert').getByText(strings.changed.title).waitFor();
  await waitForHeading(page, asks('Bank'));
  await checkPage(page, 'consent-changed-desktop-light');
  await allow(page).click();
  await finish(await back.next(page));
});

test('A-9, req_160, req_140: homograph hosts, loopback, custom schemes, subdomains and deceptive names are marked', async (t) => {
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  const cases = [
    ['https://xn--pp-6kc.example/cb', 'xn--pp-6kc.example', strings.homographWarning],
    ['http://localhost/callback', 'localhost', strings.loopbackWarning],
    ['com.example.reader:/callback', 'com.example.reader:', strings.customSchemeWarning],
    ['https://login.bank.example.evil.example/cb', 'login.bank.example.evil.example', strings.subdomainHint],
  ];
  for (const [uri, host, warning] of cases) {
    const app = client({ name: 'Reader', redirects: [uri] });
    await page.goto((await startCodeFlow(app, uri)).url);
    await waitForHeading(page, asks('Reader'));
    assert.equal(await page.locator('#host').textContent(), host);
    await page.getByText(warning).waitFor();
  }
  await checkPage(page, 'consent-deep-host-desktop-light');
  const hostile = '<img src=x onerror=alert(1)> "Official" Storyden';
  const app = client({ name: hostile, redirects: ['https://evil.example/cb'] });
  await page.goto((await startCodeFlow(app, 'https://evil.example/cb')).url);
  await waitForHeading(page, asks(hostile));
  assert.equal(await page.locator('main img').count(), 0);
  await page.setViewportSize(PHONE);
  await checkPage(page, 'consent-hostile-name-phone-light');
});

test('req_141, req_160: shows the registrant of the client, the registration date, and new scopes', async (t) => {
  const registered = await register();
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  const visits = await elsewhere(page, 'self.example');
  const ask = async (scope) => {
    const { url, finish } = await startCodeFlow(registered, 'https://self.example/callback', { scope });
    await page.goto(url);
    await waitForHeading(page, asks('Self-made reader'));
    return finish;
  };
  const finish = await ask('openid profile');
  assert.equal(await page.getByRole('link', { name: /self\.example/ }).count(), 2);
  await page.locator('.logo.missing').waitFor({ state: 'attached' }); // the host of the logo does not exist
  assert.equal(await page.getByText(messages.clientDetails.otherSite).count(), 0);
  await page.getByText(messages.clientDetails.registration).waitFor();
  await page.getByText(messages.clientDetails.unverified).waitFor();
  await page.getByText(messages.clientDetails.firstSeenToday).waitFor();
  await page.getByText(messages.clientDetails.neverApproved).waitFor();
  assert.deepEqual(visits, []);
  await checkPageEverywhere(page, 'consent-registered');
  await allow(page).click();
  await page.waitForURL('https://self.example/**');
  await finish(new URL(page.url()));

  await ask('openid profile email');
  await page.getByText(/^You allowed this application before, /).waitFor();
  const fresh = page.locator('.mark.new');
  assert.equal(await fresh.count(), 1);
  assert.ok((await fresh.locator('..').textContent()).startsWith(messages.scopes.labels.email));
  await checkPage(page, 'consent-again-desktop-light');
});

test('req_160: shows the member or administrator that created the client, or that the client is built in', async (t) => {
  const [frigg, thor, odin] = [member('Frigg'), member('Thor'), member('Odin', { admin: true })];
  const page = await openBrowser(t, frigg);
  const makers = [
    [['--owner', thor.handle], formatMessage(messages.clientDetails.member, { handle: `@${thor.handle}` })],
    [['--owner', odin.handle], formatMessage(messages.clientDetails.administrator, { handle: `@${odin.handle}` })],
    [[], messages.clientDetails.administratorUnknown],
  ];
  for (const [more, text] of makers) {
    const app = client({ name: 'Reader', redirects: ['https://reader.example/cb'], more });
    await page.goto((await startCodeFlow(app, 'https://reader.example/cb')).url);
    await waitForHeading(page, asks('Reader'));
    await page.getByText(text).waitFor();
    assert.equal(await page.getByText(messages.clientDetails.unverified).isVisible(), text.includes(thor.handle));
  }
});

test('req_160: a client with a metadata document shows the host of the document', async (t) => {
  const back = await callbackServer(t);
  const id = back.publish('/reader.json', {
    client_name: 'Recipe reader',
    redirect_uris: [back.uri],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: 'openid profile offline_access',
  });
  const page = await openBrowser(t, member('Frigg'), { viewport: PHONE });
  const { url, finish } = await startCodeFlow({ client_id: id }, back.uri);
  await page.goto(url);
  await waitForHeading(page, asks('Recipe reader'));
  await page.getByText(formatMessage(messages.clientDetails.document, { host: new URL(id).host })).waitFor();
  await page.getByText(messages.clientDetails.unverified).waitFor();
  await checkPage(page, 'consent-document-phone-light');
  await allow(page).click();
  await finish(await back.next(page));
});

test('req_141: the logo and the pages of another host are marked', async (t) => {
  const registered = await register({
    logo_uri: 'https://images.example/logo.png',
    policy_uri: 'https://lawyers.example/privacy',
  });
  const page = await openBrowser(t, member('Frigg'));
  const asked = [];
  await page.route('**/api/oauth/client_logo?**', (route) => {
    asked.push(new URL(route.request().url()).searchParams.get('client_id'));
    return route.fulfill({ contentType: 'image/png', body: Buffer.from(PIXEL, 'base64') });
  });
  await page.goto((await startCodeFlow(registered, 'https://self.example/callback')).url);
  await waitForHeading(page, asks('Self-made reader'));
  await page.locator('.logo img').waitFor();
  assert.deepEqual(asked, [registered.client_id]);
  const logo = page.locator('.logo');
  assert.equal(await logo.textContent(), `${formatMessage(messages.clientDetails.logoFrom, { host: 'images.example' })} ${messages.clientDetails.otherSite}`);
  const marked = page.locator('dd', { has: page.locator('.mark') });
  assert.equal(await marked.count(), 1);
  assert.ok((await marked.textContent()).startsWith('lawyers.example'));
  await checkPageEverywhere(page, 'consent-logo');
});

/** A PNG of one pixel. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

test('OpenID Connect Core §5.5: claims that the client requests one by one are shown, and then granted', async (t) => {
  const [frigg, back] = [member('Frigg'), await callbackServer(t)];
  const page = await openBrowser(t, frigg);
  const claims = { userinfo: { name: { essential: true } }, id_token: { email: null } };
  const { url, finish, config } = await startCodeFlow(client(), back.uri, { scope: 'openid', claims: JSON.stringify(claims) });
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  await page.getByRole('heading', { name: messages.claims.heading }).waitFor();
  const [email, name] = await page.locator('.scopes', { hasText: messages.claims.heading }).getByRole('listitem').allTextContents();
  assert.equal(email, messages.claims.labels.email);
  assert.equal(name, `${messages.claims.labels.name} ${messages.claims.essential}`);
  await checkPage(page, 'consent-claims-desktop-light');
  await allow(page).click();
  const tokens = await finish(await back.next(page));
  assert.equal(tokens.claims().email, frigg.email);
  assert.equal(tokens.claims().name, undefined);
  const info = await openid.fetchUserInfo(config, tokens.access_token, frigg.id);
  assert.deepEqual(info, { sub: frigg.id, name: 'Frigg' });
});

test('Form Post Response Mode §2: the browser posts the response, also without scripts, and follows the answer', async (t) => {
  const [frigg, landing] = [member('Frigg'), await callbackServer(t)];
  const posts = [];
  const app = await formServer(t, landing.uri, posts);
  const registered = client({ redirects: [app.uri] });
  const page = await openBrowser(t, frigg);
  const { url, finish } = await startCodeFlow(registered, app.uri, { response_mode: 'form_post' });
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  await allow(page).click();
  await landing.next(page); // on another origin than the redirect URI
  assert.equal(posts.length, 1);
  assert.equal(posts[0].origin, issuer);
  const answer = new URL(app.uri);
  answer.search = posts[0].body;
  const tokens = await finish(answer);
  assert.equal(tokens.claims().sub, frigg.id);
  // neither the consent page nor the form stays in the history: going back does not post again
  await page.goBack();
  assert.equal(page.url(), 'about:blank');
  assert.equal(posts.length, 1);

  const plain = await openBrowser(t, frigg, { javaScriptEnabled: false, viewport: PHONE });
  const { url: silent } = await startCodeFlow(registered, app.uri, { response_mode: 'form_post', prompt: 'none' });
  await plain.goto(silent);
  await plain.screenshot({ path: new URL('screenshots/form-post-phone-light.png', import.meta.url).pathname });
  await plain.getByRole('button', { name: 'Continue' }).click();
  await landing.next(plain);
  assert.match(posts[1].body, /^error=consent_required&/);
});

/** Starts the HTTP server of a client that takes forms, and redirects elsewhere. */
async function formServer(t, elsewhere, posts) {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      posts.push({ origin: request.headers.origin, body });
      response.writeHead(303, { location: elsewhere }).end();
    });
  });
  await new Promise((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  t.after(() => server.close());
  return { uri: `http://127.0.0.1:${server.address().port}/callback` };
}

/** Registers a client dynamically. */
async function register(more = {}) {
  const metadata = {
    client_name: 'Self-made reader',
    redirect_uris: ['https://self.example/callback'],
    client_uri: 'https://self.example/about',
    tos_uri: 'https://self.example/terms',
    logo_uri: 'https://self.example/logo.png',
    token_endpoint_auth_method: 'none',
    scope: 'openid profile email offline_access',
    ...more,
  };
  const answer = await fetch(new URL('/api/oauth/register', issuer), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(metadata),
  });
  const body = await answer.json();
  assert.equal(answer.status, 201, JSON.stringify(body));
  return body;
}

test('issue 8: expired and decided requests, two tabs, and the back button show an error', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callbackServer(t)];
  const page = await openBrowser(t, frigg);
  const { url } = await startCodeFlow(app, back.uri);
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  const here = page.url();
  const other = await page.context().newPage();
  await other.goto(here);
  await waitForHeading(other, asks('Reading list'));
  await allow(page).click();
  assert.ok((await back.next(page)).searchParams.has('code'));
  await allow(other).click();
  await waitForHeading(other, strings.unavailable.title);
  await checkPage(other, 'consent-over-desktop-light');
  await other.goto(here);
  await waitForHeading(other, strings.unavailable.title);
  await other.close();
  await page.goBack();
  await page.waitForFunction(() => location.pathname !== '/oauth/authorize/consent' || document.querySelector('h1:not([hidden])'));
  assert.equal(back.count(), 0);

  await page.goto((await startCodeFlow(app, back.uri)).url);
  await waitForHeading(page, asks('Reading list'));
  expire('oauth_authorisation_requests', 'account_id', frigg.id);
  await allow(page).click();
  await waitForHeading(page, strings.unavailable.title);
  await page.reload();
  await waitForHeading(page, strings.unavailable.title);
  await page.goto(new URL('/oauth/authorize/consent', page.url()).href);
  await waitForHeading(page, strings.unavailable.title);
});

test('req_127: a click soon after the page was shown, focused or restored has no effect (double-clickjacking)', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callbackServer(t)];
  const page = await openBrowser(t, frigg);
  await stopClock(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  const { url, finish } = await startCodeFlow(app, back.uri);
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  await page.getByText(`@${frigg.handle}`).waitFor(); // the last element that is loaded
  const moved = async () => sent.length > 0 || !(await allow(page).isVisible());
  await assertGuarded(page, allow(page), moved);
  for (const raise of [
    () => dispatchEvent(new Event('focus')),
    () => document.dispatchEvent(new Event('visibilitychange')),
    () => dispatchEvent(new PageTransitionEvent('pageshow')),
  ]) {
    await waitUntilEnabled(allow(page));
    await page.evaluate(raise);
    await assertGuarded(page, allow(page), moved);
  }
  // The button stays disabled while another window has the focus.
  await page.evaluate(() => {
    document.hasFocus = () => false;
    dispatchEvent(new Event('blur'));
  });
  await page.clock.runFor(10_000);
  assert.equal(await allow(page).getAttribute('aria-disabled'), 'true');
  await page.evaluate(() => {
    delete document.hasFocus;
    dispatchEvent(new Event('focus'));
  });
  await page.clock.runFor(500);
  await allow(page).focus();
  await page.keyboard.press('Enter');
  await finish(await back.next(page));
  assert.equal(sent.length, 1);
});

test('req_127: a client that opens the request in a pop-up window loses the window handle', async (t) => {
  const [app, back] = [client(), await callbackServer(t)];
  const page = await openBrowser(t, member('Frigg'));
  await page.goto(back.uri);
  await back.next(page);
  const { url, finish } = await startCodeFlow(app, back.uri);
  const opened = page.waitForEvent('popup');
  await page.evaluate((address) => {
    globalThis.opened = window.open(address, 'consent', 'popup');
  }, url);
  const popup = await opened;
  await waitForHeading(popup, asks('Reading list'));
  await page.waitForFunction(() => globalThis.opened.closed);
  assert.equal(await popup.evaluate(() => window.opener), null);
  await allow(popup).click();
  await finish(await back.next(popup));
});

test('issue 8: a double click decides once', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callbackServer(t)];
  const page = await openBrowser(t, frigg);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  const { url, finish } = await startCodeFlow(app, back.uri);
  await page.goto(url);
  await waitForHeading(page, asks('Reading list'));
  await allow(page).dblclick();
  await finish(await back.next(page));
  assert.equal(sent.length, 1);
});

test('issue 8: missing permission, revoked permission, suspension, and another account in this browser show an error', async (t) => {
  const [loki, frigg, app, back] = [member('Loki', { permissions: [] }), member('Frigg'), client(), await callbackServer(t)];
  const lokis = await openBrowser(t, loki);
  await lokis.goto((await startCodeFlow(app, back.uri)).url);
  assert.equal((await back.next(lokis)).searchParams.get('error'), 'access_denied');

  const page = await openBrowser(t, frigg, { viewport: PHONE, dark: true });
  await page.goto((await startCodeFlow(app, back.uri)).url);
  await waitForHeading(page, asks('Reading list'));
  await page.getByRole('button', { name: messages.layout.signOut }).click();
  await waitForHeading(page, strings.signedOut.title);

  await signIn(page.context(), frigg);
  await page.goto((await startCodeFlow(app, back.uri)).url);
  await waitForHeading(page, asks('Reading list'));
  runCommand('role', 'unassign', frigg.handle, frigg.role);
  await allow(page).click();
  await waitForHeading(page, strings.notPermitted.title);
  await checkPage(page, 'consent-not-permitted-phone-dark');
  runCommand('role', 'assign', frigg.handle, frigg.role);

  await page.goto((await startCodeFlow(app, back.uri)).url);
  await waitForHeading(page, asks('Reading list'));
  runCommand('account', 'suspend', frigg.handle);
  await allow(page).click();
  await waitForHeading(page, messages.login.heading); // the suspension ended the session
  assert.equal(back.count(), 0);
});

test('issue 8: a failed request is shown, and the decision can be sent again', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callbackServer(t)];
  const page = await openBrowser(t, frigg, { viewport: DESKTOP });
  const { url, finish } = await startCodeFlow(app, back.uri);
  const path = '**/api/oauth/authorize/consent*';
  await page.route(path, (route) => route.abort());
  await page.goto(url);
  await waitForHeading(page, messages.failures.offline.title);
  await page.unroute(path);
  await page.getByRole('button', { name: messages.common.tryAgain }).click();
  await waitForHeading(page, asks('Reading list'));
  await page.context().setOffline(true);
  await allow(page).click();
  await page.getByRole('alert').getByText(messages.failures.unconfirmed).waitFor();
  await checkPage(page, 'consent-offline-desktop-light');
  await page.context().setOffline(false);
  await allow(page).click();
  await finish(await back.next(page));
});
