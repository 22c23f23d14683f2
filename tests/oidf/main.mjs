// Runs test plans and prints the result of each module. Arguments: names of plans.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { newPage, reset, startBrowser, stopBrowser, visit } from './browser.mjs';
import { createMember, run } from './community.mjs';
import { plans } from './plans.mjs';
import { pause, startProxy, startSuite, stopSuite } from './suite.mjs';

const LIMIT = 10 * 60_000; // milliseconds for one module, which may wait until a request expires
const PLANS_AT_A_TIME = 2; // modules with waits of half a minute overlap

const { OIDF_ISSUER: issuer, OIDF_LISTENER: listener, OIDF_OUT: out, OIDF_MODULES: filter } = process.env;
const wanted = (filter ?? '').split(' ').filter(Boolean);
const expected = JSON.parse(readFileSync(new URL('expected.json', import.meta.url), 'utf8'));

/** The decision of the person in a module; the number of the visit counts from 0. */
function decisionOf(module, visits) {
  if (module.includes('user-rejects-authentication')) return 'deny';
  // The first visit must not be completed.
  if (module.includes('reused-request-uri') && visits === 0) return 'look';
  return 'approve';
}

/** Runs a module as a person without cookies; returns its status and result. */
async function runModule(suite, id, module, { member, page }) {
  const limit = Date.now() + LIMIT;
  let [visits, shown, shownAt, rotated] = [0, undefined, 0, false];
  for (;;) {
    const { status, result } = await suite.info(id);
    if (status === 'FINISHED' || status === 'INTERRUPTED') return { status, result };
    if (Date.now() > limit) {
      await suite.stop(id);
      return { status: 'TIMEOUT', result };
    }
    if (status === 'CONFIGURED' && !rotated && module === 'oidcc-server-rotate-keys') {
      rotated = true;
      await rotateKeys();
      await suite.begin(id);
    }
    const [address] = status === 'WAITING' ? await suite.addresses(id) : [];
    if (address) {
      const decision = decisionOf(module, visits);
      visits += 1;
      const pictures = out !== '' || (await suite.placeholders(id)).length > 0;
      await suite.markVisited(id, address.url);
      const seen = await visit(page, address, { member, decision, pictures });
      shown = decision === 'look' ? undefined : seen;
      shownAt = Date.now();
      keepPictures(id, module, seen, visits);
    } else if (status === 'WAITING' && shown && Date.now() - shownAt > (shown.arrived ? 3000 : 500)) {
      await showPictures(suite, id, module, shown);
      shownAt = Date.now();
    }
    await pause(200);
  }
}

/** Uploads the screenshot that the module waits for. A person judges it: the result is REVIEW. */
async function showPictures(suite, id, module, { first, last }) {
  const picture = /prompt-login|max-age/.test(module) ? first : last;
  if (!picture) return;
  for (const placeholder of await suite.placeholders(id)) await suite.fill(id, placeholder, picture);
}

/** Rotates the signing keys, as the module asks, and waits until the server publishes the new ones. */
async function rotateKeys() {
  const published = async () => (await (await fetch(`${issuer}/api/oauth/jwks`)).json()).keys.map(({ kid }) => kid).join();
  const before = await published();
  run('key', 'rotate');
  while ((await published()) === before) await pause(500);
}

function keepPictures(id, module, { first, last }, visits) {
  if (!out) return;
  for (const [name, picture] of [['first', first], ['last', last]]) {
    if (picture) writeFileSync(`${out}/${module}-${id}-${visits}-${name}.png`, picture);
  }
}

/** The failures and warnings in the log of a test. */
async function problems(suite, id) {
  const log = await suite.log(id);
  if (out) writeFileSync(`${out}/${id}.json`, JSON.stringify(log, null, 1));
  return log
    .filter(({ result }) => ['FAILURE', 'WARNING', 'INTERRUPTED'].includes(result))
    .map(({ src, result, msg }) => ({ src, result, msg }));
}

