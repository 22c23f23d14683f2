// A resource server with oauth4webapi, configured with the issuer and its own address.
import * as oauth from 'oauth4webapi';

import { issuer as tested } from './person.mjs';

const loopback = { [oauth.allowInsecureRequests]: true };

/** Verifies an access token for a resource (RFC 9068 §4) and returns the claims. */
export async function accept(accessToken, resource, issuer = tested) {
  const url = new URL(issuer);
  const found = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...loopback });
  const server = await oauth.processDiscoveryResponse(url, found);
  const headers = { authorization: `Bearer ${accessToken}` };
  const request = new Request(resource, { headers });
  return oauth.validateJwtAccessToken(server, request, resource, loopback);
}
