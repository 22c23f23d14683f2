// The developer page: clients of a member, and code snippets.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createWebServer } from 'node:http';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { messages, messagesOf } from './messages.mjs';
import { DESKTOP, PHONE, openBrowser, checkPage, checkPageEverywhere, openPath, formatMessage, waitForHeading } from './browser.mjs';
import { issuer, member, post } from './community.mjs';

const strings = messages.clients;

/** Creates a client of a kind; the page then shows its details. */
async function make(page, kind, name, redirects, words = strings) {
  await openPath(page, '/settings/clients#new');
  await waitForHeading(page, words.createHeading);
  await page.getByRole('radio', { name: words.presets[kind].title }).check();
  await page.getByLabel(words.name, { exact: true }).fill(name);
  if (redirects) await page.getByLabel(words.redirects, { exact: true }).fill(redirects);
  await page.getByRole('button', { name: words.submit }).click();
  await waitForHeading(page, name);
}

const value = (page, label) => page.locator('.copyable').filter({ hasText: label }).locator('code').textContent();

async function snippet(page, kind) {
  return page.getByRole('region', { name: strings.snippetKinds[kind], includeHidden: true }).textContent();
}

/** Runs a JavaScript snippet with openid-client; `line(pattern)` waits for a line of output. */
function run(t, code, env = {}) {
  const folder = mkdtempSync(fileURLToPath(new URL('node_modules/.snippet-', import.meta.url)));
  writeFileSync(`${folder}/app.mjs`, code);
  const child = spawn(process.execPath, [`${folder}/app.mjs`], { env: { ...process.env, ...env } });
  let output = '';
  const waiting = new Set();
  const hear = (text) => {
    output += text;
    for (const look of waiting) look();
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  child.on('exit', () => hear(''));
  t.after(() => {
    child.kill();
    rmSync(folder, { recursive: true });
  });
  const line = (pattern) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(output);
        if (!found && child.exitCode === null) return;
        waiting.delete(look);
        if (found) resolve(found);
        else reject(new Error(`the snippet ended without ${pattern}: ${output}`));
      };
      waiting.add(look);
      look();
    });
  return { line };
}

/** Returns a free port below the ephemeral range, so that no connection takes it meanwhile. */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer().listen(port, '127.0.0.1');
    const free = await new Promise((done) => {
      server.once('listening', () => done(true)).once('error', () => done(false));
    });
    if (!free) continue;
    await new Promise((done) => {
      server.close(done);
    });
    return port;
  }
}

async function signInAndAllow(page, name) {
  await waitForHeading(page, formatMessage(messages.consent.heading, { client: name }));
  await page.getByRole('button', { name: messages.consent.allow, exact: true }).click();
}

