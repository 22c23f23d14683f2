// mcp-remote as the client of an MCP server that is the resource of the server.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Recipe, datedEnvironment } from './recipe.mjs';
import { resource, server } from './server.mjs';
import { Visitor } from './visitor.mjs';

/** An MCP client on the standard input and output of mcp-remote. */
class Connection {
  #answers = new Map();
  #id = 0;

  constructor(t, home) {
    const { args } = JSON.parse(new Recipe('mcp-remote').files.get('mcp.json')).mcpServers.tools;
    assert.deepEqual(args, ['mcp-remote', 'http://localhost:8000/mcp']);
    const program = new URL('../node_modules/.bin/mcp-remote', import.meta.url).pathname;
    this.child = spawn(program, [resource], { env: datedEnvironment({ HOME: home, BROWSER: 'true' }) });
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
export async function assertCallsTool(t, home) {
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
