// What each scope is, ordered as on the page: what could do most harm comes first. The words are in
// texts.js.

import { line, texts } from "./words.js";

/** A group's `risk` is "all" (everything), "high" (reaches far: what the server calls privileged),
 *  "some" (changes what others made) or "none". */
const GROUPS = [
  { group: "everything", risk: "all", names: ["ADMINISTRATOR"] },
  {
    group: "far",
    risk: "high",
    names: [
      "MANAGE_SETTINGS", "MANAGE_ACCOUNTS", "MANAGE_ROLES", "MANAGE_SUSPENSIONS", "MANAGE_WARNINGS",
      "MANAGE_REPORTS", "VIEW_ACCOUNTS", "VIEW_MODERATION_NOTES", "MANAGE_MODERATION_NOTES",
      "USE_OAUTH_CLIENTS", "USE_PERSONAL_ACCESS_KEYS", "MANAGE_ROBOTS", "MANAGE_TRAILS",
    ],
  },
  { group: "you", risk: "none", names: ["openid", "profile", "email", "offline_access"] },
  {
    group: "others",
    risk: "some",
    names: ["MANAGE_POSTS", "MANAGE_CATEGORIES", "MANAGE_LIBRARY", "MANAGE_EVENTS", "MANAGE_COLLECTIONS"],
  },
  {
    group: "write",
    risk: "none",
    names: [
      "CREATE_POST", "CREATE_REACTION", "UPLOAD_ASSET", "SUBMIT_LIBRARY_NODE",
      "SUBMIT_LIBRARY_NODE_CHANGES", "CREATE_COLLECTION", "COLLECTION_SUBMIT", "CREATE_INVITATION",
      "USE_ROBOTS",
    ],
  },
  {
    group: "read",
    risk: "none",
    names: [
      "READ_PUBLISHED_THREADS", "READ_PUBLISHED_LIBRARY", "LIST_PROFILES", "READ_PROFILE",
      "LIST_COLLECTIONS", "READ_COLLECTION",
    ],
  },
];

/** The identity scopes of OpenID Connect, which are no permissions. */
export const IDENTITY = GROUPS.find(({ group }) => group === "you").names;

/** The given scopes as `[{ title, risk, names }]`, without empty groups. */
export function grouped(names) {
  const wanted = new Set(names);
  const groups = [];
  for (const { group, risk, names: all } of GROUPS) {
    const found = all.filter((name) => wanted.delete(name));
    if (found.length > 0) groups.push({ title: texts.scopes.groups[group], risk, names: found });
  }
  // What nobody here knows may be anything.
  if (wanted.size > 0) groups.push({ title: texts.scopes.other, risk: "high", names: [...wanted] });
  return groups;
}

/** Those of the given scopes that reach far. */
export function privileged(names) {
  return grouped(names)
    .filter(({ risk }) => risk === "all" || risk === "high")
    .flatMap((group) => group.names);
}

/** One scope in words. */
export function words(name) {
  return Object.hasOwn(texts.scopes.words, name) ? texts.scopes.words[name] : line(texts.scopes.unknown, { name });
}

/** Every scope that this page has words for. */
export function known() {
  return GROUPS.flatMap(({ names }) => names);
}
