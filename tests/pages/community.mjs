// Test data and requests: creates members and clients with the server's commands, and sends requests of clients.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/** Issuer of the server. */
export const issuer = process.env.PAGES_ISSUER;

// Split at the first equals sign: a value may contain another one.
const settings = Object.fromEntries(
  process.env.PAGES_SETTINGS.split('\n').map((line) => {
    const at = line.indexOf('=');
    return [line.slice(0, at), line.slice(at + 1)];
  }),
);

/** Profile of the server. */
export const profile = settings.OAUTH_PROFILE ?? 'standards';

/** Runs a command of the server on the server's database. */
export function runCommand(...args) {
  return execFileSync(process.env.PAGES_SERVER, args, { env: settings, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

const roles = new Map();

function role(permissions) {
  const key = permissions.join(' ');
  if (!roles.has(key)) {
    const name = `role-${randomBytes(4).toString('hex')}`;
    runCommand('role', 'create', name, ...permissions.flatMap((permission) => ['--permission', permission]));
    roles.set(key, name);
  }
  return roles.get(key);
}

/** Creates a member; by default with the permission to authorize clients and to use access keys. */
export function member(name, { permissions = ['USE_OAUTH_CLIENTS', 'USE_PERSONAL_ACCESS_KEYS'], admin = false } = {}) {
  const handle = `${name.toLowerCase()}-${randomBytes(3).toString('hex')}`;
  const options = ['--handle', handle, '--name', name, '--email', `${handle}@example.com`, '--generate-password', '--json'];
  const { id, password } = JSON.parse(runCommand('account', 'create', ...options, ...(admin ? ['--admin'] : [])));
  const held = permissions.length > 0 && !admin ? role(permissions) : null;
  if (held) runCommand('role', 'assign', handle, held);
  return { id, name, handle, password, email: `${handle}@example.com`, role: held };
}

/** Creates a client: `{ client_id, id, name, client_secret? }`. */
export function client({ name = 'Reading list', type = 'public', redirects = ['http://127.0.0.1/callback'], scope, grants = [], more = [] } = {}) {
  const options = ['--name', name, '--type', type, '--json', ...more];
  for (const uri of redirects) options.push('--redirect-uri', uri);
  for (const grant of grants) options.push('--grant', grant);
  if (scope) options.push('--scope', scope);
  return JSON.parse(runCommand('client', 'create', ...options));
}

/** Creates a client for the device flow. */
export function deviceClient(options = {}) {
  return client({ name: 'Television', redirects: [], grants: ['device_code', 'refresh_token'], ...options });
}

/** Posts a form; returns the status and the JSON body. */
export async function post(path, form, headers = {}) {
  const answer = await fetch(new URL(path, issuer), { method: 'POST', body: new URLSearchParams(form), headers });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
}

/** Starts a device flow; returns the device authorization response. */
export async function startDevice(app, scope = 'openid profile offline_access') {
  const headers = { 'user-agent': 'television/2.0 (tests)' };
  const { status, body } = await post('/api/oauth/device_authorization', { client_id: app.client_id, scope }, headers);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

/** Polls the token endpoint once. */
export function poll(app, device) {
  const grant = 'urn:ietf:params:oauth:grant-type:device_code';
  return post('/api/oauth/token', { grant_type: grant, client_id: app.client_id, device_code: device.device_code });
}

/** Refreshes the tokens of a client. */
export function refresh(app, tokens) {
  return post('/api/oauth/token', { grant_type: 'refresh_token', client_id: app.client_id, refresh_token: tokens.refresh_token });
}

/** Expires the rows of a table that match a value: sets `expires_at` to the past (SQLite). */
export function expire(table, column, value) {
  const program = `import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=120)
table, column, value = sys.argv[2:]
database.execute(f"UPDATE {table} SET expires_at = '2020-01-01 00:00:00+00:00' WHERE {column} = ?", (value,))
database.commit()`;
  execFileSync('python3', ['-c', program, process.env.PAGES_DATABASE, table, column, value]);
}
