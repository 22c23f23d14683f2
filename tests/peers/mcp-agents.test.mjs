// Issue 16: the client credentials extension of the MCP TypeScript SDK (SEP-1046): a service with a key, for an
// application that a member made. The SDK has no provider for enterprise-managed authorization yet.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';

import { PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';

import { publish } from './host.mjs';
import { Person, issuer } from './person.mjs';
import { accept } from './resource.mjs';

const serverUrl = `${issuer}/mcp`;

/** A key pair: the PEM of the private key, and a key set with the public key. */
function keyPair() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'one' };
  return { privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }), jwks: { keys: [jwk] } };
}

/** Creates an application of frigg that authenticates with keys. */
async function createService(keys) {
  const frigg = new Person('frigg');
  await frigg.signIn();
  const { client, client_secret: secret } = await frigg.post('/api/auth/oauth/clients', {
    name: 'An agent',
    type: 'confidential',
    allowed_grants: ['client_credentials'],
    allowed_scopes: ['CREATE_POST'],
    pkce_required: true,
    ...keys,
  });
  assert.equal(secret, undefined);
  return { clientId: client.client_id, account: frigg.account };
}

/** Gets a token with the SDK, which is only told the address of the MCP server. */
async function signIn({ clientId, account }, privateKey) {
  const provider = new PrivateKeyJwtProvider({ clientId, privateKey, algorithm: 'ES256', expectedIssuer: issuer, scope: 'CREATE_POST' });
  assert.equal(await auth(provider, { serverUrl }), 'AUTHORIZED');
  const { access_token: token, refresh_token: refreshToken } = provider.tokens();
  assert.equal(refreshToken, undefined);
  const claims = await accept(token, serverUrl);
  assert.equal(claims.sub, account.id);
  assert.equal(claims.client_id, clientId);
  assert.equal(claims.scope, 'CREATE_POST');
}

test('issue 16: an MCP service with registered keys', async () => {
  const { privateKey, jwks } = keyPair();
  const service = await createService({ jwks });
  await signIn(service, privateKey);
  await assert.rejects(signIn(service, keyPair().privateKey), /invalid_client|none of the client's keys/);
});

test('issue 16: an MCP service that publishes its keys', async (t) => {
  const { privateKey, jwks } = keyPair();
  const { origin, asked } = await publish(t, () => ({ '/keys': jwks }));
  const service = await createService({ jwks_uri: `${origin}/keys` });
  await signIn(service, privateKey);
  assert.deepEqual(asked, ['/keys']);
});
