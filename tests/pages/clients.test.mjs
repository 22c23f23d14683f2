// The applications that a member made, and the code that the page gives them to begin with.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { texts } from '../../web/texts.js';
import { DESKTOP, PHONE, browse, look, open, said, sees } from './browser.mjs';
import { issuer, member, post } from './community.mjs';

const words = texts.clients;

/** Makes an application of a kind on the page; afterwards its own view is shown. */
async function make(page, kind, name, redirects) {
  await open(page, '/settings/clients#new');
  await sees(page, words.createHeading);
  await page.getByRole('radio', { name: words.presets[kind].title }).check();
  await page.getByLabel(words.name, { exact: true }).fill(name);
  if (redirects) await page.getByLabel(words.redirects, { exact: true }).fill(redirects);
  await page.getByRole('button', { name: words.submit }).click();
  await sees(page, name);
}

const value = (page, label) => page.locator('.copyable').filter({ hasText: label }).locator('code').textContent();

async function snippet(page, kind) {
  return page.getByRole('region', { name: words.snippetKinds[kind], includeHidden: true }).textContent();
}

/** Runs a snippet where openid-client is; `line(pattern)` waits for a line that it prints. */
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

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function signInAndAllow(page, name) {
  await sees(page, said(texts.consent.heading, { client: name }));
  await page.getByRole('button', { name: texts.consent.allow, exact: true }).click();
}

test('issue 8: a website: made with its secret shown once, and its snippet signs a member in', async (t) => {
  const frigg = member('Frigg');
  const page = await browse(t, frigg);
  await open(page, '/settings/clients');
  await page.getByText(words.empty.title).waitFor();
  await look(page, 'clients-empty-desktop-light');
  await page.getByRole('link', { name: words.create }).click();
  await sees(page, words.createHeading);
  await look(page, 'clients-new-desktop-light');
  await page.setViewportSize(PHONE);
  await page.emulateMedia({ colorScheme: 'dark' });
  await look(page, 'clients-new-phone-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(DESKTOP);

  const alert = (text) => page.getByRole('alert').getByText(text).waitFor();
  await page.getByRole('button', { name: words.submit }).click();
  await alert(words.invalid.name);
  await page.getByLabel(words.name, { exact: true }).fill('Recipe box');
  await page.getByRole('button', { name: words.submit }).click();
  await alert(words.invalid.redirects);
  await page.getByLabel(words.redirects, { exact: true }).fill('http://not-https.example/');
  await page.getByRole('button', { name: words.submit }).click();
  await alert(/must use https/);

  const port = await freePort();
  await make(page, 'website', 'Recipe box', `http://localhost:${port}/callback\nhttps://recipes.example/callback`);
  const secret = await value(page, words.secret);
  await page.getByText(words.secretOnce).waitFor();
  await look(page, 'clients-made-desktop-light');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('.copyable').filter({ hasText: words.secret }).getByRole('button').click();
  await page.getByText(texts.common.copied).first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  const code = await snippet(page, 'node');
  assert.ok(!code.includes(secret), 'a secret is not in code');

  run(t, code, { CLIENT_SECRET: secret });
  const browser = await browse(t, frigg);
  await arrive(browser, `http://localhost:${port}/`);
  await signInAndAllow(browser, 'Recipe box');
  await browser.getByText('Hello Frigg').waitFor();

  await page.reload();
  await page.getByText(words.secretHidden).waitFor();
  assert.equal(await page.getByText(secret).count(), 0);
});

/** Opens an application that is only just starting. */
async function arrive(page, url) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await page.goto(url);
    } catch (error) {
      if (tries === 1200 || !/ERR_CONNECTION_REFUSED/.test(error.message)) throw error;
      await page.waitForTimeout(100); // until it listens
    }
  }
}

