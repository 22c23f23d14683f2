// T25: the server as a client: of npm `oidc-provider` with dynamic registration, and of a second storyden-auth with
// a metadata document or a manually created client.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Browser, Person } from './person.mjs';
import { Remote } from './remote.mjs';
import { accept } from './resource.mjs';
import { startSecond } from './second.mjs';

const CONNECTIONS = '/api/admin/oauth/remote/connections';
const CALLBACK = '/oauth/remote/callback';

/** Signed-in account that may manage connections. */
class Manager extends Person {
  static async arrive() {
    const manager = new Manager('thor');
    await manager.signIn();
    return manager;
  }

  async get(path) {
    const answer = await this.fetch(new URL(path, this.origin));
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.json();
  }

  /** Creates a connection to a resource; authorization is pending. */
  create(asked) {
    return this.post(CONNECTIONS, asked);
  }

  /** Returns the authorization URL of a connection. */
  async authorize({ id }) {
    const { authorization_url: url } = await this.post(`${CONNECTIONS}/${id}/authorize`, {});
    return new URL(url);
  }

  /** Sends the authorization response to the API, like the callback page. */
  async finish(back) {
    assert.equal(back.pathname, CALLBACK);
    const { connection } = await this.get(`/api/oauth/remote/callback${back.search}`);
    return connection;
  }

  /** Returns the state of a connection. */
  look({ id }) {
    return this.get(`${CONNECTIONS}/${id}`);
  }

  /** Requests an access token, like a backend. */
  token({ id }) {
    return this.post(`${CONNECTIONS}/${id}/token`, {});
  }
}

/** Signs in and consents on the development pages of `oidc-provider`. */
async function agree(url) {
  const browser = new Browser();
  while (url.pathname !== CALLBACK) {
    if (!url.pathname.startsWith('/interaction/')) {
      url = await browser.follow(url);
      continue;
    }
    const page = await (await browser.fetch(url)).text();
    const [, prompt] = /name="prompt" value="(\w+)"/.exec(page);
    const body = new URLSearchParams({ prompt, login: 'sif', password: 'any' });
    url = await browser.follow(url, { method: 'POST', body });
  }
  return url;
}

/** Starts a remote server and authorizes a connection to its resource. */
async function connect(t, { life } = {}) {
  const remote = await Remote.start();
  t.after(remote.end);
  remote.life = life ?? remote.life;
  const thor = await Manager.arrive();
  const created = await thor.create({ resource_url: remote.resource, scope: 'tools' });
  const connection = await thor.finish(await agree(await thor.authorize(created)));
  assert.equal(connection.status, 'connected');
  return { remote, thor, connection };
}

/** Waits until the access token of a connection expires. */
async function ended({ token_expiry: end }) {
  while (Date.now() <= Date.parse(end)) await new Promise((resolve) => setTimeout(resolve, 100));
}

test('T25: oidc-provider: registered, authorized, and the resource accepts the token', async (t) => {
  const remote = await Remote.start();
  t.after(remote.end);
  const thor = await Manager.arrive();
  const created = await thor.create({ resource_url: remote.resource, scope: 'tools' });
  assert.equal(created.status, 'pending');
  assert.equal(created.mode, 'dcr');
  assert.equal(created.authorization_server, remote.issuer);
  const url = await thor.authorize(created);
  assert.equal(url.searchParams.get('resource'), remote.resource);
  assert.equal(url.searchParams.get('code_challenge_method'), 'S256');
  const back = await agree(url);
  assert.equal(back.searchParams.get('iss'), remote.issuer);
  const connection = await thor.finish(back);
  assert.equal(connection.status, 'connected');
  assert.equal(connection.has_refresh_token, true);
  const { access_token: token, token_type: type, scope } = await thor.token(connection);
  assert.equal(type, 'Bearer');
  assert.equal(scope, 'tools');
  assert.equal(await remote.use(token), 200);
  assert.equal((await accept(token, remote.resource, remote.issuer)).sub, 'sif');
  assert.equal(remote.refreshes, 0);
});

test('T25: oidc-provider: without a scope, the scopes of the resource and a refresh token are requested', async (t) => {
  const remote = await Remote.start();
  t.after(remote.end);
  const thor = await Manager.arrive();
  const created = await thor.create({ resource_url: remote.resource });
  assert.equal(created.scope, 'tools');
  const url = await thor.authorize(created);
  assert.equal(url.searchParams.get('scope'), 'tools offline_access');
  const connection = await thor.finish(await agree(url));
  assert.equal(connection.has_refresh_token, true);
  assert.equal(connection.scope, 'tools');
  assert.match(connection.granted_scope, /\btools\b/);
  assert.equal(await remote.use((await thor.token(connection)).access_token), 200);
});

