// T25: npm `openid-client`, a relying party configured by discovery. `allowInsecureRequests` permits plain http;
// all checks are on, and ID tokens from the token endpoint are additionally verified with the JWK set.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as client from 'openid-client';

import { publish } from './host.mjs';
import { Person, callback, issuer, made } from './person.mjs';
import { accept } from './resource.mjs';

const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks];
const SCOPE = 'openid profile email offline_access';

/** Configures a client with the issuer and its registered credentials. */
function discover({ client_id: id, client_secret: secret }, authentication, options) {
  const server = new URL(issuer);
  return client.discovery(server, id, secret, authentication, { execute, ...options });
}

/** Starts a code flow: the authorization URL, made by `build`, and the values that the client checks afterwards. */
async function begin(config, parameters, build = client.buildAuthorizationUrl) {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const url = await build(config, {
    redirect_uri: callback,
    scope: SCOPE,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...parameters,
  });
  return { url, checks };
}

/** Asserts the claims and userinfo of tokens, and refreshes them. */
async function assertSignedIn(config, person, tokens) {
  const { id } = person.account;
  assert.equal(tokens.claims().sub, id);
  assert.equal(tokens.claims().aud, config.clientMetadata().client_id);
  assert.ok(tokens.expiresIn() > 0);

  const info = await client.fetchUserInfo(config, tokens.access_token, id);
  assert.equal(info.preferred_username, person.account.handle);

  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal(renewed.claims().sub, id);
  assert.notEqual(renewed.refresh_token, tokens.refresh_token);
  await client.fetchUserInfo(config, renewed.access_token, id);
}

/** Signs a member in with the code flow. */
async function assertSignsIn(config) {
  const person = new Person('frigg');
  const { url, checks } = await begin(config);
  const tokens = await client.authorizationCodeGrant(config, await person.approve(url), checks);
  await assertSignedIn(config, person, tokens);
}

const KINDS = [
  ['a public client', 'public', () => client.None()],
  ['client_secret_basic', 'confidential', ({ client_secret: s }) => client.ClientSecretBasic(s)],
  ['client_secret_post', 'confidential', ({ client_secret: s }) => client.ClientSecretPost(s)],
];

for (const [title, name, authentication] of KINDS) {
  test(`T25: code flow with PKCE, userinfo, refresh: ${title}`, async () => {
    const registered = made(name);
    const config = await discover(registered, authentication(registered));
    const person = new Person('frigg');
    const { url, checks } = await begin(config);
    const back = await person.approve(url);
    const tokens = await client.authorizationCodeGrant(config, back, checks);
    const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.equal(info.email, 'frigg@example.com');
    assert.equal(info.email_verified, true);
    await assertSignedIn(config, person, tokens);
  });
}

test('T25: a secret without a configured authentication method', async () => {
  await assertSignsIn(await discover(made('confidential')));
});

test('T25: discovery by RFC 8414 only', async () => {
  const config = await discover(made('public'), undefined, { algorithm: 'oauth2' });
  const person = new Person('frigg');
  const { url, checks } = await begin(config, { scope: 'profile' });
  delete checks.expectedNonce;
  delete checks.idTokenExpected;
  url.searchParams.delete('nonce');
  const tokens = await client.authorizationCodeGrant(config, await person.approve(url), checks);
  assert.equal(tokens.id_token, undefined);
});

test('T25: tokens have the requested resource as audience, also after a refresh', async () => {
  const config = await discover(made('public'));
  const resource = `${issuer}/mcp`;
  const { url, checks } = await begin(config, { resource });
  const back = await new Person('frigg').approve(url);
  const tokens = await client.authorizationCodeGrant(config, back, checks, { resource });
  const { refresh_token } = tokens;
  const elsewhere = { resource: 'https://elsewhere.example' };
  const refused = { name: 'ResponseBodyError', error: 'invalid_target' };
  await assert.rejects(client.refreshTokenGrant(config, refresh_token, elsewhere), refused);
  const renewed = await client.refreshTokenGrant(config, refresh_token, { resource });
  for (const { access_token } of [tokens, renewed]) {
    const { aud } = await accept(access_token, resource);
    assert.deepEqual(aud, [resource, 'storyden']);
  }
});

