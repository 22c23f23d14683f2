// A remote server: npm `oidc-provider` as the authorization server, and a protected resource.
// `node tests/peers/remote.mjs` runs both until stopped, for manual tests.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

import { Provider } from 'oidc-provider';

import { accept } from './resource.mjs';

const SCOPE = 'tools';

/** Starts an HTTP server with the handler `answer`; returns the origin and a function to stop it. */
async function listen(answer, port = 0) {
  const server = createServer((request, response) => answer(request, response));
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const end = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, end };
}

/** Generates a signing key. */
function makeKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig' };
}

/**
 * `oidc-provider` with dynamic registration, mandatory PKCE, JWT access tokens for the requested resource, and
 * refresh token rotation. Its development pages accept any name and password.
 */
async function startProvider(resource, life, port) {
  let provider;
  const { origin, end } = await listen((...exchange) => provider.callback()(...exchange), port);
  provider = new Provider(origin, {
    scopes: ['openid', 'offline_access', SCOPE],
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post'],
    cookies: { keys: [crypto.randomUUID()] },
    jwks: { keys: [makeKey()] },
    pkce: { required: () => true },
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, asked) => {
          if (asked !== resource) throw new Error(`${asked} is not known`);
          return {
            audience: asked,
            scope: SCOPE,
            accessTokenFormat: 'jwt',
            accessTokenTTL: life(),
          };
        },
      },
    },
  });
  return { provider, origin, end };
}

/** The running remote server. */
export class Remote {
  /** Lifetime of new access tokens, in seconds. */
  life = 3600;
  /** Number of refresh requests. */
  refreshes = 0;
  #refreshToken;

  /** Starts on free ports, or on a given port and the next one. */
  static async start(port = 0) {
    const remote = new Remote();
    const resource = await listen((...exchange) => remote.#serve(...exchange), port && port + 1);
    remote.resource = `${resource.origin}/tools`;
    const started = await startProvider(remote.resource, () => remote.life, port);
    remote.issuer = started.origin;
    remote.end = () => [started, resource].forEach(({ end }) => end());
    started.provider.on('refresh_token.saved', (token) => (remote.#refreshToken = token));
    started.provider.use(async (ctx, next) => {
      await next();
      if (ctx.oidc?.params?.grant_type === 'refresh_token') remote.refreshes += 1;
    });
    return remote;
  }

  /** Revokes the last refresh token. */
  revoke() {
    return this.#refreshToken.destroy();
  }

  /** Returns the status of the resource for an access token. */
  async use(accessToken) {
    const headers = { authorization: `Bearer ${accessToken}` };
    return (await fetch(this.resource, { headers })).status;
  }

  /** The resource: only its challenge names the address of the metadata (RFC 9728 §5.1). */
  async #serve(request, response) {
    const { origin } = new URL(this.resource);
    const answer = (status, body, headers) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
    if (request.url === '/metadata') {
      const { resource, issuer } = this;
      return answer(200, { resource, authorization_servers: [issuer], scopes_supported: [SCOPE] });
    }
    if (request.url !== '/tools') return answer(404, {});
    const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    try {
      const { sub } = await accept(token, this.resource, this.issuer);
      return answer(200, { hello: sub });
    } catch (error) {
      const challenge = `Bearer resource_metadata="${origin}/metadata"`;
      return answer(401, { error: error.message }, { 'www-authenticate': challenge });
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { resource, issuer } = await Remote.start(9400);
  console.log(`The resource ${resource} is protected by ${issuer}`);
}
