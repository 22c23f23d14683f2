// The application that asks: its name, what is known of it, where its answer goes, what it would get.
// Everything here was chosen by whoever made the application, and is shown as such.

import { now } from "./api.js";
import { $, el, instant } from "./page.js";
import { grouped, words } from "./scopes.js";
import { tryUrl } from "./ways.js";
import { filled, many, texts } from "./words.js";

/** A name somebody chose for an application: no invisible characters, not endless. */
export function clientName(name) {
  const clean = visible(name);
  if (clean === "") return texts.common.somebody;
  const letters = [...clean];
  return letters.length > 60 ? `${letters.slice(0, 60).join("")}…` : clean;
}

/** Text without the characters that are not seen where they stand, or that turn the others. */
export function visible(text) {
  return String(text ?? "").replace(/[\p{C}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]/gu, "").trim();
}

/** Puts the application's name everywhere the page has room for it. */
export function nameClient(name) {
  for (const place of document.querySelectorAll("[data-client]")) place.textContent = clientName(name);
}

/** A host that breaks its line at its dots. */
export function hostName(host) {
  return host.split(".").flatMap((label, index) => (index === 0 ? [label] : [el("wbr"), `.${label}`]));
}

/** A link to somebody else's page, named by its host; nothing unless it is a web address. */
function elsewhere(address) {
  const url = typeof address === "string" ? tryUrl(address) : null;
  if (url === null || !["https:", "http:"].includes(url.protocol)) return null;
  const attributes = { href: url.href, target: "_blank", rel: "noopener noreferrer" };
  return el("a", attributes, ...hostName(url.host), el("span", { class: "unseen" }, ` ${texts.common.newTab}`));
}

/** Fills in what the server knows of the application that asks. */
export function showAsker(place, consent) {
  const { asker } = texts;
  const facts = [
    [asker.name, el("bdi", {}, clientName(consent.client_name))],
    [asker.madeBy, maker(consent)],
    [asker.known, since(consent.client_first_seen_at)],
    [asker.before, before(consent)],
    [asker.website, elsewhere(consent.client_uri)],
    [asker.terms, elsewhere(consent.tos_uri)],
    [asker.privacy, elsewhere(consent.policy_uri)],
    [asker.id, el("code", {}, consent.client_id)],
  ];
  const rows = facts.filter(([, fact]) => fact !== null);
  place.replaceChildren(el("dl", {}, ...rows.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)])));
  if (["member", "registration", "metadata_document"].includes(consent.client_registered_by)) {
    place.append(el("p", { class: "note" }, asker.unchecked));
  }
}

function maker({ client_registered_by: by, client_owner_handle: handle, client_id_host: host }) {
  const { asker } = texts;
  switch (by) {
    case "built_in":
      return asker.builtIn;
    case "administrator":
      return handle ? person(asker.administrator, handle) : asker.administratorUnknown;
    case "member":
      return handle ? person(asker.member, handle) : asker.memberUnknown;
    case "registration":
      return asker.registration;
    case "metadata_document": {
      if (!host) return asker.documentUnknown;
      const name = el("strong", {}, ...hostName(host));
      return el("span", {}, ...filled(asker.document, { host: name }));
    }
    default:
      return null;
  }
}

function person(text, handle) {
  const name = el("strong", {}, el("bdi", {}, `@${visible(handle)}`));
  return el("span", {}, ...filled(text, { handle: name }));
}

function since(value) {
  if (!value) return null;
  const isYoung = now() - Date.parse(value) < 24 * 3600 * 1000;
  if (isYoung) return el("strong", {}, texts.asker.sinceToday);
  return el("span", {}, ...filled(texts.asker.since, { time: instant(value) }));
}

// An API that tells nothing of the application does not know of approvals either.
function before(consent) {
  if (consent.granted_before_at) {
    return el("span", {}, ...filled(texts.asker.allowedBefore, { time: instant(consent.granted_before_at) }));
  }
  return consent.client_registered_by ? texts.asker.firstTime : null;
}

/** Shows where the answer goes: a host, this computer, or an app. */
export function showDestination({ redirect_uri: redirectUri, redirect_is_loopback: saidLoopback }) {
  const { consent } = texts;
  const url = tryUrl(redirectUri);
  const web = url !== null && ["https:", "http:"].includes(url.protocol);
  const warn = (text) => {
    $("host-warning").textContent = text;
    $("host-warning").hidden = false;
  };
  if (!web) {
    const scheme = url?.protocol ?? redirectUri;
    $("host").textContent = scheme;
    $("host-note").replaceChildren(...filled(consent.app, { scheme }));
    warn(consent.appWarning);
  } else if (isLoopback(url.hostname) || saidLoopback === true) {
    $("host").replaceChildren(...hostName(url.host));
    $("host-note").textContent = consent.loopback;
    warn(consent.loopbackWarning);
  } else {
    // `host` is in its ASCII form, so look-alike letters show as xn--.
    $("host").replaceChildren(...hostName(url.host));
    $("host-note").textContent = consent.web;
    const deep = url.hostname.split(".").length > 3 && !/^[\d.]+$/.test(url.hostname);
    if (deep) $("host-note").append(` ${consent.webDeep}`);
    if (url.protocol === "http:") warn(consent.webPlain);
    else if (url.hostname.split(".").some((label) => label.startsWith("xn--"))) warn(consent.webForeign);
  }
}

function isLoopback(host) {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

/** Shows what an application would get and what it asked for in vain. */
export function showScopes(place, consent) {
  const granted = consent.granted_scopes ?? [];
  const asked = new Set(consent.requested_scopes ?? []);
  const fresh = consent.granted_before_at ? new Set(consent.new_scopes ?? []) : new Set();
  place.replaceChildren();
  if (consent.inherits_user_permissions && granted.some((name) => !asked.has(name))) {
    place.append(el("p", {}, texts.scopes.inherits));
  }
  if (granted.length === 0) place.append(el("p", {}, texts.scopes.nothing));
  for (const group of grouped(granted)) place.append(scopeGroup(group, "h3", fresh));
  if (granted.some((name) => fresh.has(name))) place.append(el("p", { class: "hint" }, texts.scopes.newNote));

  const refused = [...asked].filter((name) => !granted.includes(name));
  if (refused.length > 0) {
    place.append(
      el("details", { class: "refused" },
        el("summary", {}, many(texts.scopes.refused, refused.length)),
        el("p", { class: "hint" }, texts.scopes.refusedText),
        el("ul", {}, ...refused.map((name) => el("li", {}, words(name))))),
    );
  }
}

/** One group of scopes as a list under its heading, marked by its risk; the fresh ones are marked too. */
export function scopeGroup({ title, risk, names }, level = "h3", fresh = new Set()) {
  const mark = texts.scopes.marks[risk];
  const heading = el(level, {}, title);
  if (mark) heading.append(" ", el("span", { class: "mark" }, mark));
  const items = names.map((name) => {
    const item = el("li", { title: name }, words(name));
    if (fresh.has(name)) item.append(" ", el("span", { class: "mark new" }, texts.scopes.isNew));
    return item;
  });
  return el("div", { class: `scopes risk-${risk}` }, heading, el("ul", {}, ...items));
}
