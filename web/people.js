// Names of accounts beside ids: "Odin (@odin)", with a link to the member.

import { call } from "./api.js";
import { messages } from "./i18n.js";
import { el } from "./page.js";
import { stripInvisible } from "./text.js";

const AT_ONCE = 100; // ids in one request
const people = new Map(); // fetched members by account id

/** Remembers members of a response, so that their names need no request. */
export function rememberPeople(members) {
  for (const member of members) people.set(member.id, member);
}

/** Fetches the names of accounts. Deleted accounts have none; a failed request leaves the ids. */
export async function fetchPeople(ids) {
  const unknown = [...new Set(ids)].filter((id) => id && !people.has(id));
  for (let start = 0; start < unknown.length; start += AT_ONCE) {
    const some = unknown.slice(start, start + AT_ONCE);
    const { status, body } = await call("GET", `/api/admin/oauth/members?ids=${encodeURIComponent(some.join(","))}`);
    if (status === 200) rememberPeople(body.members ?? []);
  }
}

/** Returns the text "Odin (@odin)"; the id of an account without a known name. */
export function personName(id) {
  const known = people.get(id);
  return known ? `${stripInvisible(known.name)} (@${known.handle})` : id;
}

/** Returns a link to the member with the name; the title is the id. `me` is marked as "you". */
export function accountLink(id, me) {
  if (!id) return messages.admin.noAccount;
  const href = `#member/${encodeURIComponent(id)}`;
  if (id === me?.id) return el("a", { href, title: id }, messages.admin.you);
  const known = people.get(id);
  if (!known) return el("a", { href }, el("code", {}, id));
  return el("a", { href, title: id }, el("bdi", {}, stripInvisible(known.name)), " ", el("bdi", { class: "handle" }, `(@${known.handle})`));
}
