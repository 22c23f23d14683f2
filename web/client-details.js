// Details of the client on the consent page and the device page: name, registration, redirect URI, scopes.
// The client's developer chose most of these values, so they are shown as text without invisible characters.

import { serverNow } from "./api.js";
import { formatNodes, formatPlural, formatText, messages } from "./i18n.js";
import { parseUrl } from "./navigation.js";
import { $, el, timeElement } from "./page.js";
import { groupScopes, scopeLabel } from "./scopes.js";
import { charactersOf, stripInvisible } from "./text.js";

/** Returns a client's name for display: without invisible characters, at most 60 characters. */
export function clientName(name) {
  const clean = stripInvisible(name);
  if (clean === "") return messages.common.unnamedClient;
  const characters = charactersOf(clean);
  return characters.length > 60 ? `${characters.slice(0, 60).join("")}…` : clean;
}

/** Writes the client's name into every element with `data-client`. */
export function fillClientName(name) {
  for (const place of document.querySelectorAll("[data-client]")) place.textContent = clientName(name);
}

/** Returns the nodes of a host name that may break at its dots. */
export function breakableHost(host) {
  return host.split(".").flatMap((label, index) => (index === 0 ? [label] : [el("wbr"), `.${label}`]));
}

/** Returns a link to a page of the client, labelled by the host and marked if the host is not the client's; null if
 *  the address is not http or https. */
function externalLink(address, isForeign) {
  const url = typeof address === "string" ? parseUrl(address) : null;
  if (url === null || !["https:", "http:"].includes(url.protocol)) return null;
  const attributes = { href: url.href, target: "_blank", rel: "noopener noreferrer" };
  const link = el("a", attributes, ...breakableHost(url.host), el("span", { class: "visually-hidden" }, ` ${messages.common.newTab}`));
  return isForeign ? el("span", {}, link, " ", foreignMark()) : link;
}

function foreignMark() {
  return el("span", { class: "mark warn" }, messages.clientDetails.otherSite);
}

/** Returns the logo with its host; null if the client has none. If no image can be shown, the place stays empty: the
 *  buttons below must not move (clickjacking). */
function logo({ logo_uri: address, logo_host: host }, isForeign) {
  if (typeof address !== "string" || typeof host !== "string") return null;
  const image = el("img", { src: address, alt: "", width: "56", height: "56" });
  const caption = el("figcaption", { class: "hint" }, ...formatNodes(messages.clientDetails.logoFrom, { host: el("span", {}, ...breakableHost(host)) }));
  if (isForeign) caption.append(" ", foreignMark());
  const figure = el("figure", { class: "logo" }, image, caption);
  image.addEventListener("error", () => figure.classList.add("missing"));
  return figure;
}

/** Renders the table of facts about the client. */
export function renderClientDetails(place, consent) {
  const labels = messages.clientDetails;
  const foreign = new Set(consent.foreign_pages ?? []);
  const facts = [
    [labels.name, el("bdi", {}, clientName(consent.client_name))],
    [labels.registeredBy, registrant(consent)],
    [labels.firstSeen, firstSeen(consent.client_first_seen_at)],
    [labels.approval, earlierApproval(consent)],
    [labels.website, externalLink(consent.client_uri, foreign.has("client_uri"))],
    [labels.terms, externalLink(consent.tos_uri, foreign.has("tos_uri"))],
    [labels.privacy, externalLink(consent.policy_uri, foreign.has("policy_uri"))],
    [labels.clientId, el("code", {}, consent.client_id)],
  ];
  const rows = facts.filter(([, fact]) => fact !== null);
  place.replaceChildren(el("dl", {}, ...rows.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)])));
  const figure = logo(consent, foreign.has("logo_uri"));
  if (figure !== null) place.prepend(figure);
  if (["member", "registration", "metadata_document"].includes(consent.client_registered_by)) {
    place.append(el("p", { class: "note" }, labels.unverified));
  }
}

function registrant({ client_registered_by: by, client_owner_handle: handle, client_id_host: host }) {
  const labels = messages.clientDetails;
  switch (by) {
    case "built_in":
      return labels.builtIn;
    case "administrator":
      return handle ? withHandle(labels.administrator, handle) : labels.administratorUnknown;
    case "member":
      return handle ? withHandle(labels.member, handle) : labels.memberUnknown;
    case "registration":
      return labels.registration;
    case "metadata_document": {
      if (!host) return labels.documentUnknown;
      const name = el("strong", {}, ...breakableHost(host));
      return el("span", {}, ...formatNodes(labels.document, { host: name }));
    }
    default:
      return null;
  }
}

function withHandle(text, handle) {
  const name = el("strong", {}, el("bdi", {}, `@${stripInvisible(handle)}`));
  return el("span", {}, ...formatNodes(text, { handle: name }));
}

function firstSeen(value) {
  if (!value) return null;
  const isRecent = serverNow() - Date.parse(value) < 24 * 3600 * 1000;
  if (isRecent) return el("strong", {}, messages.clientDetails.firstSeenToday);
  return el("span", {}, ...formatNodes(messages.clientDetails.since, { time: timeElement(value) }));
}

// An API without `client_registered_by` does not report earlier approvals either.
function earlierApproval(consent) {
  if (consent.granted_before_at) {
    return el("span", {}, ...formatNodes(messages.clientDetails.approvedBefore, { time: timeElement(consent.granted_before_at) }));
  }
  return consent.client_registered_by ? messages.clientDetails.neverApproved : null;
}

