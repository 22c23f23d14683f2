// The recipes of docs/integrations.md: commands and files are read from the document and run unmodified.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { freePort, server } from './server.mjs';

const DOCUMENT = new URL('../../../docs/integrations.md', import.meta.url);

/** Folder of the written files. Below this folder, so that Node.js finds the packages. */
const FOLDER = new URL('.written/', import.meta.url).pathname;

/** Environment of a command: no setting of the tests, and the certificate authority of the server. */
function environment(more) {
  const { PATH, HOME, JAVA_HOME, PEERS_CA: ca } = process.env;
  const trust = { NODE_EXTRA_CA_CERTS: ca, REQUESTS_CA_BUNDLE: ca, SSL_CERT_FILE: ca };
  return { PATH, HOME, ...(JAVA_HOME && { JAVA_HOME }), ...trust, ...more };
}

/** The variables of libfaketime, and of the Python module for it, if the tests run with another date. */
function dateVariables() {
  if (process.env.LD_PRELOAD === undefined) return {};
  const isOfDate = ([name]) => ['LD_PRELOAD', 'PYTHONPATH'].includes(name) || /^(DONT_)?FAKE/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(isOfDate));
}

/** Environment of an application, which has the date of the tests. */
export function datedEnvironment(more) {
  return environment({ ...dateVariables(), ...more });
}

/** A section of the document. */
export class Recipe {
  /** Code blocks with a file name, as in "```js app.mjs". */
  files = new Map();
  #commands = [];

  constructor(title) {
    this.title = title;
    const text = readFileSync(DOCUMENT, 'utf8');
    const [, section] = text.split(`\n## ${title}\n`);
    assert.ok(section, `docs/integrations.md has no section ${title}`);
    const [own] = section.split('\n## ');
    for (const [, info, body] of own.matchAll(/^```(.+)\n([^]*?)^```$/gm)) {
      const [language, file] = info.split(' ');
      if (file) this.files.set(file, body);
      else if (language === 'sh') this.#commands.push(...body.replaceAll('\\\n', ' ').split('\n'));
    }
    this.folder = `${FOLDER}${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
  }

  /** Writes the files. */
  write() {
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    for (const [name, text] of this.files) {
      mkdirSync(dirname(`${this.folder}/${name}`), { recursive: true });
      writeFileSync(`${this.folder}/${name}`, text);
    }
    return this;
  }

  /** The variables that the recipe exports, as a function of the variables of the application. */
  exports() {
    const words = this.#commands.filter((line) => line.startsWith('export ')).join(' ').split(/\s+/);
    const pairs = words.filter((word) => word.includes('=$')).map((word) => word.split('=$'));
    assert.ok(pairs.length > 0, `${this.title}: no variables`);
    return (application) => Object.fromEntries(pairs.map(([name, from]) => [name, application[from]]));
  }

  /** Runs the command of the recipe that registers the client; returns the client. */
  async register() {
    const prefix = 'storyden-auth client create ';
    const command = this.#commands.find((line) => line.startsWith(prefix));
    assert.ok(command, `${this.title}: no command that registers the client`);
    const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word);
    const { run } = await server();
    return JSON.parse(run(...words.slice(1), '--json'));
  }

  /**
   * Registers the client and starts the application until the test ends. `parameters` is a function of the port,
   * `before` runs first, `application` has further variables, and `environment` derives variables. Returns the
   * address and the client.
   */
  async start(t, { program, parameters, before, application: more, environment: exported }) {
    const client = await this.register();
    const port = await freePort();
    const { issuer } = await server();
    const application = {
      ISSUER: issuer,
      CLIENT_ID: client.client_id,
      ...(client.client_secret && { CLIENT_SECRET: client.client_secret }),
      SESSION_SECRET: 'a random text of 32 characters..',
      PORT: String(port),
      ...more,
    };
    Object.assign(application, exported?.(application));
    const address = `http://localhost:${port}`;
    const { folder } = this.write();
    await before?.(application);
    await run(t, folder, { program, parameters: parameters(port), application, address });
    return { address, client };
  }
}

/** Runs a program in a folder until the test ends; returns when the address answers. */
export async function run(t, folder, { program, parameters = [], application = {}, address }) {
  const log = openSync(`${folder}/log`, 'a');
  const stdio = ['ignore', log, log];
  const env = datedEnvironment(application);
  const child = spawn(program, parameters, { cwd: folder, env, stdio });
  closeSync(log);
  const gone = new Promise((resolve) => {
    child.once('exit', resolve);
    child.once('error', resolve);
  });
  t.after(async () => {
    child.kill();
    await gone;
  });
  const output = () => readFileSync(`${folder}/log`, 'utf8');
  t.after(() => t.passed === false && console.error(output()));
  for (let tries = 0; address !== undefined && !(await answers(address)); tries += 1) {
    const isOver = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
    assert.ok(!isOver && tries < 1200, `${program} does not start: ${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { output, gone };
}

/** Runs a command in a folder to its end, with the real date: package registries have certificates. */
export function execute(folder, program, parameters, application = {}) {
  return execFileSync(program, parameters, {
    cwd: folder,
    env: environment(application),
    stdio: ['ignore', 'pipe', 'pipe'],
  }).toString();
}

async function answers(address) {
  try {
    await fetch(address, { redirect: 'manual' });
    return true;
  } catch {
    return false;
  }
}
