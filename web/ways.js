// The ways into a page and out of it: to the sign-in page and back, to a client, to nobody.

import { signOut } from "./api.js";
import { button, say } from "./page.js";
import { texts } from "./words.js";

const SIGNED_IN = "signed-in-at";

/** Goes to the sign-in page and comes back here afterwards. */
export function goToLogin() {
  const here = location.pathname + location.search + location.hash;
  location.replace(`/login?return_url=${encodeURIComponent(here)}`);
}

/** Notes that the sign-in page has just signed somebody in. */
export function noteSignIn() {
  sessionStorage.setItem(SIGNED_IN, String(Date.now()));
}

/** True once when somebody was signed in seconds ago: back at the sign-in page so soon, the
 *  browser did not keep the cookie. */
export function cookieWasLost() {
  const at = Number(sessionStorage.getItem(SIGNED_IN));
  sessionStorage.removeItem(SIGNED_IN);
  return Date.now() - at < 15_000;
}

/** Forgets a sign-in, because somebody signed out. */
export function forgetSignIn() {
  sessionStorage.removeItem(SIGNED_IN);
}

/** Ends the session, then goes on; says so when it did not end. */
export async function endSession(then) {
  if (await signOut()) {
    forgetSignIn();
    return then();
  }
  say(texts.frame.notSignedOut);
  return false;
}

/** A button that ends the session. */
export function signOutButton(text, then) {
  return button(text, () => endSession(then));
}

/** Where to go after sign-in: `return_url` when it is a path of this very origin, else `/`. */
export function returnTarget() {
  const wanted = new URLSearchParams(location.search).get("return_url") ?? "";
  // `//host` and `/\host` name another origin, and so does `/<tab>/host` once it is parsed.
  if (!/^\/(?![/\\])/.test(wanted)) return "/";
  const url = tryUrl(wanted);
  // The whole URL, not its path: the path of `/.//host` is `//host`.
  return url !== null && url.origin === location.origin ? url.href : "/";
}

/** An absolute URL, or one on this origin; null when it is neither. */
export function tryUrl(text) {
  try {
    return new URL(text, location.origin);
  } catch {
    return null;
  }
}

/** Sends the browser to a client's redirect URI; false when it is no place to go to. */
export function leave(target) {
  const url = tryUrl(target);
  const never = ["javascript:", "data:", "vbscript:", "blob:", "filesystem:", "file:", "about:"];
  if (url === null || never.includes(url.protocol)) return false;
  location.replace(target);
  return true;
}