for (const alg of ['ES256', 'RS256', 'PS256', 'Ed25519']) {
  test(`T25: tokens bound to a key (DPoP) with ${alg}`, async () => {
    const config = await discover(made('public'));
    assert.ok(config.serverMetadata().dpop_signing_alg_values_supported.includes(alg));
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(alg));
    const person = new Person('frigg');
    const { url, checks } = await begin(config, { dpop_jkt: await DPoP.calculateThumbprint() });
    const back = await person.approve(url);
    const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP });
    assert.equal(tokens.token_type, 'dpop');
    const { id } = person.account;
    const info = await client.fetchUserInfo(config, tokens.access_token, id, { DPoP });
    assert.equal(info.preferred_username, 'frigg');
    const refresh = tokens.refresh_token;
    const refused = { name: 'ResponseBodyError', error: 'invalid_grant' };
    await assert.rejects(client.refreshTokenGrant(config, refresh), refused);
    const renewed = await client.refreshTokenGrant(config, refresh, undefined, { DPoP });
    assert.equal(renewed.token_type, 'dpop');
    await client.fetchUserInfo(config, renewed.access_token, id, { DPoP });
    await assert.rejects(client.fetchUserInfo(config, renewed.access_token, id));
  });
}

test('T25: an unknown resource is invalid_target', async () => {
  const config = await discover(made('public'));
  const person = new Person('frigg');
  await person.signIn();
  const { url, checks } = await begin(config, { resource: 'https://elsewhere.example' });
  const back = await person.approve(url);
  await assert.rejects(client.authorizationCodeGrant(config, back, checks), {
    name: 'AuthorizationResponseError',
    error: 'invalid_target',
  });
});

test('T25: max_age is answered with an auth_time that the client checks', async () => {
  const config = await discover(made('public'));
  const person = new Person('frigg');
  await person.signIn();
  const { url, checks } = await begin(config, { max_age: '600' });
  const back = await person.approve(url);
  const tokens = await client.authorizationCodeGrant(config, back, { ...checks, maxAge: 600 });
  assert.equal(typeof tokens.claims().auth_time, 'number');
});

test('T25: prompt=none without a session is login_required', async () => {
  const config = await discover(made('public'));
  const { url, checks } = await begin(config, { prompt: 'none' });
  const back = await new Person('frigg').approve(url);
  await assert.rejects(client.authorizationCodeGrant(config, back, checks), {
    name: 'AuthorizationResponseError',
    error: 'login_required',
  });
});

test('T25: client credentials, with client_secret_basic and client_secret_post', async () => {
  const registered = made('service');
  for (const authentication of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const config = await discover(registered, authentication(registered.client_secret));
    const tokens = await client.clientCredentialsGrant(config, { scope: 'CREATE_POST' });
    assert.equal(tokens.scope, 'CREATE_POST');
    assert.equal(tokens.id_token, undefined);
    assert.equal(tokens.refresh_token, undefined);
  }
});

const DEVICES = [
  ['storyden-cli', { client_id: 'storyden-cli' }, 'openid profile offline_access'],
  ['a client of its own', made('device'), SCOPE],
];

for (const [title, registered, scope] of DEVICES) {
  test(`T25: device flow, approved while the client polls: ${title}`, async () => {
    const config = await discover(registered, client.None());
    const person = new Person('frigg');
    const started = await client.initiateDeviceAuthorization(config, { scope });
    assert.ok(started.verification_uri_complete.includes(started.user_code));
    const [tokens] = await Promise.all([
      client.pollDeviceAuthorizationGrant(config, started),
      person.decideDevice(started.user_code, 'approve'),
    ]);
    await assertSignedIn(config, person, tokens);
  });
}