/** Forgets the approvals of the modules before, so that the consent page asks again. */
function forgetApprovals({ client, client2 }) {
  for (const { client_id } of [client, client2]) run('grant', 'revoke', '--client', client_id, '--yes');
}

/** Runs a plan; returns a row for each module. */
async function runPlan(suite, member, name) {
  const plan = plans[name];
  const alias = `storyden-${name}`;
  const configuration = { alias, description: name, ...(await plan.configure(suite.address, alias)) };
  const { id, modules } = await suite.createPlan(plan, configuration);
  const rows = [];
  const page = await newPage();
  for (const module of modules) {
    const { testModule } = module;
    if (wanted.length > 0 && !wanted.some((part) => testModule.includes(part))) continue;
    await reset(page);
    if (decisionOf(testModule, 0) === 'deny') forgetApprovals(configuration);
    const test = await suite.createTest(id, module);
    const { status, result } = await runModule(suite, test, testModule, { member, page }).catch((error) => {
      console.log(error);
      return { status: 'ERROR' };
    });
    const outcome = status === 'FINISHED' ? result : `${status} ${result ?? ''}`.trim();
    const found = ['PASSED', 'REVIEW', 'SKIPPED'].includes(outcome) ? [] : await problems(suite, test);
    if (out && found.length === 0) await problems(suite, test);
    const row = { plan: name, module: testModule, outcome, found, reason: reasonFor(name, testModule, outcome, found) };
    rows.push(row);
    report(row, test);
  }
  await page.context().close();
  return rows;
}

/** The reason of expected.json, if it lists the module with this outcome and every problem. */
function reasonFor(plan, module, outcome, found) {
  const entry = expected.find((one) => one.module === module && one.outcome === outcome && (!one.plans || one.plans.includes(plan)));
  return entry && found.every(({ src }) => entry.conditions.includes(src)) ? entry.reason : undefined;
}

const isGood = ({ outcome, reason }) => ['PASSED', 'REVIEW', 'SKIPPED'].includes(outcome) || reason !== undefined;

function report(row, test) {
  const { plan, module, outcome, found, reason } = row;
  console.log(`${isGood(row) ? '  ' : '! '}${plan.padEnd(18)}${outcome.padEnd(10)}${module}${isGood(row) ? '' : ` (${test})`}`);
  if (reason) console.log(`      expected: ${reason}`);
  for (const { src, result, msg } of found) console.log(`      ${result} ${src}: ${msg}`);
}

/** Prints the number of modules by plan and result. */
function summarize(rows, names) {
  const columns = ['PASSED', 'REVIEW', 'WARNING', 'SKIPPED', 'FAILED', 'other'];
  console.log(`\n${'plan'.padEnd(18)}${['modules', ...columns].map((column) => column.padStart(9)).join('')}`);
  for (const name of names) {
    const own = rows.filter(({ plan }) => plan === name);
    const count = (column) => own.filter(({ outcome }) => (columns.includes(outcome) ? outcome : 'other') === column).length;
    console.log(`${name.padEnd(18)}${[own.length, ...columns.map(count)].map((n) => String(n).padStart(9)).join('')}`);
  }
}

const names = process.argv.slice(2);
if (out && !existsSync(out)) mkdirSync(out, { recursive: true });
const rows = [];
try {
  await startProxy(Number(new URL(issuer).port), Number(new URL(listener).port));
  await startBrowser();
  const member = createMember();
  const suite = await startSuite();
  const waiting = [...names];
  const work = async () => {
    for (let name = waiting.shift(); name; name = waiting.shift()) rows.push(...(await runPlan(suite, member, name)));
  };
  await Promise.all(Array.from({ length: PLANS_AT_A_TIME }, work));
} finally {
  await stopBrowser();
  await stopSuite();
}
summarize(rows, names);
const bad = rows.filter((row) => !isGood(row));
for (const { plan, module, outcome } of bad) console.log(`! ${plan} ${module}: ${outcome}`);
console.log(`${rows.length - bad.length} of ${rows.length} modules as expected`);
process.exit(bad.length > 0 || rows.length === 0 ? 1 : 0);