test('issue 8: a website is created, its secret is shown once, and its snippet signs a member in', async (t) => {
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  await openPath(page, '/settings/clients');
  await page.getByText(strings.empty.title).waitFor();
  await checkPage(page, 'clients-empty-desktop-light');
  await page.getByRole('link', { name: strings.create }).click();
  await waitForHeading(page, strings.createHeading);
  await checkPage(page, 'clients-new-desktop-light');
  await page.setViewportSize(PHONE);
  await page.emulateMedia({ colorScheme: 'dark' });
  await checkPage(page, 'clients-new-phone-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(DESKTOP);

  const alert = (text) => page.getByRole('alert').getByText(text).waitFor();
  await page.getByRole('button', { name: strings.submit }).click();
  await alert(strings.invalid.name);
  await page.getByLabel(strings.name, { exact: true }).fill('Recipe box');
  await page.getByRole('button', { name: strings.submit }).click();
  await alert(strings.invalid.redirects);
  await page.getByLabel(strings.redirects, { exact: true }).fill('http://not-https.example/');
  await page.getByRole('button', { name: strings.submit }).click();
  await alert(/must use https/);

  const port = await freePort();
  await make(page, 'website', 'Recipe box', `http://localhost:${port}/callback\nhttps://recipes.example/callback`);
  const secret = await value(page, strings.secret);
  await page.getByText(strings.secretOnce).waitFor();
  await checkPage(page, 'clients-made-desktop-light');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('.copyable').filter({ hasText: strings.secret }).getByRole('button').click();
  await page.getByText(messages.common.copied).first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  const code = await snippet(page, 'node');
  assert.ok(!code.includes(secret), 'a secret is not in code');

  run(t, code, { CLIENT_SECRET: secret });
  const browser = await openBrowser(t, frigg);
  await waitUntilListening(port);
  await browser.goto(`http://localhost:${port}/`);
  await signInAndAllow(browser, 'Recipe box');
  await browser.getByText('Hello Frigg').waitFor();

  await page.reload();
  await page.getByText(strings.secretHidden).waitFor();
  assert.equal(await page.getByText(secret).count(), 0);
});

test('a website without PKCE is exempt, the page tells the cost, and the exemption ends', async (t) => {
  const page = await openBrowser(t, member('Frigg'));
  await openPath(page, '/settings/clients#new');
  await waitForHeading(page, strings.createHeading);
  const without = page.getByRole('checkbox', { name: strings.pkce.without });
  for (const kind of ['spa', 'native', 'terminal', 'service']) {
    await page.getByRole('radio', { name: strings.presets[kind].title }).check();
    assert.equal(await without.count(), 0, kind);
  }
  await page.getByRole('radio', { name: strings.presets.website.title }).check();
  assert.equal(await without.isChecked(), false);
  const name = '👩\u200d💻 Old wiki'; // an emoji with a joiner is shown as one
  await page.getByLabel(strings.name, { exact: true }).fill(name);
  await page.getByLabel(strings.redirects, { exact: true }).fill('https://wiki.example/callback');
  await without.check();
  await page.getByRole('button', { name: strings.submit }).click();
  await waitForHeading(page, name);
  const note = page.locator('#pkce-note');
  assert.equal(await note.textContent(), `${strings.pkce.exempt} ${strings.pkce.cost}`);
  assert.equal(await without.isChecked(), true);
  await checkPage(page, 'clients-without-pkce-desktop-light');
  await without.uncheck();
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByText(strings.saved.title).waitFor();
  await note.waitFor({ state: 'detached' });
  assert.equal(await without.isChecked(), false);
});

test('an owner requires pushed requests, and ends the requirement', async (t) => {
  const page = await openBrowser(t, member('Frigg'));
  await openPath(page, '/settings/clients#new');
  await waitForHeading(page, strings.createHeading);
  await page.getByLabel(strings.name, { exact: true }).fill('Strict site');
  await page.getByLabel(strings.redirects, { exact: true }).fill('https://strict.example/callback');
  const pushed = page.getByRole('checkbox', { name: strings.pushing.required });
  assert.equal(await pushed.count(), 0, 'a new application has no choice');
  await page.getByRole('button', { name: strings.submit }).click();
  await waitForHeading(page, 'Strict site');
  for (const required of [true, false]) {
    await pushed.setChecked(required);
    await page.getByRole('button', { name: strings.save }).click();
    await page.getByText(strings.saved.title).waitFor();
    await page.reload();
    await waitForHeading(page, 'Strict site');
    assert.equal(await pushed.isChecked(), required);
  }
});

test('an owner sets keys, DPoP and an algorithm, and sees why FAPI 2.0 is refused', async (t) => {
  const page = await openBrowser(t, member('Frigg'));
  await make(page, 'website', 'Bound site', 'https://bound.example/callback');
  const { protection } = strings;
  const dpop = page.getByRole('checkbox', { name: protection.dpop.label });
  const keys = page.getByLabel(protection.keys.label);
  await keys.fill('not JSON');
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByRole('alert').getByText(protection.keys.invalid.text).waitFor();
  await keys.fill('https://bound.example/jwks.json');
  await dpop.check();
  await page.getByText(protection.algorithms).click();
  await page.getByLabel(protection.algorithmNames.id_token_signed_response_alg).selectOption('RS256');
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByText(strings.saved.title).waitFor();
  await page.reload();
  await waitForHeading(page, 'Bound site');
  assert.equal(await dpop.isChecked(), true);
  assert.equal(await keys.inputValue(), 'https://bound.example/jwks.json');
  // the server of these tests signs with RS256 alone
  await page.getByText(protection.algorithms).click();
  await page.getByLabel(protection.algorithmNames.id_token_signed_response_alg).selectOption('');
  await page.getByRole('checkbox', { name: protection.fapi.label }).check();
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByRole('alert').getByText(/OAUTH_SIGNING_ALGORITHMS/).waitFor();
  await checkPage(page, 'clients-protection-desktop-light');
});

/** Waits until a client that is starting listens on a port of localhost. */
async function waitUntilListening(port) {
  for (let tries = 0; tries < 1200; tries += 1) {
    const listens = await new Promise((done) => {
      const socket = connect(port, 'localhost', () => {
        socket.end();
        done(true);
      });
      socket.on('error', () => done(false));
    });
    if (listens) return;
    await setTimeout(100);
  }
  throw new Error(`no client listens on port ${port}`);
}

test('issue 8: the snippets of a device, a desktop app and a service run unchanged', async (t) => {
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg, { viewport: PHONE, dark: true });
  await make(page, 'terminal', 'Feed reader');
  await page.getByText(strings.noSecret).waitFor();
  await checkPage(page, 'clients-device-phone-dark');
  const device = run(t, await snippet(page, 'node'));
  const [, uri, code] = await device.line(/Open (\S+) and enter (\S+)/);
  await page.goto(uri);
  await page.getByLabel(messages.device.code, { exact: true }).fill(code);
  await page.getByRole('button', { name: messages.device.submit }).click();
  await waitForHeading(page, formatMessage(messages.device.heading, { client: 'Feed reader' }));
  await page.getByRole('button', { name: messages.device.allow, exact: true }).click();
  await waitForHeading(page, messages.device.allowed.title);
  await device.line(new RegExp(`preferred_username: '${frigg.handle}'`));

  await make(page, 'native', 'Desktop reader', 'http://127.0.0.1/callback');
  const native = run(t, await snippet(page, 'node'));
  const [, address] = await native.line(/Open (\S+)/);
  await page.goto(address);
  await signInAndAllow(page, 'Desktop reader');
  await page.getByText('You can close this window.').waitFor();
  await native.line(new RegExp(`preferred_username: '${frigg.handle}'`));

  await make(page, 'service', 'Night job');
  const secret = await value(page, strings.secret);
  const service = run(t, await snippet(page, 'node'), { CLIENT_SECRET: secret });
  await service.line(/^eyJ[\w.-]+$/m);
  const shell = await sh(await snippet(page, 'curl'));
  assert.match(shell, /"access_token":"eyJ/);
});

/** Runs a shell snippet. */
function sh(code) {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', code]);
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.on('exit', (status) => (status === 0 ? resolve(output) : reject(new Error(output))));
  });
}

