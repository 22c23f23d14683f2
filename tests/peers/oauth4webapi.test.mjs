// T25: npm `oauth4webapi`, which validates the status, content type, members and types of each response.
// `allowInsecureRequests` permits plain http; all other checks are on.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as oauth from 'oauth4webapi';

import { Person, callback, issuer, made } from './person.mjs';

const loopback = { [oauth.allowInsecureRequests]: true };
const SCOPE = 'openid profile email offline_access';

/** The server's metadata, by OpenID Connect Discovery (`oidc`) or RFC 8414 (`oauth2`). */
async function discover(algorithm = 'oidc') {
  const url = new URL(issuer);
  const response = await oauth.discoveryRequest(url, { algorithm, ...loopback });
  return oauth.processDiscoveryResponse(url, response);
}

/** Starts a code flow: the authorization URL and the state of the client. */
async function begin(server, client, scope = SCOPE) {
  const kept = {
    verifier: oauth.generateRandomCodeVerifier(),
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
  };
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: callback,
    response_type: 'code',
    scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(kept.verifier),
    code_challenge_method: 'S256',
    state: kept.state,
    nonce: kept.nonce,
  });
  return { url, kept };
}

/** Exchanges the authorization response for tokens and verifies the ID token with the JWK set. */
async function exchange(server, client, authentication, back, kept) {
  const parameters = oauth.validateAuthResponse(server, client, back, kept.state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    authentication,
    parameters,
    callback,
    kept.verifier,
    loopback,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
    expectedNonce: kept.nonce,
    requireIdToken: true,
  });
  await oauth.validateApplicationLevelSignature(server, response, loopback);
  return tokens;
}

/** Checks userinfo, refreshes, and checks userinfo with the new access token. */
async function useAndRenew(server, client, authentication, tokens) {
  const { sub } = oauth.getValidatedIdTokenClaims(tokens);
  await userinfo(server, client, tokens.access_token, sub);
  const response = await oauth.refreshTokenGrantRequest(
    server,
    client,
    authentication,
    tokens.refresh_token,
    loopback,
  );
  const renewed = await oauth.processRefreshTokenResponse(server, client, response);
  await oauth.validateApplicationLevelSignature(server, response, loopback);
  assert.equal(oauth.getValidatedIdTokenClaims(renewed).sub, sub);
  assert.notEqual(renewed.refresh_token, tokens.refresh_token);
  await userinfo(server, client, renewed.access_token, sub);
}

async function userinfo(server, client, accessToken, subject) {
  const response = await oauth.userInfoRequest(server, client, accessToken, loopback);
  const info = await oauth.processUserInfoResponse(server, client, subject, response);
  assert.equal(info.preferred_username, 'frigg');
}

const KINDS = [
  ['a public client', 'public', () => oauth.None()],
  ['client_secret_basic', 'confidential', ({ client_secret: s }) => oauth.ClientSecretBasic(s)],
  ['client_secret_post', 'confidential', ({ client_secret: s }) => oauth.ClientSecretPost(s)],
];

for (const [title, name, authenticate] of KINDS) {
  test(`T25: code flow with PKCE, userinfo, refresh: ${title}`, async () => {
    const registered = made(name);
    const server = await discover();
    const client = { client_id: registered.client_id };
    const authentication = authenticate(registered);
    const person = new Person('frigg');
    const { url, kept } = await begin(server, client);
    const back = await person.approve(url);
    const tokens = await exchange(server, client, authentication, back, kept);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    assert.equal(claims.sub, person.account.id);
    await useAndRenew(server, client, authentication, tokens);
  });
}

/** Repeats a request with the nonce of the server. The library keeps the nonce of each response. */
async function withNonce(send) {
  await assert.rejects(send, (error) => oauth.isDPoPNonceError(error));
  return send();
}

