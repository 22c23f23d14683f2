// A second storyden-auth with a separate database and members.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

import { setup } from './person.mjs';

const binary = process.env.PEERS_SERVER;

/** Finds a free port. */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/**
 * Starts a server with a profile until the test ends. Returns the issuer, a member with the permission to use
 * applications, and a function to run commands.
 */
export async function startSecond(t, profile = 'standards') {
  for (let tries = 1; ; tries += 1) {
    const second = await tryToStart(t, profile, await freePort());
    if (second) return second;
    if (tries === 10) throw new Error('the second server finds no port');
  }
}

/** Starts the server on a port; returns nothing if the port is taken. */
async function tryToStart(t, profile, port) {
  const origin = `http://127.0.0.1:${port}`;
  const home = mkdtempSync(`${setup}/second-`);
  const env = {
    HOME: home,
    DATA_DIR: `${home}/data`,
    LISTEN_ADDR: `127.0.0.1:${port}`,
    PUBLIC_API_ADDRESS: origin,
    OAUTH_PROFILE: profile,
    OAUTH_CIMD_ENABLED: 'true',
    OAUTH_DYNAMIC_REGISTRATION_ENABLED: 'true',
    OAUTH_CIMD_ALLOW_INSECURE_FETCH: 'true',
    MCP_ENABLED: 'true',
  };
  const run = (...command) => execFileSync(binary, command, { env, stdio: 'pipe' }).toString();
  const make = (...command) => JSON.parse(run(...command, '--json'));
  run('migrate');
  const log = openSync(`${home}/log`, 'w');
  const server = spawn(binary, ['serve'], { env, stdio: ['ignore', log, log] });
  closeSync(log);
  const gone = new Promise((resolve) => server.once('exit', resolve));
  t.after(async () => {
    server.kill();
    await gone;
  });
  const account = make('account', 'create', '--handle', 'sif', '--generate-password');
  run('role', 'create', 'Developers', '--permission', 'USE_OAUTH_CLIENTS');
  run('role', 'assign', 'sif', 'Developers');
  while (!(await isReady(origin))) {
    if (server.exitCode !== null) {
      const said = readFileSync(`${home}/log`, 'utf8');
      if (said.includes('cannot be listened on')) return null;
      throw new Error(`the second server does not start: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { origin, account, make };
}

async function isReady(origin) {
  try {
    return (await fetch(`${origin}/.well-known/openid-configuration`)).ok;
  } catch {
    return false;
  }
}
