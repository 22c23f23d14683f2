// The server of the recipes, with https: a proxy terminates TLS, as in production.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { request as forward } from 'node:http';
import { createServer } from 'node:https';
import { createServer as listen } from 'node:net';
import { after } from 'node:test';

const { PATH, PEERS_SERVER: binary, PEERS_HOME: folder, PEERS_VISITED: visited } = process.env;

/** Finds a free port. */
export function freePort() {
  return new Promise((resolve) => {
    const server = listen().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The MCP server that is a resource of the server. */
export const resource = `http://localhost:${await freePort()}/mcp`;

let started;

/** The server, started once for each process: issuer, member, a function that runs commands, and their settings. */
export function server() {
  if (visited !== undefined) return JSON.parse(visited); // in a program of the tests
  started ??= start();
  return started;
}

/** Starts the proxy on a free port; `target` is the port of the server, once known. */
async function startProxy() {
  const proxy = { target: 0 };
  const key = readFileSync(`${folder}/host.key`);
  const cert = readFileSync(`${folder}/host.crt`);
  const listener = createServer({ key, cert }, (request, response) => {
    const { method, url: path } = request;
    const headers = { ...request.headers, 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1' };
    const asked = forward({ port: proxy.target, host: '127.0.0.1', method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    asked.on('error', () => response.destroy());
    request.pipe(asked);
  });
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  proxy.port = listener.address().port;
  after(() => {
    listener.close();
    listener.closeAllConnections();
  });
  return proxy;
}

async function start() {
  const proxy = await startProxy();
  const issuer = `https://localhost:${proxy.port}`;
  const home = mkdtempSync(`${folder}/server-`);
  for (let tries = 1; tries <= 10; tries += 1) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const env = {
      PATH,
      HOME: home,
      DATA_DIR: `${home}/data`,
      LISTEN_ADDR: `127.0.0.1:${port}`,
      PUBLIC_API_ADDRESS: issuer,
      TRUSTED_PROXIES: '127.0.0.0/8',
      RATE_LIMIT: '1000000',
      OAUTH_DYNAMIC_REGISTRATION_ENABLED: 'true',
      OAUTH_RESOURCES: `${resource} https://api.example.com`, // of the guide for an API
      OAUTH_DEVICE_POLL_EVERY: '1s',
      ...(process.env.PEERS_DATABASE && {
        DATABASE_URL: process.env.PEERS_DATABASE,
        OAUTH_SIGNING_KEY_BASE64: process.env.PEERS_SIGNING_KEY,
      }),
    };
    const run = (...command) => execFileSync(binary, command, { env, stdio: 'pipe' }).toString();
    run('migrate');
    const log = openSync(`${home}/server.log`, 'w');
    const child = spawn(binary, ['serve'], { env, stdio: ['ignore', log, log] });
    closeSync(log);
    const gone = new Promise((resolve) => child.once('exit', resolve));
    proxy.target = port;
    if (!(await isReady(issuer, child))) {
      const said = readFileSync(`${home}/server.log`, 'utf8');
      assert.match(said, /cannot be listened on/, said);
      continue;
    }
    after(async () => {
      child.kill();
      await gone;
    });
    const frigg = ['account', 'create', '--handle', 'frigg', '--name', 'Frigg'];
    const email = ['--email', 'frigg@example.com', '--email-verified', '--generate-password'];
    const account = JSON.parse(run(...frigg, ...email, '--json'));
    run('role', 'create', 'Developers', '--permission', 'USE_OAUTH_CLIENTS');
    run('role', 'assign', 'frigg', 'Developers');
    return { issuer, account, run, env };
  }
  throw new Error('the server of the recipes finds no port');
}

async function isReady(issuer, child) {
  while (child.exitCode === null) {
    try {
      if ((await fetch(`${issuer}/.well-known/openid-configuration`)).ok) return true;
    } catch {
      // not yet
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}
