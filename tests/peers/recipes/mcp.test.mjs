// T25: the recipes of docs/integrations.md for MCP. The MCP servers are resources of the server, and clients find
// the server through the MCP server's metadata alone.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

import { assertCallsTool } from './mcp-client.mjs';
import { Recipe, run } from './recipe.mjs';
import { resource, server } from './server.mjs';
import { Visitor } from './visitor.mjs';

// Starts outside of a test, so that the server runs until the last test.
await server();

const { port: PORT, origin: address } = new URL(resource);
const PYTHON = new URL('../.venv/bin/python', import.meta.url).pathname;

/** Starts the MCP server of a recipe. */
async function serve(t, title, program, ...parameters) {
  const recipe = new Recipe(title).write();
  const { issuer } = await server();
  const application = { ISSUER: issuer, PORT };
  await run(t, recipe.folder, { program, parameters, application, address });
  return recipe;
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
