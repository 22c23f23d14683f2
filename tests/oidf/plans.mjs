// The test plans: their names in the suite, their variants, and their configuration.
import { createClient, registerFapiClient } from './community.mjs';

const issuer = process.env.OIDF_ISSUER;
const discovery = { discoveryUrl: `${issuer}/.well-known/openid-configuration` };
const certification = (name) => `oidcc-${name}-certification-test-plan`;

const callback = (suite, alias) => `${suite}/test/a/${alias}/callback`;
// The suite appends these parameters to the redirect URI of the second client.
const secondCallback = (suite, alias) => `${callback(suite, alias)}?dummy1=lorem&dummy2=ipsum`;

const dynamicClients = () => ({ server: discovery });

function staticClients(suite, alias) {
  const create = (name) => createClient(name, [callback(suite, alias), secondCallback(suite, alias)]);
  return {
    server: discovery,
    client: create(`Suite ${alias} 1`),
    client2: create(`Suite ${alias} 2`),
    client_secret_post: create(`Suite ${alias} 3`),
  };
}

/** Clients of the FAPI plans; `resource` is an endpoint for their tokens. */
const fapiClients = (scope, resource, further) => async (suite, alias) => ({
  server: discovery,
  client: await registerFapiClient(`Suite ${alias} 1`, [callback(suite, alias)], scope, further),
  client2: await registerFapiClient(`Suite ${alias} 2`, [secondCallback(suite, alias)], scope, further),
  resource: { resourceUrl: `${issuer}${resource}` },
});

const discovered = { server_metadata: 'discovery' };
const fapi = { client_auth_type: 'private_key_jwt', sender_constrain: 'dpop', fapi_profile: 'plain_fapi', authorization_request_type: 'simple' };
const openidScope = 'openid profile email offline_access';
const openid = fapiClients(openidScope, '/api/oauth/userinfo');

/** The plans by their names of `run`: name in the suite, variants, and a function that makes the configuration. */
export const plans = {
  config: { name: certification('config'), variant: {}, configure: dynamicClients },
  'basic-static': { name: certification('basic'), variant: { ...discovered, client_registration: 'static_client' }, configure: staticClients },
  'basic-dynamic': { name: certification('basic'), variant: { ...discovered, client_registration: 'dynamic_client' }, configure: dynamicClients },
  'formpost-static': { name: certification('formpost-basic'), variant: { ...discovered, client_registration: 'static_client' }, configure: staticClients },
  'formpost-dynamic': { name: certification('formpost-basic'), variant: { ...discovered, client_registration: 'dynamic_client' }, configure: dynamicClients },
  logout: {
    name: certification('rp-initiated-logout'),
    variant: { client_registration: 'dynamic_client', response_type: 'code' },
    configure: dynamicClients,
  },
  dynamic: { name: certification('dynamic'), variant: { response_type: 'code' }, configure: dynamicClients },
  fapi: { name: 'fapi2-security-profile-final-test-plan', variant: { ...fapi, openid: 'openid_connect' }, configure: openid },
  'fapi-oauth': {
    name: 'fapi2-security-profile-final-test-plan',
    variant: { ...fapi, openid: 'plain_oauth' },
    configure: fapiClients('MANAGE_ROBOTS offline_access', '/api/admin/oauth/remote/connections'),
  },
  'fapi-signed': {
    name: 'fapi2-message-signing-final-test-plan',
    variant: { ...fapi, openid: 'openid_connect', fapi_request_method: 'signed_non_repudiation', fapi_response_mode: 'plain_response' },
    configure: fapiClients(openidScope, '/api/oauth/userinfo', { require_signed_request_object: true }),
  },
};
