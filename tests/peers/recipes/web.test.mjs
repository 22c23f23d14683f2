// T25: the recipes of docs/integrations.md, one application after the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openPage } from './page.mjs';
import { Recipe, execute } from './recipe.mjs';
import { server } from './server.mjs';
import { Visitor, assertSignsIn } from './visitor.mjs';

// Starts outside of a test, so that the server runs until the last test.
await server();

const node = { program: 'node', parameters: () => ['app.mjs'] };

for (const title of ['openid-client', 'oauth4webapi', 'express-openid-connect', 'passport-openidconnect']) {
  test(`T25: recipe: ${title}`, async (t) => {
    const { address } = await new Recipe(title).start(t, node);
    await assertSignsIn(address);
  });
}

// The button of the page posts the form.
test('T25: recipe: Auth.js', async (t) => {
  const { address } = await new Recipe('Auth.js').start(t, node);
  const visitor = new Visitor();
  const page = await visitor.open(`${address}/auth/signin`);
  const [, csrfToken] = /name="csrfToken" value="([^"]+)"/.exec(page.text);
  const end = await visitor.submit(`${address}/auth/signin/storyden`, { csrfToken, callbackUrl: address });
  assert.match(end.text, /Signed in as frigg/);
});

const PYTHON = new URL('../.venv/bin/', import.meta.url).pathname;
const python = { program: `${PYTHON}python`, parameters: () => ['-B', 'app.py'] };

for (const title of ['Authlib', 'requests-oauthlib']) {
  test(`T25: recipe: ${title}`, async (t) => {
    const { address } = await new Recipe(title).start(t, python);
    await assertSignsIn(address);
  });
}

/** Starts a Django project. */
async function startDjango(t, title) {
  const recipe = new Recipe(title);
  const settings = { DJANGO_SETTINGS_MODULE: 'settings', PYTHONPATH: '.', PYTHONDONTWRITEBYTECODE: '1' };
  const { address } = await recipe.start(t, {
    before: (application) => execute(recipe.folder, `${PYTHON}django-admin`, ['migrate'], application),
    program: `${PYTHON}django-admin`,
    parameters: (port) => ['runserver', '--noreload', `localhost:${port}`],
    application: settings,
  });
  return address;
}

for (const [title, path] of [
  ['django-allauth', '/accounts/oidc/storyden/login/'],
  ['mozilla-django-oidc', '/oidc/authenticate/'],
]) {
  test(`T25: recipe: ${title}`, async (t) => {
    await assertSignsIn(await startDjango(t, title), path);
  });
}

// The button of the page posts the form.
test('T25: recipe: social-auth', async (t) => {
  const address = await startDjango(t, 'social-auth');
  const visitor = new Visitor();
  const page = await visitor.open(address);
  const [, csrfmiddlewaretoken] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page.text);
  const end = await visitor.submit(`${address}/login/oidc/`, { csrfmiddlewaretoken });
  assert.match(end.text, /Signed in as frigg/);
});

// Needs no browser: a page with the browser's address, storage and CORS.
test('T25: recipe: oidc-client-ts', async (t) => {
  const recipe = new Recipe('oidc-client-ts').write();
  const { client_id: id } = await recipe.register();
  const { issuer, account } = await server();
  const visitor = new Visitor();
  const page = openPage('http://localhost:3000');
  t.after(page.close);
  const { createUserManager, currentUser } = await import(`${recipe.folder}/page.mjs`);
  const users = createUserManager(issuer, id);
  assert.equal(await currentUser(users), null);
  users.signinRedirect();
  const sent = await page.left;
  page.close();
  const back = await visitor.until(sent, 'http://localhost:3000');
  const again = openPage('http://localhost:3000');
  again.arrive(back.href);
  for (let index = 0; index < page.storage.length; index += 1) {
    const key = page.storage.key(index);
    again.storage.setItem(key, page.storage.getItem(key));
  }
  t.after(again.close);
  const arrived = createUserManager(issuer, id);
  const user = await currentUser(arrived);
  assert.equal(user.profile.preferred_username, 'frigg');
  assert.equal(user.profile.sub, account.id);
  const renewed = await arrived.signinSilent();
  assert.notEqual(renewed.refresh_token, user.refresh_token);
  assert.ok(again.fetches >= 4);
  await arrived.removeUser(); // ends the timers
});
