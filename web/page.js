// What every page does: texts into the page, messages, focus, the ways in and out.

import { duration, now } from "./api.js";
import { grouped, words } from "./scopes.js";

for (const place of document.querySelectorAll("[data-host]")) place.textContent = location.host;

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** A new element. Children are nodes or text; text is never markup. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Shows one of the page's parts and hides the others; focus goes to its heading. */
export function show(part) {
  for (const other of $("main").children) {
    if (other.tagName !== "NOSCRIPT") other.hidden = other !== part;
  }
  const heading = part.querySelector("h1");
  if (heading) {
    document.title = heading.textContent;
    scrollTo(0, 0);
    heading.focus();
  }
}

/** Shows a message, above the buttons where there are parts, and moves the focus to it. */
export function say({ title, text }, tone = "bad") {
  const place = $("message");
  document.querySelector("#main > div:not([hidden], .message) .actions")?.before(place);
  place.className = `message ${tone}`;
  place.replaceChildren(el("p", {}, el("strong", {}, title)), el("p", {}, text));
  place.hidden = false;
  place.focus();
}

/** Takes the message away. */
export function unsay() {
  $("message").hidden = true;
}

/** Ends the page with a heading, some paragraphs and perhaps things to do. */
export function finish(title, texts, ...actions) {
  const part = el("div", {}, el("h1", { tabindex: "-1" }, title), ...texts.map((text) => el("p", {}, text)));
  if (actions.length > 0) part.append(el("div", { class: "actions" }, ...actions));
  $("main").append(part);
  show(part);
}

/** A link that looks like a button. */
export function linkButton(text, href) {
  return el("a", { class: "button primary", href }, text);
}

/** A button that loads this page again. */
export function reloadButton() {
  const button = el("button", { class: "primary", type: "button" }, "Try again");
  button.addEventListener("click", () => location.reload());
  return button;
}

/** Runs `work` with every button of the page disabled, so that nothing is sent twice. They stay
 *  disabled when it returns true: the page is about to be left. */
export async function once(work) {
  const buttons = [...document.querySelectorAll("button")].filter((button) => !button.disabled);
  if (buttons.length === 0) return;
  for (const button of buttons) button.disabled = true;
  const leaving = await work();
  if (!leaving) for (const button of buttons) button.disabled = false;
}

/** A name somebody chose for an application: no invisible characters, not endless. */
export function clientName(name) {
  const clean = String(name ?? "").replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "").trim();
  if (clean === "") return "an application without a name";
  const letters = [...clean];
  return letters.length > 60 ? `${letters.slice(0, 60).join("")}…` : clean;
}

/** A host that breaks its line at its dots. */
export function hostName(host) {
  return host.split(".").flatMap((label, index) => (index === 0 ? [label] : [el("wbr"), `.${label}`]));
}

/** Puts the application's name everywhere the page has room for it. */
export function nameClient(name) {
  for (const place of document.querySelectorAll("[data-client]")) place.textContent = clientName(name);
}

/** An instant as "3 minutes ago" or "in 3 minutes", with the exact time at hand. */
export function instant(value) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return el("span", {}, "at an unknown time");
  const seconds = Math.round((date.getTime() - now()) / 1000);
  const exact = date.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  let text = seconds > 0 ? `in ${duration(seconds)}` : `${duration(-seconds)} ago`;
  if (Math.abs(seconds) < 10) text = "just now";
  return el("time", { datetime: date.toISOString(), title: exact }, text);
}

/** Shows what an application would get and what it asked for in vain. */
export function showScopes(place, { granted_scopes, requested_scopes, inherits_user_permissions }) {
  const granted = granted_scopes ?? [];
  place.replaceChildren();
  const asked = new Set(requested_scopes ?? []);
  if (inherits_user_permissions && granted.some((name) => !asked.has(name))) {
    place.append(el("p", {}, "This application gets every permission that you have now."));
  }
  if (granted.length === 0) {
    place.append(el("p", {}, "Do nothing with your account: it gets no permission and does not learn who you are."));
  }
  for (const group of grouped(granted)) place.append(scopeGroup(group));

  const refused = [...asked].filter((name) => !granted.includes(name));
  if (refused.length > 0) {
    const items = refused.map((name) => el("li", {}, words(name)));
    const why = "It asked for these too. They are not given, because you or the application may not have them.";
    place.append(
      el("details", { class: "refused" },
        el("summary", {}, `${refused.length} more asked for, not given`),
        el("p", { class: "hint" }, why),
        el("ul", {}, ...items)),
    );
  }
}

/** One group of scopes as a list under its heading, marked by its risk. */
export function scopeGroup({ title, risk, scopes }, level = "h3") {
  const mark = { all: "Dangerous", high: "Powerful", some: "Careful" }[risk];
  const heading = el(level, {}, title);
  if (mark) heading.append(" ", el("span", { class: "mark" }, mark));
  const items = scopes.map(({ name, words }) => el("li", { title: name }, words));
  return el("div", { class: `scopes risk-${risk}` }, heading, el("ul", {}, ...items));
}

const SIGNED_IN = "signed-in-at";

/** Goes to the sign-in page and comes back here afterwards. */
export function goToLogin() {
  location.replace(`/login?return_url=${encodeURIComponent(location.pathname + location.search)}`);
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