test('T25: client credentials bound to a key (DPoP), with a nonce', async () => {
  const server = await discover();
  const { client_id, client_secret } = made('service');
  const client = { client_id };
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const authentication = oauth.ClientSecretBasic(client_secret);
  const parameters = new URLSearchParams({ scope: 'CREATE_POST' });
  const request = (options) =>
    oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options);
  const bound = await withNonce(async () => {
    const response = await request({ DPoP, ...loopback });
    return oauth.processClientCredentialsResponse(server, client, response);
  });
  assert.equal(bound.token_type, 'dpop');
  const api = new URL(`${issuer}/api/oauth/userinfo`);
  const call = (options) =>
    oauth.protectedResourceRequest(bound.access_token, 'GET', api, undefined, undefined, options);
  // The token has no scope openid: the proof was accepted. As a bearer token it is rejected.
  await assert.rejects(call({ DPoP, ...loopback }), (error) => {
    const challenge = error.cause.find(({ scheme }) => scheme === 'dpop');
    assert.equal(challenge.parameters.error, 'insufficient_scope');
    return true;
  });
  await assert.rejects(call(loopback), (error) => {
    assert.deepEqual(
      error.cause.map(({ scheme }) => scheme),
      ['bearer', 'dpop'],
    );
    assert.equal(error.cause[0].parameters.error, 'invalid_token');
    return true;
  });
});

test('T25: both metadata documents are accepted and agree', async () => {
  const [openid, plain] = await Promise.all([discover('oidc'), discover('oauth2')]);
  for (const [member, value] of Object.entries(plain)) {
    assert.deepEqual(openid[member], value, member);
  }
  assert.equal(openid.authorization_response_iss_parameter_supported, true);
});

test('T25: without openid there is no ID token', async () => {
  const server = await discover('oauth2');
  const { client_id } = made('public');
  const client = { client_id };
  const { url, kept } = await begin(server, client, 'profile');
  url.searchParams.delete('nonce');
  const back = await new Person('frigg').approve(url);
  const parameters = oauth.validateAuthResponse(server, client, back, kept.state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.None(),
    parameters,
    callback,
    kept.verifier,
    loopback,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response);
  assert.equal(tokens.id_token, undefined);
  assert.equal(tokens.refresh_token, undefined);
});

test('T25: without state and nonce there is neither in the answers', async () => {
  const server = await discover();
  const client = { client_id: made('public').client_id };
  const { url, kept } = await begin(server, client);
  url.searchParams.delete('state');
  url.searchParams.delete('nonce');
  const back = await new Person('frigg').approve(url);
  await exchange(server, client, oauth.None(), back, {
    verifier: kept.verifier,
    state: oauth.expectNoState,
    nonce: oauth.expectNoNonce,
  });
});

test('T25: client credentials, with client_secret_basic and client_secret_post', async () => {
  const server = await discover();
  const { client_id, client_secret } = made('service');
  const client = { client_id };
  for (const authenticate of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
    const authentication = authenticate(client_secret);
    const asked = new URLSearchParams({ scope: 'CREATE_POST' });
    const response = await oauth.clientCredentialsGrantRequest(
      server,
      client,
      authentication,
      asked,
      loopback,
    );
    const tokens = await oauth.processClientCredentialsResponse(server, client, response);
    assert.equal(tokens.scope, 'CREATE_POST');
  }
});

/** Polls once. */
async function poll(server, client, deviceCode) {
  const response = await oauth.deviceCodeGrantRequest(
    server,
    client,
    oauth.None(),
    deviceCode,
    loopback,
  );
  const tokens = await oauth.processDeviceCodeResponse(server, client, response);
  await oauth.validateApplicationLevelSignature(server, response, loopback);
  return tokens;
}

/** Starts a device flow. */
async function startDevice(server, client, scope) {
  const response = await oauth.deviceAuthorizationRequest(
    server,
    client,
    oauth.None(),
    new URLSearchParams({ scope }),
    loopback,
  );
  return oauth.processDeviceAuthorizationResponse(server, client, response);
}

/** Waits for the poll interval. */
function interval(started) {
  return new Promise((resolve) => setTimeout(resolve, started.interval * 1000));
}

