// Issue 19: the guides of docs/guides/, each in the printed order.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { Guide } from './guide.mjs';
import { assertCallsTool } from './mcp-client.mjs';
import { openPage } from './page.mjs';
import { execute } from './recipe.mjs';
import { resource, server } from './server.mjs';
import { Visitor } from './visitor.mjs';

// Starts outside of a test, so that the server runs until the last test.
await server();

const tested = new Set(['README', 'errors', 'agents']); // without commands and programs

/** A test of a guide. */
function guide(name, body, { variant = name, skip = false } = {}) {
  tested.add(name);
  test(`guide: ${variant}`, { skip }, async (t) => {
    const opened = await Guide.open(name, variant);
    await opened.prepare();
    await body(t, opened);
  });
}

/** Waits for a match in the output of a program. */
async function until(output, pattern) {
  for (let tries = 0; tries < 600; tries += 1) {
    const found = pattern.exec(output());
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${pattern} in ${output()}`);
}

guide('website', async (t, opened) => {
  const address = `http://localhost:${opened.port}`;
  await opened.start(t, opened.marked('start'), address);
  const visitor = new Visitor();
  assert.match((await visitor.open(address)).text, /Not signed in/);
  assert.match((await visitor.open(`${address}/login`)).text, /Signed in as frigg/);
  assert.match((await visitor.open(`${address}/refresh`)).text, /A new access token for 900 seconds/);
  assert.match((await visitor.open(`${address}/refresh`)).text, /A new access token for 900 seconds/);
  const end = await visitor.open(`${address}/logout`);
  assert.equal(end.url.href, `${address}/`);
  assert.match(end.text, /Not signed in/);
});

// Needs no browser: a page with the browser's address, storage and CORS.
guide('single-page-app', async (t, opened) => {
  const origin = `http://localhost:${opened.port}`;
  const { issuer } = await server();
  const id = (await opened.execute('echo "$CLIENT_ID"')).trim();
  const visitor = new Visitor();
  const page = openPage(origin);
  t.after(page.close);
  const { createUserManager, currentUser, call, signOut } = await import(`${opened.folder}/auth.mjs`);
  const users = createUserManager(issuer, id);
  assert.equal(await currentUser(users), null);
  users.signinRedirect();
  const sent = await page.left;
  page.close();
  const back = await visitor.until(sent, origin);
  const again = openPage(origin);
  again.arrive(back.href);
  for (let index = 0; index < page.storage.length; index += 1) {
    const key = page.storage.key(index);
    again.storage.setItem(key, page.storage.getItem(key));
  }
  t.after(again.close);
  const arrived = createUserManager(issuer, id);
  const user = await currentUser(arrived);
  assert.equal(user.profile.preferred_username, 'frigg');
  const answer = await call(arrived, `${issuer}/api/oauth/userinfo`);
  assert.equal((await answer.json()).name, 'Frigg');
  await signOut(arrived);
  assert.equal(await arrived.getUser(), null);
  const form = { grant_type: 'refresh_token', client_id: id, refresh_token: user.refresh_token };
  const refused = await fetch(`${issuer}/api/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
  assert.equal((await refused.json()).error, 'invalid_grant');
});

guide('native-and-mobile', async (t, opened) => {
  const { output, gone } = await opened.start(t, opened.marked('run'));
  await gone;
  assert.match(output(), /Signed in as frigg/);
});

guide('terminal', async (t, opened) => {
  const { output, gone } = await opened.start(t, opened.marked('run'));
  const [, code] = await until(output, /enter (\S+)/);
  await new Visitor().approveDevice(code);
  await gone;
  assert.match(output(), /Signed in as frigg/);
  assert.equal(await opened.execute(opened.marked('again')), 'Signed in as frigg\n');
});

guide('service', () => {});

guide('bot', () => {});

// libfaketime has no effect on Go programs.
const isDated = process.env.LD_PRELOAD !== undefined;
const hasGo = !isDated && spawnSync('go', ['version']).status === 0;

const PROGRAMS = [
  ['Node.js', 'node app.mjs'],
  ['Python', 'python3 app.py'],
  ['Go', './app', { skip: hasGo ? false : 'Go is not installed, or the date is changed' }],
];

for (const [language, command, options] of PROGRAMS) {
  guide('api', async (t, opened) => {
    const { account } = await server();
    if (language === 'Go') execute(opened.folder, 'go', ['build', '-mod=readonly', '-o', 'app', 'main.go']);
    await opened.start(t, command, `http://localhost:${opened.port}`);
    const shown = await opened.execute(opened.marked('try'));
    const [first, ...bodies] = shown.trim().split(/\n(?=\{)|(?<=\})\s*(?=\{)/);
    assert.match(first, /^www-authenticate: Bearer/i);
    assert.deepEqual(bodies.map((body) => JSON.parse(body)), [{ account: account.id }, { account: account.id }]);
    await assertRefuses(opened);
    await opened.execute(opened.marked('revoke'));
  }, { variant: `api-${language.toLowerCase().replace('.', '-')}`, ...options });
}

/** A token for another audience, a changed token and an ID token's place are refused in both ways. */
async function assertRefuses(opened) {
  const ask = 'curl -sS "$ISSUER/api/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials';
  const other = (await opened.execute(`${ask} | jq -r .access_token`)).trim();
  for (const path of ['offline', 'introspection']) {
    for (const token of [other, 'nonsense', `${other}x`]) {
      const call = `curl -sS -o /dev/null -w '%{http_code}' http://localhost:${opened.port}/${path}`;
      const status = await opened.execute(`${call} -H "Authorization: Bearer ${token}"`);
      assert.equal(status, '401', `${path}: ${token}`);
    }
  }
}

guide('mcp-server', async (t, opened) => {
  const { issuer } = await server();
  await opened.start(t, opened.marked('start'), new URL(resource).origin);
  const [, named] = (await opened.execute(opened.marked('try'))).trim().split('\n');
  assert.equal(named.replace(/\/$/, ''), issuer);
  const { args } = JSON.parse(opened.files.get('mcp.json')).mcpServers.tools;
  assert.deepEqual(args, ['mcp-remote', resource]);
  await assertCallsTool(t, mkdtempSync(`${opened.folder}/home-`));
});

test('every guide has a test', () => {
  const names = readdirSync(new URL('../../../docs/guides/', import.meta.url)).map((name) => name.replace('.md', ''));
  assert.deepEqual(new Set(names), tested);
});
