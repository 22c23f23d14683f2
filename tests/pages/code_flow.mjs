// A sign-in with openid-client, as an application begins and ends it.
import * as openid from 'openid-client';

import { issuer } from './community.mjs';

/** Begins a sign-in: where the browser is sent, and `finish(address)`, which takes the address where it
 *  came back and gives the tokens. */
export async function begin(app, redirectUri, parameters = {}) {
  const config = await openid.discovery(new URL(issuer), app.client_id, undefined, openid.None(), {
    execute: [openid.allowInsecureRequests], // this computer has no https
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