test('issue 8: a device, a desktop app and a service: their snippets run as they are', async (t) => {
  const frigg = member('Frigg');
  const page = await browse(t, frigg, { viewport: PHONE, dark: true });
  await make(page, 'terminal', 'Feed reader');
  await page.getByText(words.noSecret).waitFor();
  await look(page, 'clients-device-phone-dark');
  const device = run(t, await snippet(page, 'node'));
  const [, uri, code] = await device.line(/Open (\S+) and enter (\S+)/);
  await page.goto(uri);
  await page.getByLabel(texts.device.code, { exact: true }).fill(code);
  await page.getByRole('button', { name: texts.device.submit }).click();
  await sees(page, said(texts.device.heading, { client: 'Feed reader' }));
  await page.getByRole('button', { name: texts.device.allow, exact: true }).click();
  await sees(page, texts.device.allowed.title);
  await device.line(new RegExp(`preferred_username: '${frigg.handle}'`));

  await make(page, 'native', 'Desktop reader', 'http://127.0.0.1/callback');
  const native = run(t, await snippet(page, 'node'));
  const [, address] = await native.line(/Open (\S+)/);
  await page.goto(address);
  await signInAndAllow(page, 'Desktop reader');
  await page.getByText('You can close this window.').waitFor();
  await native.line(new RegExp(`preferred_username: '${frigg.handle}'`));

  await make(page, 'service', 'Night job');
  const secret = await value(page, words.secret);
  const service = run(t, await snippet(page, 'node'), { CLIENT_SECRET: secret });
  await service.line(/^eyJ[\w.-]+$/m);
  const shell = await sh(await snippet(page, 'curl'));
  assert.match(shell, /"access_token":"eyJ/);
});

/** Runs a snippet of the shell. */
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

test('issue 8: a single-page app: its snippet runs in the page that it is sent back to', async (t) => {
  const frigg = member('Frigg');
  const page = await browse(t, frigg);
  await make(page, 'spa', 'Map', 'https://map.example/');
  const code = await snippet(page, 'node');
  assert.match(code, /sessionStorage/);
  assert.ok(!code.includes('CLIENT_SECRET'));
  const curl = await snippet(page, 'curl');
  const [, address] = /echo "(\S+)"/.exec((await sh(`${curl.split('# 2.')[0]}`)).trim()) ?? [null, (await sh(curl.split('# 2.')[0])).trim()];
  await page.route('https://map.example/**', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><html lang="en"><title>Map</title><link rel="icon" href="data:,"><h1>Map</h1>' }));
  await page.goto(address);
  await signInAndAllow(page, 'Map');
  await page.waitForURL('https://map.example/**');
  assert.ok(new URL(page.url()).searchParams.has('code'));
});

test('issue 8: an application is renamed, gets another secret, and is deleted', async (t) => {
  const page = await browse(t, member('Frigg'));
  await make(page, 'service', 'Night job');
  const [id, old] = [await value(page, words.id), await value(page, words.secret)];
  const works = async (secret) => {
    const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
    return (await post('/api/oauth/token', { grant_type: 'client_credentials' }, { authorization })).status;
  };
  assert.equal(await works(old), 200);

  await page.getByLabel(words.name, { exact: true }).fill('Day job');
  await page.getByLabel(texts.scopes.words.CREATE_POST).check();
  await page.getByRole('button', { name: words.save }).click();
  await page.getByText(words.saved.title).waitFor();
  await sees(page, 'Day job');
  assert.ok(await page.getByLabel(texts.scopes.words.CREATE_POST).isChecked());

  await page.reload();
  await page.getByRole('button', { name: words.rotate }).click();
  await page.getByLabel(words.rotateAsk.overlap).selectOption('3600');
  await look(page, 'clients-rotate-desktop-light');
  await page.getByRole('dialog').getByRole('button', { name: words.rotate }).click();
  await page.getByText(words.rotated.title).waitFor();
  const next = await value(page, words.secret);
  assert.notEqual(next, old);
  assert.deepEqual([await works(old), await works(next)], [200, 200]);
  await page.reload();
  await page.getByRole('button', { name: words.rotate }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.rotate }).click();
  await page.getByText(words.rotated.text).waitFor();
  const last = await value(page, words.secret);
  assert.deepEqual([await works(old), await works(next), await works(last)], [401, 401, 200]);

  await page.getByRole('button', { name: words.remove }).click();
  await page.getByRole('dialog').getByRole('button', { name: words.remove }).click();
  await page.getByText(said(words.removed.title, { name: 'Day job' })).waitFor();
  await page.getByText(words.empty.title).waitFor();
  assert.equal(await works(last), 401);
  await page.goBack();
  await page.getByText(words.missing.title).waitFor();
});

test('issue 8: who may not make applications is told; somebody else\'s is not shown', async (t) => {
  const page = await browse(t, member('Frigg'));
  await make(page, 'terminal', 'Feed reader');
  const address = page.url();
  await open(page, '/settings/clients');
  await page.getByRole('link', { name: 'Feed reader' }).waitFor();
  await look(page, 'clients-desktop-light');
  const lokis = await browse(t, member('Loki', { permissions: [] }), { viewport: PHONE });
  await open(lokis, '/settings/clients');
  await lokis.getByText(words.notAllowed.title).waitFor();
  await look(lokis, 'clients-not-allowed-phone-light');
  await lokis.goto(address);
  await lokis.reload();
  await lokis.getByText(words.missing.title).waitFor();
  assert.equal(new URL(address).origin, issuer);
});
