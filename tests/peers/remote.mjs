// A remote server to connect to: npm `oidc-provider` as the authorization server, and the resource
// that it protects. `node tests/peers/remote.mjs` runs both until it is stopped, to try by hand.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

import { Provider } from 'oidc-provider';

import { accept } from './resource.mjs';

const SCOPE = 'tools';

/** Starts what `answer` says on a port of this computer; the origin, and how to end it. */
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

/** A key to sign tokens with. */
function makeKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig' };
}

/**
 * `oidc-provider`: clients register themselves and must use PKCE, tokens are JWTs for the resource
 * that was asked for, and each refresh replaces the refresh token. Its pages for development take
 * any name and password.
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

/** The remote server, until it is ended. */
export class Remote {
  /** How long the access tokens live that it gives from now on, in seconds. */
  life = 3600;
  /** How often it was asked to refresh. */
  refreshes = 0;
  #refreshToken;

  /** Starts it, on free ports or on one and the next. */
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

  /** Forgets the refresh token that it gave last. */
  revoke() {
    return this.#refreshToken.destroy();
  }

  /** The status with which the resource answers who has this access token. */
  async use(accessToken) {
    const headers = { authorization: `Bearer ${accessToken}` };
    return (await fetch(this.resource, { headers })).status;
  }

  /** The resource: its metadata lie where its challenge says, and nowhere else (RFC 9728 §5.1). */
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
