// Groups of scopes in display order, the most dangerous first. The labels are in the catalogues.

import { formatText, messages } from "./i18n.js";
import { stripInvisible } from "./text.js";

/** The `risk` of a group: "all" (administrator), "high" (privileged permissions, `Permission::is_privileged`),
 *  "some" (changes content of other members) or "none". */
const GROUPS = [
  { group: "administrator", risk: "all", names: ["ADMINISTRATOR"] },
  {
    group: "privileged",
    risk: "high",
    names: [
      "MANAGE_SETTINGS", "MANAGE_ACCOUNTS", "MANAGE_ROLES", "MANAGE_SUSPENSIONS", "MANAGE_WARNINGS",
      "MANAGE_REPORTS", "VIEW_ACCOUNTS", "VIEW_MODERATION_NOTES", "MANAGE_MODERATION_NOTES",
      "USE_OAUTH_CLIENTS", "USE_PERSONAL_ACCESS_KEYS", "MANAGE_ROBOTS", "MANAGE_TRAILS",
    ],
  },
  { group: "identity", risk: "none", names: ["openid", "profile", "email", "offline_access"] },
  {
    group: "moderation",
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

/** The scopes of OpenID Connect, which are not permissions. */
export const IDENTITY_SCOPES = GROUPS.find(({ group }) => group === "identity").names;

/** Groups scopes as `[{ title, risk, names, labels }]`, without empty groups. `resources` describes the scopes of
 *  other resources, as in the consent API. */
export function groupScopes(names, resources = []) {
  const remaining = new Set(names);
  const groups = [];
  for (const { group, risk, names: all } of GROUPS) {
    const found = all.filter((name) => remaining.delete(name));
    if (found.length > 0) groups.push({ title: messages.scopes.groups[group], risk, names: found });
  }
  for (const { url, name, scopes } of resources) {
    const found = scopes.filter((scope) => remaining.delete(scope.name));
    if (found.length === 0) continue;
    const labels = Object.fromEntries(found.map((scope) => [scope.name, stripInvisible(scope.description) || scope.name]));
    const title = formatText(messages.scopes.ofResource, { resource: stripInvisible(name) || url });
    groups.push({ title, risk: "some", names: found.map((scope) => scope.name), labels });
  }
  // A scope of a resource that is not described here, as in a list of applications.
  const others = [...remaining].filter((name) => isOfResource(name) && remaining.delete(name));
  if (others.length > 0) groups.push({ title: messages.scopes.ofResources, risk: "some", names: others });
  // An unknown scope may allow anything.
  if (remaining.size > 0) groups.push({ title: messages.scopes.other, risk: "high", names: [...remaining] });
  return groups;
}

/** Returns the privileged scopes among `names`. */
export function privilegedScopes(names) {
  return groupScopes(names)
    .filter(({ risk }) => risk === "all" || risk === "high")
    .flatMap((group) => group.names);
}

/** True for the name of a scope of another resource. */
function isOfResource(name) {
  return /[:./]/.test(name);
}

/** Returns the description of a scope, or the name of a scope of another resource. */
export function scopeLabel(name) {
  if (isOfResource(name)) return name;
  return Object.hasOwn(messages.scopes.labels, name) ? messages.scopes.labels[name] : formatText(messages.scopes.unknown, { name });
}

/** Returns every scope that has a description. */
export function knownScopes() {
  return GROUPS.flatMap(({ names }) => names);
}
