// A resource server, as oauth4webapi makes one: it knows the issuer and its own address.
import * as oauth from 'oauth4webapi';

import { issuer as tested } from './person.mjs';

const loopback = { [oauth.allowInsecureRequests]: true };

/** The claims of an access token, which was verified as RFC 9068 §4 says, for one resource. */
export async function accept(accessToken, resource, issuer = tested) {
  const url = new URL(issuer);
  const found = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...loopback });
  const server = await oauth.processDiscoveryResponse(url, found);
  const headers = { authorization: `Bearer ${accessToken}` };
  const request = new Request(resource, { headers });
  return oauth.validateJwtAccessToken(server, request, resource, loopback);
}
