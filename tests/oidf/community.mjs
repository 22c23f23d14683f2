// The member and the clients of the plans, made with the server's commands.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';

const { OIDF_ISSUER: issuer, OIDF_SERVER: binary } = process.env;

// Split at the first equals sign: a value may contain another one.
const env = Object.fromEntries(
  process.env.OIDF_SETTINGS.split('\n').map((line) => {
    const at = line.indexOf('=');
    return [line.slice(0, at), line.slice(at + 1)];
  }),
);

/** Runs a command of the server on the server's database. */
export function run(...args) {
  return execFileSync(binary, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Creates the member that signs in. */
export function createMember() {
  const options = ['--handle', 'frigg', '--name', 'Frigg', '--email', 'frigg@example.com', '--email-verified'];
  const member = JSON.parse(run('account', 'create', ...options, '--generate-password', '--json'));
  run('role', 'create', 'Developers', '--permission', 'USE_OAUTH_CLIENTS', '--permission', 'MANAGE_ROBOTS');
  run('role', 'assign', 'frigg', 'Developers');
  return member;
}

/** Creates a confidential client; returns its id and secret. */
export function createClient(name, redirectUris) {
  const uris = redirectUris.flatMap((uri) => ['--redirect-uri', uri]);
  const command = ['client', 'create', '--name', name, '--type', 'confidential', '--without-pkce', '--json'];
  const { client_id, client_secret } = JSON.parse(run(...command, ...uris));
  return { client_id, client_secret };
}

/** Makes a key pair; returns the private JWK. */
export function createKey(alg) {
  const { privateKey } = alg.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomBytes(8).toString('hex') };
}

/** The public part of a JWK. */
export function publicKey({ kty, n, e, crv, x, y, alg, use, kid }) {
  return { kty, n, e, crv, x, y, alg, use, kid };
}

/** Registers a client for FAPI 2.0 (RFC 7591): `private_key_jwt`, DPoP and pushed requests; `further` metadata if given. */
export async function registerFapiClient(name, redirectUris, scope, further = {}) {
  const key = createKey('PS256');
  const metadata = {
    client_name: name,
    redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    scope,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'PS256',
    id_token_signed_response_alg: 'PS256',
    jwks: { keys: [publicKey(key)] },
    fapi: true,
    dpop_bound_access_tokens: true,
    require_pushed_authorization_requests: true,
    ...further,
  };
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${issuer}/api/oauth/register`, { method: 'POST', headers, body: JSON.stringify(metadata) });
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(`registration: ${answer.status} ${text}`);
  return { client_id: JSON.parse(text).client_id, scope, jwks: { keys: [key] }, dpop_signing_alg: 'ES256' };
}