const DEVICES = [
  ['storyden-cli', 'storyden-cli', 'openid profile offline_access'],
  ['a client of its own', made('device').client_id, SCOPE],
];

for (const [title, client_id, scope] of DEVICES) {
  test(`T25: device flow, pending and then approved: ${title}`, async () => {
    const server = await discover();
    const client = { client_id };
    const started = await startDevice(server, client, scope);
    await assert.rejects(poll(server, client, started.device_code), {
      name: 'ResponseBodyError',
      error: 'authorization_pending',
      status: 400,
    });
    const person = new Person('frigg');
    await person.decideDevice(started.user_code, 'approve');
    await interval(started);
    const tokens = await poll(server, client, started.device_code);
    assert.equal(oauth.getValidatedIdTokenClaims(tokens).sub, person.account.id);
    await useAndRenew(server, client, oauth.None(), tokens);
  });
}

test('T25: a denied device gets access_denied', async () => {
  const server = await discover();
  const client = { client_id: made('device').client_id };
  const started = await startDevice(server, client, SCOPE);
  await new Person('frigg').decideDevice(started.user_code, 'deny');
  await assert.rejects(poll(server, client, started.device_code), {
    name: 'ResponseBodyError',
    error: 'access_denied',
  });
});

test('T25: a denied consent is access_denied', async () => {
  const server = await discover();
  const client = { client_id: made('public').client_id };
  const { url, kept } = await begin(server, client);
  const back = await new Person('frigg').deny(url);
  assert.throws(() => oauth.validateAuthResponse(server, client, back, kept.state), {
    name: 'AuthorizationResponseError',
    error: 'access_denied',
  });
});

test('T25: a wrong verifier is invalid_grant', async () => {
  const server = await discover();
  const client = { client_id: made('public').client_id };
  const { url, kept } = await begin(server, client);
  const back = await new Person('frigg').approve(url);
  const wrong = { ...kept, verifier: oauth.generateRandomCodeVerifier() };
  await assert.rejects(exchange(server, client, oauth.None(), back, wrong), {
    name: 'ResponseBodyError',
    error: 'invalid_grant',
    status: 400,
  });
});

test('T25: a scope that is not allowed to the client is invalid_scope', async () => {
  const server = await discover();
  const client = { client_id: made('device').client_id };
  await assert.rejects(startDevice(server, client, 'openid ADMINISTRATOR'), {
    name: 'ResponseBodyError',
    error: 'invalid_scope',
  });
});

async function introspect(server, client, authentication, token) {
  const response = await oauth.introspectionRequest(server, client, authentication, token, loopback);
  return oauth.processIntrospectionResponse(server, client, response);
}

async function revoke(server, client, authentication, token) {
  const response = await oauth.revocationRequest(server, client, authentication, token, loopback);
  await oauth.processRevocationResponse(response);
}

test('T25: registration, introspection and revocation have valid responses', async () => {
  const server = await discover();
  const metadata = {
    client_name: 'A stranger',
    redirect_uris: [callback],
    token_endpoint_auth_method: 'client_secret_post',
    scope: SCOPE,
  };
  const asked = await oauth.dynamicClientRegistrationRequest(server, metadata, loopback);
  const client = await oauth.processDynamicClientRegistrationResponse(asked);
  assert.equal(client.client_secret_expires_at, 0);
  const authentication = oauth.ClientSecretPost(client.client_secret);
  const { url, kept } = await begin(server, client);
  const back = await new Person('frigg').approve(url);
  const tokens = await exchange(server, client, authentication, back, kept);

  const good = await introspect(server, client, authentication, tokens.access_token);
  assert.equal(good.active, true);
  assert.equal(good.client_id, client.client_id);
  const { refresh_token } = tokens;
  await revoke(server, client, authentication, refresh_token);
  for (const token of [tokens.access_token, refresh_token]) {
    assert.deepEqual(await introspect(server, client, authentication, token), { active: false });
  }
});

