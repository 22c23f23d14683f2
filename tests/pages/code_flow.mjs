// An authorization code flow with openid-client.
import * as openid from 'openid-client';

import { issuer } from './community.mjs';

/** Starts a code flow. Returns the authorization URL and `finish(address)`, which exchanges the code of the
 *  callback address for tokens. */
export async function startCodeFlow(app, redirectUri, parameters = {}) {
  const authentication = app.client_secret ? openid.ClientSecretPost(app.client_secret) : openid.None();
  const config = await openid.discovery(new URL(issuer), app.client_id, undefined, authentication, {
    execute: [openid.allowInsecureRequests], // the test server has no https
  });
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const url = openid.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid profile offline_access',
    state,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...parameters,
  });
  const finish = (address) =>
    openid.authorizationCodeGrant(config, address, { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true });
  return { url: url.href, finish, config };
}
