// The consent page of the code flow: what protects a member, and the wrong turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { texts } from '../../web/texts.js';
import { DESKTOP, PHONE, browse, callback, isHeldBack, look, lookAround, ready, said, sees, signIn, stopClock } from './browser.mjs';
import { begin } from './code_flow.mjs';
import { auth, client, expire, issuer, member } from './community.mjs';

const words = texts.consent;
const asks = (name) => said(words.heading, { client: name });
const allow = (page) => page.getByRole('button', { name: words.allow, exact: true });
const deny = (page) => page.getByRole('button', { name: words.deny, exact: true });

/** An application elsewhere: its pages are answered here. */
async function elsewhere(page, host) {
  const visits = [];
  await page.route(`https://${host}/**`, (route) => {
    visits.push(new URL(route.request().url()));
    return route.fulfill({ contentType: 'text/html', body: '<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><h1>The app</h1>' });
  });
  return visits;
}

test('req_192, req_118: shows who asks, where it goes, for what and as whom, and goes back with a code', async (t) => {
  const [frigg, back] = [member('Frigg'), await callback(t)];
  const app = client({ name: 'Reading list', scope: 'openid profile email offline_access CREATE_POST MANAGE_POSTS READ_PROFILE', redirects: ['https://reading.example/callback', 'http://127.0.0.1/callback'] });
  const page = await browse(t, frigg);
  const visits = await elsewhere(page, 'reading.example');
  const asked = { scope: 'openid profile email offline_access CREATE_POST MANAGE_POSTS READ_PROFILE' };
  await page.goto((await begin(app, 'https://reading.example/callback', asked)).url);
  await sees(page, asks('Reading list'));
  await page.getByText('reading.example', { exact: true }).waitFor();
  await page.getByText(texts.scopes.words.CREATE_POST).waitFor();
  await page.getByText(`@${frigg.handle}`).waitFor();
  // what she may not do is named as not given
  await page.getByText(texts.scopes.refused.one.replace('{count}', '1')).click();
  await page.getByText(texts.scopes.words.MANAGE_POSTS).waitFor();
  await lookAround(page, 'consent');
  assert.deepEqual(visits, []);

  const { url, finish } = await begin(app, back.uri);
  await page.goto(url);
  await sees(page, asks('Reading list'));
  await page.getByText(words.loopbackWarning).waitFor();
  await lookAround(page, 'consent-loopback');
  await allow(page).click();
  const tokens = await finish(await back.next());
  assert.equal(tokens.claims().sub, frigg.id);
});

test('issue 8: a denial goes back to the application, by keyboard alone', async (t) => {
  const [app, back] = [client(), await callback(t)];
  const page = await browse(t, member('Frigg'), { viewport: PHONE });
  const { url } = await begin(app, back.uri);
  await page.goto(url);
  await sees(page, asks('Reading list'));
  // The heading has the focus; the way leads past sign-out, the address and the buttons, in this order.
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press('Tab');
    if (await deny(page).evaluate((button) => button === document.activeElement)) break;
  }
  await page.keyboard.press('Enter');
  const address = await back.next();
  assert.equal(address.searchParams.get('error'), 'access_denied');
  assert.equal(address.searchParams.get('code'), null);
});

test('issue 13: an application that changed while its page was open is shown again', async (t) => {
  const [thor, back] = [member('Thor'), await callback(t)];
  const app = client({ name: 'Reading list', redirects: ['http://127.0.0.1/callback'], more: ['--owner', thor.handle] });
  const owner = await browse(t, thor);
  const page = await browse(t, member('Frigg'));
  const { url, finish } = await begin(app, back.uri);
  await page.goto(url);
  await sees(page, asks('Reading list'));
  const path = `${issuer}/api/auth/oauth/clients/${app.id}`;
  const renamed = await owner.context().request.patch(path, { data: { name: 'Bank' }, headers: { origin: issuer } });
  assert.equal(renamed.status(), 200, await renamed.text());
  await allow(page).click();
  await page.getByRole('alert').getByText(words.changed.title).waitFor();
  await sees(page, asks('Bank'));
  await look(page, 'consent-changed-desktop-light');
  await allow(page).click();
  await finish(await back.next());
});