test('T25: a denied device gets access_denied', async () => {
  const config = await discover({ client_id: 'storyden-cli' }, client.None());
  const scope = 'openid profile offline_access';
  const started = await client.initiateDeviceAuthorization(config, { scope });
  await new Person('frigg').decideDevice(started.user_code, 'deny');
  await assert.rejects(client.pollDeviceAuthorizationGrant(config, started), {
    name: 'ResponseBodyError',
    error: 'access_denied',
  });
});

test('T25: a denied consent is access_denied', async () => {
  const config = await discover(made('public'));
  const { url, checks } = await begin(config);
  const back = await new Person('frigg').deny(url);
  await assert.rejects(client.authorizationCodeGrant(config, back, checks), {
    name: 'AuthorizationResponseError',
    error: 'access_denied',
  });
});

test('T25: a member without the permission gets access_denied', async () => {
  const config = await discover(made('public'));
  const person = new Person('loki');
  await person.signIn();
  const { url, checks } = await begin(config);
  await assert.rejects(client.authorizationCodeGrant(config, await person.approve(url), checks), {
    name: 'AuthorizationResponseError',
    error: 'access_denied',
  });
});

test('T25: a wrong verifier is invalid_grant', async () => {
  const config = await discover(made('public'));
  const { url, checks } = await begin(config);
  const back = await new Person('frigg').approve(url);
  const wrong = { ...checks, pkceCodeVerifier: client.randomPKCECodeVerifier() };
  await assert.rejects(client.authorizationCodeGrant(config, back, wrong), {
    name: 'ResponseBodyError',
    error: 'invalid_grant',
    status: 400,
  });
});

test('T25: a code works once', async () => {
  const config = await discover(made('public'));
  const { url, checks } = await begin(config);
  const back = await new Person('frigg').approve(url);
  await client.authorizationCodeGrant(config, back, checks);
  await assert.rejects(client.authorizationCodeGrant(config, back, checks), {
    name: 'ResponseBodyError',
    error: 'invalid_grant',
  });
});

test('T25: an unknown refresh token is invalid_grant', async () => {
  const config = await discover(made('public'));
  await assert.rejects(client.refreshTokenGrant(config, 'nobody-was-given-this'), {
    name: 'ResponseBodyError',
    error: 'invalid_grant',
  });
});

test('T25: a wrong secret is a challenge over Basic and invalid_client in the body', async () => {
  const wrong = { ...made('service'), client_secret: 'sdoas_wrong' };
  const basic = await discover(wrong, client.ClientSecretBasic('sdoas_wrong'));
  await assert.rejects(client.clientCredentialsGrant(basic), (error) => {
    assert.equal(error.name, 'WWWAuthenticateChallengeError');
    assert.equal(error.status, 401);
    assert.equal(error.cause[0].scheme, 'basic');
    return true;
  });
  const post = await discover(wrong, client.ClientSecretPost('sdoas_wrong'));
  await assert.rejects(client.clientCredentialsGrant(post), {
    name: 'ResponseBodyError',
    error: 'invalid_client',
  });
});

test('T25: userinfo rejects an invalid token with a bearer challenge', async () => {
  const config = await discover(made('public'));
  await assert.rejects(client.fetchUserInfo(config, 'none', client.skipSubjectCheck), (error) => {
    assert.equal(error.name, 'WWWAuthenticateChallengeError');
    assert.equal(error.status, 401);
    assert.equal(error.cause[0].scheme, 'bearer');
    assert.equal(error.cause[0].parameters.error, 'invalid_token');
    return true;
  });
});

/** Registers a client dynamically and returns the registered metadata. */
function register(metadata, authentication) {
  const asked = { client_name: 'A stranger', redirect_uris: [callback], ...metadata };
  return client.dynamicClientRegistration(new URL(issuer), asked, authentication, { execute });
}

const REGISTRATIONS = [
  ['a public client', 'none', client.None()],
  ['client_secret_basic', 'client_secret_basic', client.ClientSecretBasic()],
  ['client_secret_post', 'client_secret_post', client.ClientSecretPost()],
  ['nothing said about how to send the secret', undefined, undefined],
];

