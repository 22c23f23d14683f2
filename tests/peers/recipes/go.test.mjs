// T25: the recipes of docs/integrations.md in Go, with the modules of go.mod.
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { Recipe, execute } from './recipe.mjs';
import { server } from './server.mjs';
import { assertSignsIn } from './visitor.mjs';

// libfaketime has no effect on Go programs.
const isDated = process.env.LD_PRELOAD !== undefined;
const hasGo = !isDated && spawnSync('go', ['version']).status === 0;
const skip = hasGo ? false : 'Go is not installed, or the date is changed';

// Starts outside of a test, so that the server runs until the last test.
if (hasGo) await server();

for (const title of ['zitadel/oidc', 'golang.org/x/oauth2']) {
  test(`T25: recipe: ${title}`, { skip }, async (t) => {
    const recipe = new Recipe(title);
    const { address } = await recipe.start(t, {
      before: () => execute(recipe.folder, 'go', ['build', '-mod=readonly', '-o', 'app', 'main.go']),
      program: `${recipe.folder}/app`,
      parameters: () => [],
    });
    await assertSignsIn(address);
  });
}