test('T25: rejected registrations and revocations have valid error responses', async () => {
  const server = await discover();
  const asked = await oauth.dynamicClientRegistrationRequest(server, { redirect_uris: ['/x'] }, loopback);
  await assert.rejects(oauth.processDynamicClientRegistrationResponse(asked), {
    name: 'ResponseBodyError',
    error: 'invalid_redirect_uri',
    status: 400,
  });
  const client = { client_id: made('confidential').client_id };
  const wrong = oauth.ClientSecretBasic('wrong');
  const refused = await oauth.revocationRequest(server, client, wrong, 'x', loopback);
  await assert.rejects(oauth.processRevocationResponse(refused), { status: 401 });
});

/** Generates a key pair and registers a client with the public key. */
async function registerKey(server, alg) {
  const { privateKey: key, publicKey } = await oauth.generateKeyPair(alg);
  const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'mine', alg };
  const metadata = {
    client_name: 'A stranger with a key',
    redirect_uris: [callback],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [jwk] },
    scope: SCOPE,
  };
  const asked = await oauth.dynamicClientRegistrationRequest(server, metadata, loopback);
  const client = await oauth.processDynamicClientRegistrationResponse(asked);
  return { client, authentication: oauth.PrivateKeyJwt({ key, kid: 'mine' }) };
}

for (const alg of ['ES256', 'ES384', 'RS256', 'PS256']) {
  test(`T25: a private key at every endpoint that asks who the client is: ${alg}`, async () => {
    const server = await discover();
    const { client, authentication } = await registerKey(server, alg);
    assert.equal(client.client_secret, undefined);
    const { url, kept } = await begin(server, client);
    const back = await new Person('frigg').approve(url);
    const tokens = await exchange(server, client, authentication, back, kept);
    await useAndRenew(server, client, authentication, tokens);

    const { access_token } = tokens;
    const good = await introspect(server, client, authentication, access_token);
    assert.equal(good.active, true);
    assert.equal(good.client_id, client.client_id);
    await revoke(server, client, authentication, access_token);
    const over = await introspect(server, client, authentication, access_token);
    assert.deepEqual(over, { active: false });
  });
}

test('T25: an assertion is valid once, and only with the registered key', async () => {
  const server = await discover();
  const { client, authentication } = await registerKey(server, 'ES256');
  const sent = new URLSearchParams();
  const first = async (server, client, body, headers) => {
    await authentication(server, client, sent, headers);
    sent.forEach((value, name) => body.set(name, value));
  };
  const again = (server, client, body) => sent.forEach((value, name) => body.set(name, value));
  const revokeAs = (authentication) => revoke(server, client, authentication, 'x');
  await revokeAs(first);
  const refused = { name: 'ResponseBodyError', error: 'invalid_client' };
  await assert.rejects(revokeAs(again), refused);

  const { authentication: another } = await registerKey(server, 'ES256');
  await assert.rejects(revokeAs(another), refused);
  await assert.rejects(revokeAs(oauth.None()), refused);
  await revokeAs(authentication);
});

test('T25: the resource metadata are accepted and lead here', async () => {
  for (const path of ['', '/api']) {
    const resource = new URL(`${issuer}${path}`);
    const response = await oauth.resourceDiscoveryRequest(resource, loopback);
    const metadata = await oauth.processResourceDiscoveryResponse(resource, response);
    assert.deepEqual(metadata.authorization_servers, [issuer]);
  }
});

// Negative test: the client's checks are enabled.
test('T25: a response with a wrong state or issuer is rejected', async () => {
  const server = await discover();
  const client = { client_id: made('public').client_id };
  const { url, kept } = await begin(server, client);
  const back = await new Person('frigg').approve(url);
  assert.throws(() => oauth.validateAuthResponse(server, client, back, 'another'), /"state"/);
  const other = new URL(back);
  other.searchParams.set('iss', 'https://elsewhere.example');
  assert.throws(() => oauth.validateAuthResponse(server, client, other, kept.state), /"iss"/);
});