/** Renders the redirect URI: a host, this computer (loopback), or an app (custom scheme). */
export function renderRedirectUri({ redirect_uri: redirectUri, redirect_is_loopback: reportedLoopback }) {
  const { consent } = messages;
  const url = parseUrl(redirectUri);
  const isWeb = url !== null && ["https:", "http:"].includes(url.protocol);
  const warn = (text) => {
    $("host-warning").textContent = text;
    $("host-warning").hidden = false;
  };
  if (!isWeb) {
    const scheme = url?.protocol ?? redirectUri;
    $("host").textContent = scheme;
    $("host-note").replaceChildren(...formatNodes(consent.customScheme, { scheme }));
    warn(consent.customSchemeWarning);
  } else if (isLoopback(url.hostname) || reportedLoopback === true) {
    $("host").replaceChildren(...breakableHost(url.host));
    $("host-note").textContent = consent.loopback;
    warn(consent.loopbackWarning);
  } else {
    // `host` is in its ASCII form, so look-alike letters show as xn-- (homograph attack).
    $("host").replaceChildren(...breakableHost(url.host));
    $("host-note").textContent = consent.webHint;
    const hasSubdomains = url.hostname.split(".").length > 3 && !/^[\d.]+$/.test(url.hostname);
    if (hasSubdomains) $("host-note").append(` ${consent.subdomainHint}`);
    if (url.protocol === "http:") warn(consent.httpWarning);
    else if (url.hostname.split(".").some((label) => label.startsWith("xn--"))) warn(consent.homographWarning);
  }
}

function isLoopback(host) {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

/** Renders the scopes that the client would get, each with a box to leave it out, and the requested scopes that
 *  it would not get. */
export function renderScopes(place, consent) {
  const granted = consent.granted_scopes ?? [];
  const requested = new Set(consent.requested_scopes ?? []);
  const added = consent.granted_before_at ? new Set(consent.new_scopes ?? []) : new Set();
  place.replaceChildren();
  if (consent.inherits_user_permissions && granted.some((name) => !requested.has(name))) {
    place.append(el("p", {}, messages.scopes.inherits));
  }
  const claims = consent.requested_claims ?? [];
  const resources = consent.resources ?? [];
  if (granted.length === 0 && claims.length === 0) place.append(el("p", {}, messages.scopes.nothing));
  for (const { url, name } of resources) {
    const title = el("strong", {}, el("bdi", {}, stripInvisible(name) || url));
    place.append(el("p", { class: "note" }, ...formatNodes(messages.scopes.forResource, { resource: title }), " ", el("code", {}, url)));
  }
  if (granted.some((name) => !isRequired(name))) place.append(el("p", { class: "hint" }, messages.scopes.selectHint));
  for (const group of groupScopes(granted, resources)) place.append(scopeGroup(group, { added, selectable: true }));
  if (claims.length > 0) place.append(claimGroup(claims));
  if (granted.some((name) => added.has(name))) place.append(el("p", { class: "hint" }, messages.scopes.newHint));

  const refused = [...requested].filter((name) => !granted.includes(name));
  if (refused.length > 0) {
    place.append(
      el("details", { class: "refused" },
        el("summary", {}, formatPlural(messages.scopes.refused, refused.length)),
        el("p", { class: "hint" }, messages.scopes.refusedHint),
        el("ul", {}, ...refused.map((name) => el("li", {}, scopeLabel(name))))),
    );
  }
}

/** Returns the list of the claims that the client requests one by one (OpenID Connect Core §5.5). */
function claimGroup(claims) {
  const { heading, essential, labels, unknown } = messages.claims;
  const items = claims.map(({ name, essential: isEssential }) => {
    const label = Object.hasOwn(labels, name) ? labels[name] : formatText(unknown, { name });
    const item = el("li", { title: name }, label);
    if (isEssential) item.append(" ", el("span", { class: "mark" }, essential));
    return item;
  });
  return el("div", { class: "scopes risk-none" }, el("h3", {}, heading), el("ul", {}, ...items));
}

/** Returns the scopes in `place` that the user left selected. */
export function selectedScopes(place) {
  return [...place.querySelectorAll("input[name=scope]:checked")].map((box) => box.value);
}

// A client that identifies the user cannot work without `openid`: the user denies the request instead.
function isRequired(name) {
  return name === "openid";
}

/** Returns the list of one group of scopes with the risk in the heading. Scopes in `added` are marked as new;
 *  with `selectable`, each scope has a box. */
export function scopeGroup({ title, risk, names, labels = {} }, { level = "h3", added = new Set(), selectable = false } = {}) {
  const mark = messages.scopes.risks[risk];
  const heading = el(level, {}, title);
  if (mark) heading.append(" ", el("span", { class: "mark" }, mark));
  const items = names.map((name) => {
    const label = Object.hasOwn(labels, name) ? labels[name] : scopeLabel(name);
    const item = el("li", { title: name }, selectable ? scopeBox(name, label) : label);
    if (added.has(name)) item.append(" ", el("span", { class: "mark new" }, messages.scopes.isNew));
    return item;
  });
  return el("div", { class: `scopes risk-${risk}` }, heading, el("ul", { class: selectable ? "boxes" : undefined }, ...items));
}

function scopeBox(name, label) {
  const box = el("input", { type: "checkbox", name: "scope", value: name, checked: true, disabled: isRequired(name), autocomplete: "off" });
  return el("label", { class: "check" }, box, el("span", {}, label));
}
