// Who is signed in on this browser.

import { call } from "./api.js";
import { visible } from "./asker.js";
import { el } from "./page.js";
import { filled, texts } from "./words.js";

/** Asks the API. Returns the answer, whose body has `account` (`{ id, handle, name, permissions }`)
 *  and `sessions`. */
export function whoIsIt() {
  return call("GET", "/api/auth/sessions");
}

/** Whether an account holds a permission; administrators hold each. */
export function holds(account, permission) {
  const held = account?.permissions ?? [];
  return held.includes("ADMINISTRATOR") || held.includes(permission);
}

/** "Signed in as Frigg @frigg" */
export function signedInAs(account) {
  const name = el("span", {}, el("strong", {}, el("bdi", {}, visible(account.name))), " ", el("bdi", { class: "handle" }, `@${account.handle}`));
  return filled(texts.frame.signedIn, { account: name });
}

/** Says on a page whose account it is that acts; the page goes on without when nobody knows. */
export async function showAccount(place) {
  const { status, body } = await whoIsIt();
  if (status === 200 && body.account) {
    place.replaceChildren(...signedInAs(body.account), ". ", texts.frame.notYou, " ");
  }
}
