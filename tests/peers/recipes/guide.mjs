// The guides of docs/guides/: files and commands are read from a guide and run in the printed order. Only the
// address of the server and the ports differ.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

import { datedEnvironment, run } from './recipe.mjs';
import { freePort, resource, server } from './server.mjs';

const FOLDER = new URL('.written/', import.meta.url).pathname;
const VISIT = new URL('visit.mjs', import.meta.url).pathname;
const PYTHON = new URL('../.venv/bin/python', import.meta.url).pathname;

/** Runs a command, and keeps its exported variables for the next one. */
const SHELL = `set -euo pipefail
if [ -e .exports ]; then . ./.exports; fi
`;

export class Guide {
  /** Code blocks with a file name, as in "```js app.mjs". */
  files = new Map();
  /** Commands, each with its mark: "```sh start" has the mark `start`. */
  #steps = [];

  /** Opens the guide; commands with the mark `install` are not run, because the packages are pinned. */
  static async open(name, variant = name) {
    const guide = new Guide();
    const { issuer, env, account } = await server();
    const binary = process.env.PEERS_SERVER;
    guide.port = await freePort();
    const text = readFileSync(new URL(`../../../docs/guides/${name}.md`, import.meta.url), 'utf8')
      .replaceAll('https://auth.example.com', issuer)
      .replaceAll(/\b3000\b/g, guide.port)
      .replaceAll(/\b8000\b/g, new URL(resource).port);
    for (const [, info, body] of text.matchAll(/^```(.+)\n([^]*?)^```$/gm)) {
      const [language, word] = info.split(' ');
      if (language === 'sh') guide.#steps.push({ mark: word, text: body });
      else if (word) guide.files.set(word, body);
    }
    assert.ok(guide.#steps.length > 0, `${name} has no commands`);
    guide.folder = `${FOLDER}guide-${variant}`;
    rmSync(guide.folder, { recursive: true, force: true });
    mkdirSync(`${guide.folder}/bin`, { recursive: true });
    const quoted = Object.entries(env).map(([key, value]) => `'${key}=${value}'`);
    const visited = JSON.stringify({ issuer, account });
    const programs = {
      'storyden-auth': `exec env -i ${quoted.join(' ')} '${binary}' "$@"`,
      python3: `exec '${PYTHON}' -B "$@"`,
      // A browser whose member signs in and approves.
      browser: `export PEERS_VISITED='${visited}'\nexec '${process.execPath}' '${VISIT}' "$1"`,
    };
    for (const [program, script] of Object.entries(programs)) {
      writeFileSync(`${guide.folder}/bin/${program}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    return guide;
  }

  /** Environment of commands and programs. */
  get #environment() {
    const { PATH, PEERS_CA: ca } = process.env;
    const { folder } = this;
    return datedEnvironment({
      PATH: `${folder}/bin:${PATH}`,
      HOME: folder,
      BROWSER: `${folder}/bin/browser %s &`,
      CURL_CA_BUNDLE: ca,
    });
  }

  /** Writes the files, and runs the commands without a mark. */
  async prepare() {
    for (const [name, text] of this.files) writeFileSync(`${this.folder}/${name}`, text);
    for (const { mark, text } of this.#steps) if (mark === undefined) await this.execute(text);
  }

  /** The commands with a mark. */
  marked(mark) {
    const found = this.#steps.find((step) => step.mark === mark);
    assert.ok(found, `no commands with the mark ${mark}`);
    return found.text;
  }

  /** Runs commands to their end; returns their output. Asynchronous, because the proxy of the server runs in this process. */
  async execute(text) {
    const script = `${SHELL}${text}\nexport -p > .exports\n`;
    const options = { cwd: this.folder, env: this.#environment, timeout: 120_000 };
    try {
      return (await promisify(execFile)('bash', ['-c', script], options)).stdout;
    } catch (error) {
      throw new Error(`${text}\n${error.stdout}${error.stderr}`, { cause: error });
    }
  }

  /** Runs a command until the test ends; returns when the address, if given, answers. */
  start(t, text, address) {
    const script = `${SHELL}exec ${text.trim()}`;
    return run(t, this.folder, { program: 'bash', parameters: ['-c', script], application: this.#environment, address });
  }
}
