// The signed-in account.

import { call } from "./api.js";
import { formatNodes, messages } from "./i18n.js";
import { setDraftOwner } from "./drafts.js";
import { el } from "./page.js";
import { stripInvisible } from "./text.js";

/** Fetches the session. The body of the response has `account` (`{ id, handle, name, permissions }`) and
 *  `sessions`. */
export function fetchSession() {
  return call("GET", "/api/auth/sessions");
}

/** Returns true if an account holds a permission; administrators hold all. */
export function hasPermission(account, permission) {
  const held = account?.permissions ?? [];
  return held.includes("ADMINISTRATOR") || held.includes(permission);
}

/** Returns the nodes of "Signed in as Frigg @frigg". */
export function signedInAs(account) {
  const name = el("span", {}, el("strong", {}, el("bdi", {}, stripInvisible(account.name))), " ", el("bdi", { class: "handle" }, `@${account.handle}`));
  return formatNodes(messages.layout.signedIn, { account: name });
}

/** Renders the name of the signed-in account; leaves `place` empty if the request fails. */
export async function renderAccount(place) {
  const { status, body } = await fetchSession();
  if (status === 200 && body.account) {
    setDraftOwner(body.account);
    place.replaceChildren(...signedInAs(body.account), ". ", messages.layout.notYou, " ");
  }
}