/** Serves a page at a port of localhost. */
async function servePage(t, port, body) {
  const server = createWebServer((request, response) => {
    const isPage = new URL(request.url, `http://${request.headers.host}`).pathname === '/';
    response.writeHead(isPage ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' }).end(isPage ? body : '');
  });
  await new Promise((done) => {
    server.listen(port, 'localhost', done);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
}

test('issue 18: the snippet of a single-page app is a page that signs a member in', async (t) => {
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  const port = await freePort();
  const redirect = `http://localhost:${port}/`;
  await make(page, 'spa', 'Map', redirect);
  const code = await snippet(page, 'browser');
  assert.match(code, /crypto\.subtle\.digest/);
  assert.ok(!/CLIENT_SECRET|import |require\(/.test(code), code);
  await servePage(t, port, code);
  const browser = await openBrowser(t, frigg);
  await browser.goto(redirect);
  await browser.getByRole('button', { name: 'Sign in' }).click();
  await signInAndAllow(browser, 'Map');
  await browser.getByText('Signed in as Frigg').waitFor();
  assert.equal(browser.url(), redirect, 'the code is not in the address');
  assert.equal(await browser.evaluate(() => sessionStorage.getItem('sign-in')), null);
  // a reload does not send the code again, and a denial is shown
  await browser.reload();
  await browser.getByRole('button', { name: 'Sign in' }).click();
  await waitForHeading(browser, formatMessage(messages.consent.heading, { client: 'Map' }));
  await browser.getByRole('button', { name: messages.consent.deny, exact: true }).click();
  await browser.waitForURL(redirect);
  await browser.locator('#result', { hasText: /./ }).waitFor();

  await page.reload();
  await page.locator('.facts').first().getByText(strings.kinds.spa).waitFor();
  await openPath(page, '/settings/clients');
  await page.locator('.item').filter({ hasText: 'Map' }).getByText(strings.kinds.spa).waitFor();
  const curl = await openBrowser(t, frigg);
  await openPath(page, '/settings/clients');
  await page.getByRole('link', { name: 'Map' }).click();
  await waitForHeading(page, 'Map');
  const address = (await sh((await snippet(page, 'curl')).split('# 2.')[0])).trim();
  await curl.goto(address);
  await signInAndAllow(curl, 'Map');
  await curl.waitForURL(`${redirect}**`);
});

test('issue 18: the owner of an application sees what went wrong, and what to change', async (t) => {
  for (const [language, locale] of [['en', 'en-GB'], ['ar', 'ar']]) {
    const words = messagesOf(language).clients;
    const page = await openBrowser(t, member('Frigg'), { locale });
    await make(page, 'native', 'Reader', 'http://127.0.0.1/callback', words);
    const section = page.getByRole('region', { name: words.errors.heading });
    await section.getByText(words.errors.empty.text).waitFor();
    if (language === 'en') await checkPageEverywhere(page, 'clients-errors-empty');
    const id = await value(page, words.id);
    const token = (form) => post('/api/oauth/token', { client_id: id, ...form });
    for (let tries = 0; tries < 3; tries += 1) await token({ grant_type: 'authorization_code', code: 'unknown', redirect_uri: 'http://127.0.0.1/callback' });
    await token({ grant_type: 'password' });
    const wrong = `https://reader.example/${'long/'.repeat(20)}`;
    const query = new URLSearchParams({ response_type: 'code', client_id: id, redirect_uri: wrong });
    await fetch(`${issuer}/api/oauth/authorize?${query}`);
    await section.getByRole('button', { name: words.errors.refresh }).click();
    await section.getByText(wrong).waitFor();
    for (const kind of ['code_unknown', 'grant_type', 'redirect_uri']) await section.getByText(words.errors.hints[kind]).waitFor();
    assert.equal(await section.getByRole('listitem').count(), 3);
    await checkPageEverywhere(page, `${language}-clients-errors`);
    await page.reload();
    await section.getByText(wrong).waitFor();
  }
});

test('issue 18: website, terms, privacy policy and logo are set, shown on the consent page, and removed', async (t) => {
  const frigg = member('Frigg');
  const page = await openBrowser(t, frigg);
  await make(page, 'native', 'Atlas', 'http://127.0.0.1/callback');
  const { labels, legend } = strings.pages;
  await page.getByText(legend).click();
  await page.getByLabel(labels.client_uri, { exact: true }).fill('http://atlas.example');
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByRole('alert').getByText(/client_uri/).waitFor();
  await page.getByLabel(labels.client_uri, { exact: true }).fill('https://atlas.example');
  await page.getByLabel(labels.tos_uri, { exact: true }).fill('https://atlas.example/terms');
  await checkPageEverywhere(page, 'clients-pages');
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByText(strings.saved.title).waitFor();
  await page.reload();
  await waitForHeading(page, 'Atlas');
  assert.equal(await page.getByLabel(labels.client_uri, { exact: true }).inputValue(), 'https://atlas.example');
  const address = (await sh((await snippet(page, 'curl')).split('# 2.')[0])).trim();
  const consent = await openBrowser(t, frigg);
  await consent.goto(address);
  await waitForHeading(consent, formatMessage(messages.consent.heading, { client: 'Atlas' }));
  assert.equal(await consent.locator('a[href="https://atlas.example/terms"]').count(), 1);
  await page.getByLabel(labels.tos_uri, { exact: true }).fill('');
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByText(strings.saved.title).waitFor();
  await page.reload();
  await waitForHeading(page, 'Atlas');
  assert.equal(await page.getByLabel(labels.tos_uri, { exact: true }).inputValue(), '');
});

test('issue 8: a client is renamed, gets a new secret, and is deleted', async (t) => {
  const page = await openBrowser(t, member('Frigg'));
  await make(page, 'service', 'Night job');
  const [id, old] = [await value(page, strings.id), await value(page, strings.secret)];
  const works = async (secret) => {
    const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
    return (await post('/api/oauth/token', { grant_type: 'client_credentials' }, { authorization })).status;
  };
  assert.equal(await works(old), 200);

  await page.getByLabel(strings.name, { exact: true }).fill('Day job');
  await page.getByLabel(messages.scopes.labels.CREATE_POST).check();
  await page.getByRole('button', { name: strings.save }).click();
  await page.getByText(strings.saved.title).waitFor();
  await waitForHeading(page, 'Day job');
  assert.ok(await page.getByLabel(messages.scopes.labels.CREATE_POST).isChecked());

  await page.reload();
  await page.getByRole('button', { name: strings.rotate }).click();
  await page.getByLabel(strings.rotateQuestion.overlap).selectOption('3600');
  await checkPage(page, 'clients-rotate-desktop-light');
  await page.getByRole('dialog').getByRole('button', { name: strings.rotate }).click();
  await page.getByText(strings.rotated.title).waitFor();
  const next = await value(page, strings.secret);
  assert.notEqual(next, old);
  assert.deepEqual([await works(old), await works(next)], [200, 200]);
  await page.reload();
  await page.getByRole('button', { name: strings.rotate }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.rotate }).click();
  await page.getByText(strings.rotated.text).waitFor();
  const last = await value(page, strings.secret);
  assert.deepEqual([await works(old), await works(next), await works(last)], [401, 401, 200]);

  await page.getByRole('button', { name: strings.remove }).click();
  await page.getByRole('dialog').getByRole('button', { name: strings.remove }).click();
  await page.getByText(formatMessage(strings.removed.title, { name: 'Day job' })).waitFor();
  await page.getByText(strings.empty.title).waitFor();
  assert.equal(await works(last), 401);
  await page.goBack();
  await page.getByText(strings.notFound.title).waitFor();
});

test('issue 8: a member without the permission sees an error; clients of others are not shown', async (t) => {
  const page = await openBrowser(t, member('Frigg'));
  await make(page, 'terminal', 'Feed reader');
  const address = page.url();
  await openPath(page, '/settings/clients');
  await page.getByRole('link', { name: 'Feed reader' }).waitFor();
  await checkPage(page, 'clients-desktop-light');
  const lokis = await openBrowser(t, member('Loki', { permissions: [] }), { viewport: PHONE });
  await openPath(lokis, '/settings/clients');
  await lokis.getByText(strings.notAllowed.title).waitFor();
  await checkPage(lokis, 'clients-not-allowed-phone-light');
  await lokis.goto(address);
  await lokis.reload();
  await lokis.getByText(strings.notFound.title).waitFor();
  assert.equal(new URL(address).origin, issuer);
});
