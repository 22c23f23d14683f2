// T25: the recipe of docs/integrations.md for oauth2-proxy, which `run` builds with Go.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { Recipe } from './recipe.mjs';
import { server } from './server.mjs';
import { Visitor } from './visitor.mjs';

const program = new URL('.bin/oauth2-proxy', import.meta.url).pathname;
// libfaketime has no effect on Go programs.
const isDated = process.env.LD_PRELOAD !== undefined;
const skip = existsSync(program) && !isDated ? false : 'no oauth2-proxy without Go, or the date is changed';

// Starts outside of a test, so that the server runs until the last test.
if (!skip) await server();

test('T25: recipe: oauth2-proxy', { skip }, async (t) => {
  const application = createServer(({ headers }, response) => {
    response.end(`Signed in as ${headers['x-forwarded-preferred-username']}`);
  });
  await new Promise((resolve) => application.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    application.close();
    application.closeAllConnections();
  });
  const recipe = new Recipe('oauth2-proxy');
  const environment = recipe.exports();
  // The ports of the recipe may be taken.
  const { address } = await recipe.start(t, {
    program,
    parameters: (port) => [
      '--config=oauth2-proxy.cfg',
      `--http-address=localhost:${port}`,
      `--redirect-url=http://localhost:${port}/oauth2/callback`,
      `--upstream=http://127.0.0.1:${application.address().port}/`,
    ],
    environment,
  });
  const visitor = new Visitor();
  assert.equal((await visitor.open(address)).status, 403);
  const page = await visitor.open(`${address}/oauth2/start?rd=/`);
  assert.equal(page.text, 'Signed in as frigg');
});
