// Navigation between pages: redirects to the sign-in page and back, redirects to a client, sign-out.

import { signOut } from "./api.js";
import { saveDraft } from "./drafts.js";
import { messages } from "./i18n.js";
import { button, showMessage } from "./page.js";

const SIGNED_IN_AT = "signed-in-at";

/** Redirects to the sign-in page with the current address as `return_url`. */
export function redirectToLogin() {
  saveDraft(); // the session ended in the middle of a form
  const here = location.pathname + location.search + location.hash;
  location.replace(`/login?return_url=${encodeURIComponent(here)}`);
}

/** Records the time of a successful sign-in. */
export function recordSignIn() {
  sessionStorage.setItem(SIGNED_IN_AT, String(Date.now()));
}

/** Returns true if a sign-in succeeded within the last 15 seconds: the browser is on the sign-in page
 *  again because it rejected the session cookie. Clears the record. */
export function sessionCookieWasRejected() {
  const at = Number(sessionStorage.getItem(SIGNED_IN_AT));
  sessionStorage.removeItem(SIGNED_IN_AT);
  return Date.now() - at < 15_000;
}

/** Clears the record of the last sign-in after a sign-out. */
export function clearSignInRecord() {
  sessionStorage.removeItem(SIGNED_IN_AT);
}

/** Ends the session and calls `then`. Shows a message if the server did not confirm the sign-out. */
export async function endSession(then) {
  if (await signOut()) {
    clearSignInRecord();
    return then();
  }
  showMessage(messages.layout.notSignedOut);
  return false;
}

/** A button that ends the session. */
export function signOutButton(text, then) {
  return button(text, () => endSession(then));
}

/** Returns the target after sign-in: `return_url` if its origin is this origin, or `/` (open redirect). */
export function returnUrl() {
  const requested = new URLSearchParams(location.search).get("return_url") ?? "";
  // `//host` and `/\host` name another origin; `/<tab>/host` does so after URL parsing.
  if (!/^\/(?![/\\])/.test(requested)) return "/";
  const url = parseUrl(requested);
  // Return the whole URL: the path of `/.//host` is `//host`.
  return url !== null && url.origin === location.origin ? url.href : "/";
}

/** Parses an absolute URL or a path of this origin; returns null if `text` is invalid. */
export function parseUrl(text) {
  try {
    return new URL(text, location.origin);
  } catch {
    return null;
  }
}

/** Redirects the browser to an address outside this server. Returns false if the address is invalid or
 *  its scheme could run script on this origin (XSS). */
export function redirectTo(target) {
  const url = parseUrl(target);
  const forbidden = ["javascript:", "data:", "vbscript:", "blob:", "filesystem:", "file:", "about:"];
  if (url === null || forbidden.includes(url.protocol)) return false;
  location.replace(target);
  return true;
}
