// The conformance suite: its processes, and its API.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { Agent, request as forward } from 'node:http';
import { createServer } from 'node:https';
import { createServer as listen } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { OIDF_HOME: home, OIDF_SUITE: jar, OIDF_JAVA: java } = process.env;
const here = dirname(fileURLToPath(import.meta.url));
const children = [];

// Ends the processes also after an interruption.
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** Pauses between two looks at a state. */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function freePort() {
  return new Promise((resolve) => {
    const server = listen().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts a proxy with https in front of a server on this computer. Its ciphers are the ones that FAPI 2.0 allows
 *  for TLS 1.2 (Security Profile §5.2.2). */
export function startProxy(port, target) {
  const agent = new Agent({ keepAlive: false }); // a kept connection may be closed just before its next request
  const options = {
    key: readFileSync(`${home}/host.key`),
    cert: readFileSync(`${home}/host.crt`),
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384',
  };
  const server = createServer(options, (request, response) => {
    const { method, url: path } = request;
    const headers = {
      ...request.headers,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': request.headers.host,
      'x-forwarded-port': port,
      'x-forwarded-proto': 'https',
    };
    const asked = forward({ agent, host: '127.0.0.1', port: target, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    asked.on('error', () => response.destroy());
    request.pipe(asked);
  });
  server.keepAliveTimeout = 0; // the clients close
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function start(name, args) {
  const log = openSync(`${home}/${name}.log`, 'w');
  const child = spawn(java, args, { cwd: here, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.gone = new Promise((resolve) => child.once('exit', resolve));
  children.push(child);
  return child;
}

/** Stops the processes of the suite. */
export async function stopSuite() {
  // Nothing is kept, so nothing needs an orderly end.
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map((child) => child.gone));
}

/** Starts the database and the suite, and waits until the suite answers. */
export async function startSuite() {
  const [database, port, publicPort] = [await freePort(), await freePort(), await freePort()];
  const classPath = readFileSync(join(here, 'node_modules/.class-path'), 'utf8').trim();
  start('database', ['-Xmx1g', '-cp', classPath, 'Database.java', String(database)]);
  const address = `https://localhost:${publicPort}`;
  await startProxy(publicPort, port);
  const child = start('suite', [
    '-Xmx2g', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-jar', jar,
    `--server.port=${port}`, '--server.address=127.0.0.1',
    `--spring.mongodb.uri=mongodb://127.0.0.1:${database}/test_suite`,
    '--fintechlabs.devmode=true', `--fintechlabs.base_url=${address}`, `--fintechlabs.base_mtls_url=${address}`,
  ]);
  const suite = new Suite(address);
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the suite ended:\n${readFileSync(`${home}/suite.log`, 'utf8').slice(-6000)}`);
    if (await suite.isReady()) return suite;
    await pause(500);
  }
}

class Suite {
  constructor(address) {
    this.address = address;
  }

  async isReady() {
    try {
      return (await fetch(`${this.address}/api/plan?length=1`)).ok;
    } catch {
      return false; // not yet
    }
  }

  async #call(method, path, parameters = {}, body = undefined) {
    const url = new URL(`/api/${path}`, this.address);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url, { method, headers, body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${url.pathname}: ${answer.status} ${text.slice(0, 500)}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** Creates a plan; returns its id and its modules. */
  createPlan({ name, variant }, configuration) {
    return this.#call('POST', 'plan', { planName: name, variant: JSON.stringify(variant) }, JSON.stringify(configuration));
  }

  /** Creates the test of a module of a plan; returns its id. */
  async createTest(plan, { testModule, variant }) {
    return (await this.#call('POST', 'runner', { test: testModule, plan, variant: JSON.stringify(variant ?? {}) })).id;
  }

  /** Starts a test that waits for a preparation. */
  begin(id) {
    return this.#call('POST', `runner/${id}`);
  }

  stop(id) {
    return this.#call('DELETE', `runner/${id}`);
  }

  /** Status (CREATED, CONFIGURED, WAITING, RUNNING, FINISHED, INTERRUPTED) and result of a test. */
  info(id) {
    return this.#call('GET', `info/${id}`);
  }

  /** The addresses that a person must open: `{ url, method }`. */
  async addresses(id) {
    return (await this.#call('GET', `runner/${id}`))?.browser?.urlsWithMethod ?? [];
  }

  /** Records that the browser opens an address. */
  markVisited(id, url) {
    return this.#call('POST', `runner/browser/${id}/visit`, { url });
  }

  log(id) {
    return this.#call('GET', `log/${id}`);
  }

  /** The places in the log that wait for a screenshot. */
  async placeholders(id) {
    return (await this.#call('GET', `log/${id}/images`)).filter(({ upload, img }) => upload && !img).map(({ upload }) => upload);
  }

  /** Uploads a screenshot. */
  fill(id, placeholder, picture) {
    return this.#call('POST', `log/${id}/images/${placeholder}`, {}, `data:image/png;base64,${picture.toString('base64')}`);
  }
}