for (const [title, method, authentication] of REGISTRATIONS) {
  test(`T25: registration, sign-in, revocation: ${title}`, async () => {
    const config = await register({ token_endpoint_auth_method: method }, authentication);
    assert.equal(config.clientMetadata().client_name, 'A stranger');
    const person = new Person('frigg');
    const { url, checks } = await begin(config);
    const tokens = await client.authorizationCodeGrant(config, await person.approve(url), checks);
    await assertSignedIn(config, person, tokens);
    await client.tokenRevocation(config, tokens.access_token);
    await assert.rejects(client.fetchUserInfo(config, tokens.access_token, client.skipSubjectCheck), {
      name: 'WWWAuthenticateChallengeError',
    });
  });
}

/** Generates a key pair and the public JWK set. */
async function makeKey() {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const uses = ['sign', 'verify'];
  const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, false, uses);
  const jwk = await crypto.subtle.exportKey('jwk', publicKey);
  return { privateKey, jwks: { keys: [jwk] } };
}

test('T25: private_key_jwt with a registered key', async () => {
  const { privateKey, jwks } = await makeKey();
  const metadata = { token_endpoint_auth_method: 'private_key_jwt', jwks };
  await assertSignsIn(await register(metadata, client.PrivateKeyJwt(privateKey)));
});

test('T25: private_key_jwt with a registered jwks_uri', async (t) => {
  const { privateKey, jwks } = await makeKey();
  const { origin, asked } = await publish(t, () => ({ '/keys.json': jwks }));
  const jwks_uri = `${origin}/keys.json`;
  const metadata = { token_endpoint_auth_method: 'private_key_jwt', jwks_uri };
  await assertSignsIn(await register(metadata, client.PrivateKeyJwt(privateKey)));
  assert.deepEqual(asked, ['/keys.json']);
});

test('T25: private_key_jwt with a metadata document', async (t) => {
  const { privateKey, jwks } = await makeKey();
  const { origin, asked } = await publish(t, (origin) => ({
    '/client.json': {
      client_id: `${origin}/client.json`,
      client_name: 'A stranger',
      redirect_uris: [callback],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: `${origin}/keys.json`,
    },
    '/keys.json': jwks,
  }));
  const known = { client_id: `${origin}/client.json` };
  await assertSignsIn(await discover(known, client.PrivateKeyJwt(privateKey)));
  assert.deepEqual(asked, ['/client.json', '/keys.json']);
});

/** Pushes a signed request. */
async function pushSigned(config, parameters, key) {
  const { searchParams } = await client.buildAuthorizationUrlWithJAR(config, parameters, key);
  return client.buildAuthorizationUrlWithPAR(config, searchParams);
}

// The URL of the browser has these parameters alone.
const PROTECTIONS = [
  ['pushed', client.buildAuthorizationUrlWithPAR, ['client_id', 'request_uri']],
  ['signed', client.buildAuthorizationUrlWithJAR, ['client_id', 'request']],
  ['signed and pushed', pushSigned, ['client_id', 'request_uri']],
];

for (const [title, build, names] of PROTECTIONS) {
  for (const method of ['none', 'client_secret_post', 'private_key_jwt']) {
    test(`T25: ${title} authorization requests: ${method}`, async () => {
      const { privateKey, jwks } = await makeKey();
      const demands = {
        require_pushed_authorization_requests: names.includes('request_uri'),
        require_signed_request_object: build !== client.buildAuthorizationUrlWithPAR,
        request_object_signing_alg: 'ES256',
      };
      const authentication = { none: client.None(), private_key_jwt: client.PrivateKeyJwt(privateKey) };
      const metadata = { token_endpoint_auth_method: method, jwks, ...demands };
      const config = await register(metadata, authentication[method]);
      const person = new Person('frigg');
      const protect = (config, parameters) => build(config, parameters, privateKey);
      const { url, checks } = await begin(config, {}, protect);
      assert.deepEqual([...url.searchParams.keys()].sort(), names);
      const tokens = await client.authorizationCodeGrant(config, await person.approve(url), checks);
      await assertSignedIn(config, person, tokens);

      const plain = await begin(config);
      const refused = await person.fetch(plain.url);
      assert.deepEqual([refused.status, (await refused.json()).error], [400, 'invalid_request']);
    });
  }
}

