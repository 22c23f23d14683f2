// The message catalogues: complete in every language, with the same placeholders, and without unused messages.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

import { languages, messages, messagesOf } from './messages.mjs';

const CATEGORIES = ['zero', 'one', 'two', 'few', 'many', 'other'];
const WEB = new URL('../../web/', import.meta.url);
const RUST = new URL('../../src/http/pages/', import.meta.url);
const APPEARANCE = new URL('../../src/appearance/', import.meta.url);

const isPlural = (value) => typeof value === 'object' && 'other' in value && Object.keys(value).every((key) => CATEGORIES.includes(key));

/** Returns `[path, value]` of every message; the forms of a plural message are one value. */
function entries(value, path = []) {
  if (typeof value === 'string' || isPlural(value)) return [[path.join('.'), value]];
  return Object.entries(value).flatMap(([key, part]) => entries(part, [...path, key]));
}

const placeholders = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

const english = entries(messages);

for (const language of languages) {
  const translated = new Map(entries(messagesOf(language)));

  test(`${language}: no message is missing or unknown`, () => {
    assert.deepEqual([...translated.keys()].sort(), english.map(([path]) => path).sort());
    for (const [path, value] of translated) assert.notEqual(value, '', path);
  });

  test(`${language}: plural forms are complete`, () => {
    const categories = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    for (const [path, value] of translated) {
      if (typeof value !== 'string') assert.deepEqual(Object.keys(value).sort(), [...categories].sort(), path);
    }
  });

  // Small numbers may be words: "two permissions" has a form of its own in Arabic.
  test(`${language}: placeholders agree with English`, () => {
    for (const [path, value] of english) {
      const own = translated.get(path);
      if (typeof value === 'string') {
        assert.deepEqual(placeholders(own), placeholders(value), path);
        continue;
      }
      const wanted = placeholders(value.other);
      for (const [category, form] of Object.entries(own)) {
        const given = placeholders(form);
        if (!['zero', 'one', 'two'].includes(category) || given.length > 0) assert.deepEqual(given, wanted, `${path}.${category}`);
      }
    }
  });
}

// WCAG 2.5.3: the name of a button contains its visible text.
test('the name of a button contains its text', () => {
  const pairs = [
    ['applications.revoke', 'applications.revokeNamed'], ['applications.forget', 'applications.forgetNamed'],
    ['accessKeys.remove', 'accessKeys.removeNamed'], ['security.signOut', 'security.signOutNamed'],
    ['admin.connection.edit', 'admin.connection.editNamed'], ['admin.connection.remove', 'admin.connection.removeNamed'],
    ['admin.key.rotate', 'admin.key.rotateNamed'], ['admin.key.revoke', 'admin.key.revokeNamed'],
    ['admin.resource.edit', 'admin.resource.change'], ['admin.resource.remove', 'admin.resource.removeNamed'],
    ['admin.issuer.edit', 'admin.issuer.change'], ['admin.issuer.remove', 'admin.issuer.removeNamed'],
    ['admin.issuer.unmap', 'admin.issuer.unmapNamed'],
    ['admin.member.take', 'admin.member.takeNamed'], ['admin.member.endSession', 'admin.member.endSessionNamed'],
    ['admin.member.revoke', 'admin.member.revokeKeyNamed'], ['admin.blocked.end', 'admin.blocked.endNamed'],
  ];
  for (const language of languages) {
    const translated = new Map(entries(messagesOf(language)));
    for (const [text, name] of pairs) {
      assert.ok(translated.get(name).toLowerCase().includes(translated.get(text).toLowerCase()), `${language} ${name}`);
    }
  }
});

test('the consent page has no English text in another language', () => {
  const shown = english.filter(([path]) => /^(consent|device|scopes|claims|clientDetails)\./.test(path));
  for (const language of languages.filter((one) => one !== 'en')) {
    const translated = new Map(entries(messagesOf(language)));
    const same = shown.filter(([path, value]) => JSON.stringify(translated.get(path)) === JSON.stringify(value)).map(([path]) => path);
    // Words that are the same in both languages, such as "Code".
    const shared = ['device.code', 'clientDetails.name', 'clientDetails.website', 'clientDetails.terms'];
    assert.deepEqual(same.filter((path) => !shared.includes(path)), [], language);
  }
});

// A script names the last part of a path; groups that are read by a value of the API name the group.
test('no message is unused', () => {
  const files = (folder, end) => readdirSync(folder).filter((name) => name.endsWith(end)).map((name) => readFileSync(new URL(name, folder), 'utf8'));
  const sources = [...files(WEB, '.js'), ...files(WEB, '.html'), ...files(RUST, '.rs'), ...files(APPEARANCE, '.rs')].join('\n');
  const words = new Set(sources.match(/[A-Za-z_$][\w$]*/g));
  const groups = [
    'errors', 'scopes.risks', 'scopes.groups', 'scopes.labels', 'claims.labels', 'clients.presets', 'clients.kinds', 'clients.redirectHints',
    'clients.snippetKinds', 'clients.rotateQuestion.overlaps', 'accessKeys.expiries', 'admin.events', 'admin.states', 'admin.token',
    'admin.key.states', 'admin.key.about', 'admin.key.counts', 'admin.details.types', 'admin.details.policies', 'admin.details.grantNames',
    'admin.connection.statuses', 'admin.connection.modes', 'admin.revokeAll', 'admin.memberList.states', 'admin.member.kinds',
    'admin.member.related', 'admin.exportAs', 'clients.errors.hints', 'clients.pages.labels', 'admin.overviewPage.levels', 'admin.overviewPage.clients',
  ];
  const unused = english.map(([path]) => path).filter((path) => {
    const group = groups.find((name) => path.startsWith(`${name}.`));
    const parts = (group ?? path).split('.');
    return !parts.every((part) => words.has(part));
  });
  assert.deepEqual(unused, []);
});

test('every message that a page names exists', () => {
  const known = new Set(english.map(([path]) => path));
  const pages = readdirSync(WEB).filter((name) => name.endsWith('.html'));
  const named = pages.flatMap((name) => [...readFileSync(new URL(name, WEB), 'utf8').matchAll(/data-text="([\w.]+)"/g)].map(([, path]) => path));
  const rendered = readdirSync(RUST).flatMap((name) => [...readFileSync(new URL(name, RUST), 'utf8').matchAll(/"([a-z]\w+(?:\.\w+)+)"/g)].map(([, path]) => path));
  const ofPages = rendered.filter((path) => !/\.(js|css|html|svg)$/.test(path));
  assert.ok(named.length > 50 && ofPages.length > 15);
  assert.deepEqual([...named, ...ofPages].filter((path) => !known.has(path)), []);
});
