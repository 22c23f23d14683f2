// T25: the client of the MCP TypeScript SDK. Only the address of an MCP server is configured: the resource
// metadata lead to this server, where the client uses a metadata document or registers. It requests all
// scopes of the resource.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  auth,
  discoverOAuthProtectedResourceMetadata,
  extractWWWAuthenticateParams,
} from '@modelcontextprotocol/sdk/client/auth.js';

import { publish } from './host.mjs';
import { Person, callback, issuer } from './person.mjs';
import { accept } from './resource.mjs';

const serverUrl = `${issuer}/mcp`;

// Permissions of clients that no administrator approved: read-only.
const GRANTED =
  'openid profile email offline_access READ_PUBLISHED_THREADS READ_PUBLISHED_LIBRARY ' +
  'LIST_PROFILES READ_PROFILE LIST_COLLECTIONS READ_COLLECTION';

/** Client metadata, for a document or a registration. */
function metadata(method) {
  return {
    client_name: 'An MCP client',
    redirect_uris: [callback],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: method,
  };
}

/** A client that stores the SDK's state (an `OAuthClientProvider`). */
class Application {
  #kept = {};
  redirectUrl = callback;

  constructor(clientMetadata, clientMetadataUrl) {
    this.clientMetadata = clientMetadata;
    this.clientMetadataUrl = clientMetadataUrl;
  }

  state() {
    this.#kept.state = crypto.randomUUID();
    return this.#kept.state;
  }

  clientInformation() {
    return this.#kept.client;
  }

  saveClientInformation(client) {
    this.#kept.client = client;
  }

  tokens() {
    return this.#kept.tokens;
  }

  saveTokens(tokens) {
    this.#kept.tokens = tokens;
  }

  codeVerifier() {
    return this.#kept.verifier;
  }

  saveCodeVerifier(verifier) {
    this.#kept.verifier = verifier;
  }

  invalidateCredentials(which) {
    assert.equal(which, 'tokens');
    this.#kept.tokens = undefined;
  }

  redirectToAuthorization(url) {
    this.#kept.url = url;
  }

  /** Starts an authorization, also with invalid tokens. Returns the authorization URL. */
  async begin() {
    assert.equal(await auth(this, { serverUrl }), 'REDIRECT');
    return this.#kept.url;
  }

  /** Completes the authorization at the callback address. */
  async finish(back) {
    assert.equal(back.searchParams.get('error_description'), null);
    assert.equal(back.searchParams.get('state'), this.#kept.state);
    const authorizationCode = back.searchParams.get('code');
    assert.equal(await auth(this, { serverUrl, authorizationCode }), 'AUTHORIZED');
    return this.#kept.tokens;
  }

  /** Refreshes the tokens, as the SDK does if there is a refresh token. */
  async renew() {
    assert.equal(await auth(this, { serverUrl }), 'AUTHORIZED');
    return this.#kept.tokens;
  }
}

/** Signs in and refreshes; the MCP server accepts both access tokens. */
async function signIn(application) {
  const person = new Person('frigg');
  const url = await application.begin();
  assert.equal(url.searchParams.get('resource'), serverUrl);
  assert.equal(url.searchParams.get('code_challenge_method'), 'S256');
  assert.match(url.searchParams.get('scope'), /\bADMINISTRATOR\b/);
  const tokens = await application.finish(await person.approve(url));
  const renewed = await application.renew();
  assert.notEqual(renewed.refresh_token, tokens.refresh_token);
  for (const { access_token, scope } of [tokens, renewed]) {
    const claims = await accept(access_token, serverUrl);
    assert.deepEqual(claims.aud, [serverUrl, 'storyden']);
    assert.equal(claims.sub, person.account.id);
    assert.equal(claims.client_id, application.clientInformation().client_id);
    assert.equal(claims.scope, GRANTED);
    assert.equal(scope, GRANTED);
  }
  assert.notEqual(renewed.access_token, tokens.access_token);
  return { person, tokens, renewed };
}

test('T25: an MCP client with a metadata document', async (t) => {
  const { origin, asked } = await publish(t, (origin) => ({
    '/client.json': { client_id: `${origin}/client.json`, ...metadata('none') },
  }));
  const application = new Application(metadata('none'), `${origin}/client.json`);
  await signIn(application);
  assert.equal(application.clientInformation().client_id, `${origin}/client.json`);
  assert.deepEqual(asked, ['/client.json']);
});

for (const method of [undefined, 'none', 'client_secret_basic', 'client_secret_post']) {
  test(`T25: an MCP client that registers: ${method ?? 'no method named'}`, async () => {
    const application = new Application(metadata(method));
    await signIn(application);
    const { token_endpoint_auth_method, client_secret } = application.clientInformation();
    assert.equal(token_endpoint_auth_method, method ?? 'client_secret_basic');
    assert.equal(client_secret === undefined, method === 'none');
  });
}

test('T25: an MCP client with revoked tokens authorizes again, as the same client', async () => {
  const application = new Application(metadata('none'));
  const { person, tokens } = await signIn(application);
  const { client_id } = application.clientInformation();
  const { refresh_token: token } = application.tokens();
  const body = new URLSearchParams({ client_id, token });
  const revoked = await fetch(`${issuer}/api/oauth/revoke`, { method: 'POST', body });
  assert.equal(revoked.status, 200);
  const url = await application.begin();
  assert.equal(url.searchParams.get('client_id'), client_id);
  const anew = await application.finish(await person.approve(url));
  assert.notEqual(anew.access_token, tokens.access_token);
});

test('T25: the challenge of the API leads an MCP client to its metadata', async () => {
  const refused = await fetch(`${issuer}/api/oauth/userinfo`);
  assert.equal(refused.status, 401);
  const { resourceMetadataUrl } = extractWWWAuthenticateParams(refused);
  const api = `${issuer}/api`;
  const found = await discoverOAuthProtectedResourceMetadata(api, { resourceMetadataUrl });
  assert.equal(found.resource, api);
  assert.deepEqual(found.authorization_servers, [issuer]);
});
