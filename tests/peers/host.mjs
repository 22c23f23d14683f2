// An https host on which clients publish metadata documents and keys.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import { setup } from './person.mjs';

/**
 * Publishes documents until the test ends. `write(origin)` returns the documents by path. Returns the
 * origin, and the requested paths in order.
 */
export async function publish(t, write) {
  const key = readFileSync(`${setup}/host.key`);
  const cert = readFileSync(`${setup}/host.crt`);
  let documents = {};
  const asked = [];
  const server = createServer({ key, cert }, ({ url }, answer) => {
    asked.push(url);
    const document = documents[url];
    answer.writeHead(document ? 200 : 404, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(document ?? {}));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const origin = `https://127.0.0.1:${server.address().port}`;
  documents = write(origin);
  return { origin, asked };
}
