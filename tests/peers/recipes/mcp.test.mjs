// T25: the recipes of docs/integrations.md for MCP. The MCP servers are resources of the server, and clients find
// the server through the MCP server's metadata alone.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import { Recipe, datedEnvironment, run } from './recipe.mjs';
import { resource, server } from './server.mjs';
import { Visitor } from './visitor.mjs';

// Starts outside of a test, so that the server runs until the last test.
await server();

const { href, port: PORT, origin: address } = new URL(resource);
const PYTHON = new URL('../.venv/bin/python', import.meta.url).pathname;

/** Starts the MCP server of a recipe. */
async function serve(t, title, program, ...parameters) {
  const recipe = new Recipe(title).write();
  const { issuer } = await server();
  const application = { ISSUER: issuer, PORT };
  await run(t, recipe.folder, { program, parameters, application, address });
  return recipe;
}

/** An MCP client on the standard input and output of mcp-remote. */
class Connection {
  #answers = new Map();
  #id = 0;

  constructor(t, home) {
    const { args } = JSON.parse(new Recipe('mcp-remote').files.get('mcp.json')).mcpServers.tools;
    assert.deepEqual(args, ['mcp-remote', 'http://localhost:8000/mcp']);
    const program = new URL('../node_modules/.bin/mcp-remote', import.meta.url).pathname;
    this.child = spawn(program, [href], { env: datedEnvironment({ HOME: home, BROWSER: 'true' }) });
    this.log = '';
    this.child.stderr.on('data', (text) => (this.log += text));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line);
      this.#answers.get(answer.id)?.(answer);
    });
    t.after(() => this.child.kill());
    t.after(() => t.passed === false && console.error(this.log));
  }

  /** Returns the first match in the log. */
  async until(pattern) {
    for (let tries = 0; tries < 600; tries += 1) {
      const found = pattern.exec(this.log);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`mcp-remote did not log ${pattern}: ${this.log}`);
  }

  async ask(method, params = {}) {
    const id = (this.#id += 1);
    const answered = new Promise((resolve) => this.#answers.set(id, resolve));
    this.tell({ id, method, params });
    const { result, error } = await answered;
    assert.equal(error, undefined, this.log);
    return result;
  }

  tell(message) {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }
}

/** Signs in with mcp-remote and calls the tool. */
async function assertCallsTool(t, home) {
  const { issuer, account } = await server();
  const connection = new Connection(t, home);
  const info = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'Test', version: '1' } };
  const ready = connection.ask('initialize', info);
  const [url] = await connection.until(new RegExp(`${issuer}/api/oauth/authorize\\S+`));
  const page = await new Visitor().open(url);
  assert.equal(page.status, 200, page.text);
  await ready;
  connection.tell({ method: 'notifications/initialized' });
  const { content } = await connection.ask('tools/call', { name: 'whoami', arguments: {} });
  assert.equal(content[0].text, account.id);
}

const SERVERS = [
  ['MCP SDK for TypeScript', 'node', 'server.mjs'],
  ['MCP SDK for Python', PYTHON, '-B', 'server.py'],
  ['FastMCP', PYTHON, '-B', 'server.py'],
];

for (const [title, program, ...parameters] of SERVERS) {
  test(`T25: recipe: ${title}, with mcp-remote`, async (t) => {
    const { folder } = await serve(t, title, program, ...parameters);
    await assertCallsTool(t, mkdtempSync(`${folder}/home-`));
  });
}

// FastMCP opens $BROWSER in the background, here a visitor who signs in and approves.
test('T25: recipe: the client of FastMCP', async (t) => {
  const { folder } = await serve(t, 'FastMCP', PYTHON, '-B', 'server.py');
  const { account, issuer } = await server();
  const browser = `${folder}/browser`;
  const visit = new URL('visit.mjs', import.meta.url).pathname;
  const visited = JSON.stringify({ issuer, account });
  const script = `#!/bin/sh\nexport PEERS_VISITED='${visited}'\nexec node '${visit}' "$1"\n`;
  writeFileSync(browser, script, { mode: 0o755 });
  const application = { PORT, BROWSER: `${browser} %s &`, HOME: mkdtempSync(`${folder}/home-`) };
  const client = { program: PYTHON, parameters: ['-B', 'client.py'], application };
  const { output, gone } = await run(t, folder, client);
  await gone;
  const isPrinted = output().split('\n').includes(account.id);
  assert.ok(isPrinted, output().slice(-2000));
});