test('T25: an invalid pushed request is an error of the client library', async () => {
  const config = await discover(made('public'));
  for (const [parameters, error] of [
    [{ scope: 'nonsense' }, 'invalid_scope'],
    [{ redirect_uri: 'https://elsewhere.example/' }, 'invalid_request'],
  ]) {
    const pushed = begin(config, parameters, client.buildAuthorizationUrlWithPAR);
    await assert.rejects(pushed, { name: 'ResponseBodyError', error });
  }
});

test('T25: a request signed by an unknown key is invalid_request_object', async () => {
  const { jwks } = await makeKey();
  const { privateKey: other } = await makeKey();
  const config = await register({ token_endpoint_auth_method: 'none', jwks }, client.None());
  const protect = (config, parameters) => pushSigned(config, parameters, other);
  await assert.rejects(begin(config, {}, protect), { error: 'invalid_request_object' });
});

test('T25: a rejected registration has an error description', async () => {
  await assert.rejects(register({ redirect_uris: ['http://a.example/'] }), {
    name: 'ResponseBodyError',
    error: 'invalid_redirect_uri',
  });
  await assert.rejects(register({ grant_types: ['client_credentials'] }), {
    name: 'ResponseBodyError',
    error: 'invalid_client_metadata',
  });
});

test('T25: introspection of tokens before and after their revocation', async () => {
  const config = await discover(made('confidential'));
  const person = new Person('frigg');
  const { url, checks } = await begin(config);
  const tokens = await client.authorizationCodeGrant(config, await person.approve(url), checks);
  for (const token of [tokens.access_token, tokens.refresh_token]) {
    const good = await client.tokenIntrospection(config, token);
    assert.equal(good.active, true);
    assert.equal(good.sub, person.account.id);
  }
  await client.tokenRevocation(config, tokens.refresh_token, { token_type_hint: 'refresh_token' });
  for (const token of [tokens.access_token, tokens.refresh_token]) {
    assert.deepEqual(await client.tokenIntrospection(config, token), { active: false });
  }
});

test('T25: sign-out redirects to the registered post-logout address', async () => {
  const config = await discover(made('confidential'));
  const person = new Person('frigg');
  const { url, checks } = await begin(config);
  const tokens = await client.authorizationCodeGrant(config, await person.approve(url), checks);
  const out = client.buildEndSessionUrl(config, {
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: 'http://127.0.0.1/goodbye',
    state: 'bye',
  });
  assert.equal((await person.follow(out)).href, 'http://127.0.0.1/goodbye?state=bye');
  const { url: silent, checks: again } = await begin(config, { prompt: 'none' });
  const back = await person.approve(silent);
  await assert.rejects(client.authorizationCodeGrant(config, back, again), { error: 'login_required' });
});

// Negative test: the client's checks are enabled.
test('T25: a response with a wrong or missing issuer is rejected', async () => {
  const config = await discover(made('public'));
  const { url, checks } = await begin(config);
  const back = await new Person('frigg').approve(url);
  assert.equal(back.searchParams.get('iss'), issuer);
  const other = new URL(back);
  other.searchParams.set('iss', 'https://elsewhere.example');
  await assert.rejects(client.authorizationCodeGrant(config, other, checks), ({ cause }) =>
    cause.message.startsWith('unexpected "iss"'),
  );
  other.searchParams.delete('iss');
  await assert.rejects(client.authorizationCodeGrant(config, other, checks), ({ cause }) =>
    cause.message.startsWith('response parameter "iss" (issuer) missing'),
  );
  await client.authorizationCodeGrant(config, back, checks);
});