test('T25: oidc-provider: a response with a wrong issuer is rejected', async (t) => {
  const remote = await Remote.start();
  t.after(remote.end);
  const thor = await Manager.arrive();
  const created = await thor.create({ resource_url: remote.resource, scope: 'tools' });
  const back = await agree(await thor.authorize(created));
  back.searchParams.set('iss', 'https://elsewhere.example');
  await assert.rejects(thor.finish(back), /The response is from another authorization server/);
  assert.equal((await thor.look(created)).has_access_token, false);
});

test('T25: oidc-provider: twenty concurrent requests for an expired token cause one refresh', async (t) => {
  const { remote, thor, connection } = await connect(t, { life: 1 });
  await ended(connection);
  remote.life = 3600;
  const tokens = await Promise.all(Array.from({ length: 20 }, () => thor.token(connection)));
  assert.equal(new Set(tokens.map((token) => token.access_token)).size, 1);
  assert.equal(await remote.use(tokens[0].access_token), 200);
  assert.equal(remote.refreshes, 1);
});

test('T25: oidc-provider: a revoked refresh token sets the connection to error', async (t) => {
  const { remote, thor, connection } = await connect(t, { life: 1 });
  await remote.revoke();
  await ended(connection);
  await assert.rejects(thor.token(connection), /invalid_grant.*authorize the connection again/);
  const broken = await thor.look(connection);
  assert.equal(broken.status, 'error');
  assert.match(broken.last_error, /invalid_grant/);
  assert.equal(remote.refreshes, 1);
  await assert.rejects(thor.token(connection), /authorize the connection again/);
  assert.equal(remote.refreshes, 1);

  remote.life = 3600;
  const mended = await thor.finish(await agree(await thor.authorize(connection)));
  assert.equal(mended.status, 'connected');
  assert.equal(await remote.use((await thor.token(mended)).access_token), 200);
});

test('T25: oidc-provider: tokens with a lifetime of a minute are refreshed for each request', async (t) => {
  const { remote, thor, connection } = await connect(t, { life: 60 });
  const { access_token: token } = await thor.token(connection);
  assert.equal(await remote.use(token), 200);
  assert.ok(remote.refreshes <= 1, `${remote.refreshes} refreshes`);
});

/** Requested scopes: profile and a refresh token. */
const READING = 'openid offline_access READ_PROFILE';

test('T25: a second storyden-auth, with a manually created client', async (t) => {
  const { origin, account, make } = await startSecond(t);
  const thor = await Manager.arrive();
  const redirects = ['--redirect-uri', `${thor.origin}${CALLBACK}`];
  const kind = ['--type', 'confidential'];
  const client = make('client', 'create', '--name', 'A forum', ...kind, ...redirects);
  const created = await thor.create({
    resource_url: `${origin}/api`,
    mode: 'manual',
    scope: READING,
    manual: {
      client_id: client.client_id,
      client_secret: client.client_secret,
      authorization_server: origin,
      authorization_endpoint: `${origin}/api/oauth/authorize`,
      token_endpoint: `${origin}/api/oauth/token`,
    },
  });
  assert.equal(created.mode, 'manual');
  assert.equal(created.has_client_secret, true);
  const sif = new Person(account.handle, { origin, account });
  const connection = await thor.finish(await sif.approve(await thor.authorize(created)));
  assert.equal(connection.status, 'connected');
  const { access_token: token } = await thor.token(connection);
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${origin}/api/oauth/userinfo`, { headers });
  assert.equal(answer.status, 200);
  assert.equal((await answer.json()).sub, account.id);
});

for (const [profile, mode] of [
  ['storyden', 'cimd'],
  ['standards', 'cimd'],
  ['storyden', 'dcr'],
  ['standards', 'dcr'],
]) {
  test(`T25: a second storyden-auth, by ${mode}, profile ${profile}`, async (t) => {
    const { origin, account } = await startSecond(t, profile);
    const resource = `${origin}/mcp`;
    const thor = await Manager.arrive();
    const asked = { resource_url: resource, scope: READING };
    const created = await thor.create(mode === 'cimd' ? asked : { ...asked, mode });
    assert.equal(created.mode, mode);
    if (mode === 'cimd') assert.equal(created.client_id, `${thor.origin}/.well-known/oauth-client-metadata`);
    const sif = new Person(account.handle, { origin, account });
    await sif.signIn();
    const back = await sif.approve(await thor.authorize(created));
    assert.equal(back.searchParams.get('error_description'), null);
    const connection = await thor.finish(back);
    assert.equal(connection.status, 'connected');
    assert.equal(connection.has_refresh_token, true);
    const { access_token: token } = await thor.token(connection);
    if (profile === 'standards') {
      const claims = await accept(token, resource, origin);
      assert.equal(claims.sub, account.id);
      assert.equal(claims.client_id, created.client_id);
      assert.equal(claims.scope, READING);
    } else {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`${origin}/api/oauth/userinfo`, { headers });
      assert.equal((await answer.json()).sub, account.id);
    }
  });
}
