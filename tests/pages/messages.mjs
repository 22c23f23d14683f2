// The messages of the pages.
import { readFileSync, readdirSync } from 'node:fs';

const FOLDER = new URL('../../web/messages/', import.meta.url);

/** Returns the messages of a language. */
export function messagesOf(language) {
  return JSON.parse(readFileSync(new URL(`${language}.json`, FOLDER), 'utf8'));
}

/** The languages with a built-in catalogue. */
export const languages = readdirSync(FOLDER).map((name) => name.replace(/\.json$/, ''));

/** The English messages. */
export const messages = messagesOf('en');
