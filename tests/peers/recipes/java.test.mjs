// T25: the recipe of docs/integrations.md for Spring Security, built with Maven.
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';

import { Recipe, execute } from './recipe.mjs';
import { server } from './server.mjs';
import { assertSignsIn } from './visitor.mjs';

const hasMaven = spawnSync('mvn', ['--version']).status === 0;
const skip = hasMaven ? false : 'Maven is not installed';

// Starts outside of a test, so that the server runs until the last test.
if (hasMaven) await server();

/** The truststore with the certificate authority of the server. */
function truststore(folder) {
  const file = `${folder}/trust.p12`;
  const store = ['-keystore', file, '-storepass', 'changeit', '-storetype', 'PKCS12'];
  const ca = process.env.PEERS_CA;
  execFileSync('keytool', ['-importcert', '-noprompt', '-alias', 'ca', '-file', ca, ...store], { stdio: 'pipe' });
  return [`-Djavax.net.ssl.trustStore=${file}`, '-Djavax.net.ssl.trustStorePassword=changeit'];
}

test('T25: recipe: Spring Security', { skip }, async (t) => {
  const recipe = new Recipe('Spring Security');
  let trust;
  const { address } = await recipe.start(t, {
    before: () => {
      trust = truststore(recipe.folder);
      execute(recipe.folder, 'mvn', ['-q', '-B', 'package']);
    },
    program: 'java',
    parameters: () => [...trust, '-jar', 'target/example-1.jar'],
  });
  await assertSignsIn(address, '/oauth2/authorization/storyden');
});