test('A-9, req_160, req_140: imitated hosts, this computer, apps, deep hosts, names that deceive', async (t) => {
  const frigg = member('Frigg');
  const page = await browse(t, frigg);
  const cases = [
    ['https://xn--pp-6kc.example/cb', 'xn--pp-6kc.example', words.webForeign],
    ['http://localhost/callback', 'localhost', words.loopbackWarning],
    ['com.example.reader:/callback', 'com.example.reader:', words.appWarning],
    ['https://login.bank.example.evil.example/cb', 'login.bank.example.evil.example', words.webDeep],
  ];
  for (const [uri, host, warning] of cases) {
    const app = client({ name: 'Reader', redirects: [uri] });
    await page.goto((await begin(app, uri)).url);
    await sees(page, asks('Reader'));
    assert.equal(await page.locator('#host').textContent(), host);
    await page.getByText(warning).waitFor();
  }
  await look(page, 'consent-deep-host-desktop-light');
  const hostile = '<img src=x onerror=alert(1)> "Official" Storyden';
  const app = client({ name: hostile, redirects: ['https://evil.example/cb'] });
  await page.goto((await begin(app, 'https://evil.example/cb')).url);
  await sees(page, asks(hostile));
  assert.equal(await page.locator('main img').count(), 0);
  await page.setViewportSize(PHONE);
  await look(page, 'consent-hostile-name-phone-light');
});

test('req_141, req_160: says who registered the application, since when, and what is new', async (t) => {
  const registered = await register();
  const frigg = member('Frigg');
  const page = await browse(t, frigg);
  const visits = await elsewhere(page, 'self.example');
  const ask = async (scope) => {
    const { url, finish } = await begin(registered, 'https://self.example/callback', { scope });
    await page.goto(url);
    await sees(page, asks('Self-made reader'));
    return finish;
  };
  const finish = await ask('openid profile');
  assert.equal(await page.getByRole('link', { name: /self\.example/ }).count(), 2); // not the logo
  await page.getByText(texts.asker.registration).waitFor();
  await page.getByText(texts.asker.unchecked).waitFor();
  await page.getByText(texts.asker.sinceToday).waitFor();
  await page.getByText(texts.asker.firstTime).waitFor();
  assert.deepEqual(visits, []);
  await lookAround(page, 'consent-registered');
  await allow(page).click();
  await page.waitForURL('https://self.example/**');
  await finish(new URL(page.url()));

  await ask('openid profile email');
  await page.getByText(/^You allowed it before, /).waitFor();
  const fresh = page.locator('.mark.new');
  assert.equal(await fresh.count(), 1);
  assert.ok((await fresh.locator('..').textContent()).startsWith(texts.scopes.words.email));
  await look(page, 'consent-again-desktop-light');
});

test('req_160: says which member or administrator made the application, or that it is part of the server', async (t) => {
  const [frigg, thor, odin] = [member('Frigg'), member('Thor'), member('Odin', { admin: true })];
  const page = await browse(t, frigg);
  const makers = [
    [['--owner', thor.handle], said(texts.asker.member, { handle: `@${thor.handle}` })],
    [['--owner', odin.handle], said(texts.asker.administrator, { handle: `@${odin.handle}` })],
    [[], texts.asker.administratorUnknown],
  ];
  for (const [more, text] of makers) {
    const app = client({ name: 'Reader', redirects: ['https://reader.example/cb'], more });
    await page.goto((await begin(app, 'https://reader.example/cb')).url);
    await sees(page, asks('Reader'));
    await page.getByText(text).waitFor();
    assert.equal(await page.getByText(texts.asker.unchecked).isVisible(), text.includes(thor.handle));
  }
});

test('req_160: an application that is described by a document: whoever runs that host is named', async (t) => {
  const back = await callback(t);
  const id = back.publish('/reader.json', {
    client_name: 'Recipe reader',
    redirect_uris: [back.uri],
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope: 'openid profile offline_access',
  });
  const page = await browse(t, member('Frigg'), { viewport: PHONE });
  const { url, finish } = await begin({ client_id: id }, back.uri);
  await page.goto(url);
  await sees(page, asks('Recipe reader'));
  await page.getByText(said(texts.asker.document, { host: new URL(id).host })).waitFor();
  await page.getByText(texts.asker.unchecked).waitFor();
  await look(page, 'consent-document-phone-light');
  await allow(page).click();
  await finish(await back.next());
});

/** An application that registers itself, with addresses that may not all be shown. */
async function register() {
  const metadata = {
    client_name: 'Self-made reader',
    redirect_uris: ['https://self.example/callback'],
    client_uri: 'https://self.example/about',
    tos_uri: 'https://self.example/terms',
    logo_uri: 'https://self.example/logo.png',
    token_endpoint_auth_method: 'none',
    scope: 'openid profile email offline_access',
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

test('issue 8: an expired request, one that was answered, two tabs, the back button', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callback(t)];
  const page = await browse(t, frigg);
  const { url } = await begin(app, back.uri);
  await page.goto(url);
  await sees(page, asks('Reading list'));
  const here = page.url();
  const other = await page.context().newPage();
  await other.goto(here);
  await sees(other, asks('Reading list'));
  await allow(page).click();
  assert.ok((await back.next()).searchParams.has('code'));
  await page.waitForURL(`${back.uri}**`);
  await allow(other).click();
  await sees(other, words.over.title);
  await look(other, 'consent-over-desktop-light');
  await other.goto(here);
  await sees(other, words.over.title);
  await other.close();
  await page.goBack();
  await page.waitForFunction(() => location.pathname !== '/oauth/authorize/consent' || document.querySelector('h1:not([hidden])'));
  assert.equal(back.count(), 0);

  await page.goto((await begin(app, back.uri)).url);
  await sees(page, asks('Reading list'));
  expire('oauth_authorisation_requests', 'account_id', frigg.id);
  await allow(page).click();
  await sees(page, words.over.title);
  await page.reload();
  await sees(page, words.over.title);
  await page.goto(new URL('/oauth/authorize/consent', page.url()).href);
  await sees(page, words.over.title);
});

