// T25: registration management (RFC 7592). None of the client libraries supports it, so the requests are sent
// manually after a registration with oauth4webapi.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as oauth from 'oauth4webapi';

import { callback, issuer } from './person.mjs';

const loopback = { [oauth.allowInsecureRequests]: true };

/** Registers a client and returns the response. */
async function register(metadata) {
  const url = new URL(issuer);
  const found = await oauth.discoveryRequest(url, loopback);
  const server = await oauth.processDiscoveryResponse(url, found);
  const asked = await oauth.dynamicClientRegistrationRequest(server, metadata, loopback);
  return oauth.processDynamicClientRegistrationResponse(asked);
}

/** Sends a request with the registration access token to the management address. */
function manage(registered, method, metadata) {
  const headers = { authorization: `Bearer ${registered.registration_access_token}` };
  if (metadata !== undefined) headers['content-type'] = 'application/json';
  const body = JSON.stringify(metadata);
  return fetch(registered.registration_client_uri, { method, headers, body });
}

test('T25: a registration is read, replaced and deleted with its registration access token', async () => {
  const metadata = {
    client_name: 'A stranger',
    redirect_uris: [callback],
    token_endpoint_auth_method: 'none',
    scope: 'openid',
  };
  const registered = await register(metadata);
  const read = await manage(registered, 'GET');
  assert.equal(read.status, 200);
  assert.deepEqual(await read.json(), registered);

  const { client_id } = registered;
  const renamed = { ...metadata, client_id, client_name: 'A friend' };
  const replaced = await manage(registered, 'PUT', renamed);
  assert.equal(replaced.status, 200);
  assert.deepEqual(await replaced.json(), { ...registered, client_name: 'A friend' });
  const other = await manage(registered, 'PUT', { ...renamed, client_id: 'another' });
  assert.equal(other.status, 400);
  assert.equal((await other.json()).error, 'invalid_client_metadata');

  const stranger = await register(metadata);
  const { registration_access_token } = stranger;
  const foreign = await manage({ ...registered, registration_access_token }, 'DELETE');
  assert.equal(foreign.status, 401);

  assert.equal((await manage(registered, 'DELETE')).status, 204);
  const gone = await manage(registered, 'GET');
  assert.equal(gone.status, 401);
  assert.match(gone.headers.get('www-authenticate'), /^Bearer .*error="invalid_token"/);
  assert.equal((await manage(stranger, 'GET')).status, 200);
});