test('req_127: a click soon after the page was shown, focused or brought up again allows nothing', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callback(t)];
  const page = await browse(t, frigg);
  await stopClock(page);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  const { url, finish } = await begin(app, back.uri);
  await page.goto(url);
  await sees(page, asks('Reading list'));
  await page.getByText(`@${frigg.handle}`).waitFor(); // the last that comes
  const moved = async () => sent.length > 0 || !(await allow(page).isVisible());
  await isHeldBack(page, allow(page), moved);
  for (const raise of [
    () => dispatchEvent(new Event('focus')),
    () => document.dispatchEvent(new Event('visibilitychange')),
    () => dispatchEvent(new PageTransitionEvent('pageshow')),
  ]) {
    await ready(allow(page));
    await page.evaluate(raise);
    await isHeldBack(page, allow(page), moved);
  }
  // While another window has the focus nothing makes it ready.
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
  await finish(await back.next());
  assert.equal(sent.length, 1);
});

test('req_127: an application that opens the request in a window of its own loses that window', async (t) => {
  const [app, back] = [client(), await callback(t)];
  const page = await browse(t, member('Frigg'));
  await page.goto(back.uri);
  await back.next();
  const { url, finish } = await begin(app, back.uri);
  const opened = page.waitForEvent('popup');
  await page.evaluate((address) => {
    globalThis.opened = window.open(address, 'consent', 'popup');
  }, url);
  const popup = await opened;
  await sees(popup, asks('Reading list'));
  await page.waitForFunction(() => globalThis.opened.closed);
  assert.equal(await popup.evaluate(() => window.opener), null);
  await allow(popup).click();
  await finish(await back.next());
});

test('issue 8: a double click decides once', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callback(t)];
  const page = await browse(t, frigg);
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
  const { url, finish } = await begin(app, back.uri);
  await page.goto(url);
  await sees(page, asks('Reading list'));
  await allow(page).dblclick();
  await finish(await back.next());
  assert.equal(sent.length, 1);
});

test('issue 8: who may not authorize, who lost that meanwhile, who is suspended, somebody else on this browser', async (t) => {
  const [loki, frigg, app, back] = [member('Loki', { permissions: [] }), member('Frigg'), client(), await callback(t)];
  const lokis = await browse(t, loki);
  await lokis.goto((await begin(app, back.uri)).url);
  assert.equal((await back.next()).searchParams.get('error'), 'access_denied');

  const page = await browse(t, frigg, { viewport: PHONE, dark: true });
  await page.goto((await begin(app, back.uri)).url);
  await sees(page, asks('Reading list'));
  await page.getByRole('button', { name: texts.frame.signOut }).click();
  await sees(page, words.signedOut.title);

  await signIn(page.context(), frigg);
  await page.goto((await begin(app, back.uri)).url);
  await sees(page, asks('Reading list'));
  auth('role', 'unassign', frigg.handle, frigg.role);
  await allow(page).click();
  await sees(page, words.notPermitted.title);
  await look(page, 'consent-not-permitted-phone-dark');
  auth('role', 'assign', frigg.handle, frigg.role);

  await page.goto((await begin(app, back.uri)).url);
  await sees(page, asks('Reading list'));
  auth('account', 'suspend', frigg.handle);
  await allow(page).click();
  await sees(page, texts.login.heading); // suspending ended the session
  assert.equal(back.count(), 0);
});

test('issue 8: an API that fails is told, and the answer can be sent again', async (t) => {
  const [frigg, app, back] = [member('Frigg'), client(), await callback(t)];
  const page = await browse(t, frigg, { viewport: DESKTOP });
  const { url, finish } = await begin(app, back.uri);
  const path = '**/api/oauth/authorize/consent*';
  await page.route(path, (route) => route.abort());
  await page.goto(url);
  await sees(page, texts.failures.offline.title);
  await page.unroute(path);
  await page.getByRole('button', { name: texts.common.tryAgain }).click();
  await sees(page, asks('Reading list'));
  await page.context().setOffline(true);
  await allow(page).click();
  await page.getByRole('alert').getByText(texts.failures.maybeLost).waitFor();
  await look(page, 'consent-offline-desktop-light');
  await page.context().setOffline(false);
  await allow(page).click();
  await finish(await back.next());
});
