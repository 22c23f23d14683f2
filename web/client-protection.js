// Form fields of a client: FAPI 2.0, keys, DPoP and signature algorithms. For changes of an existing client.

import { formatText, messages } from "./i18n.js";
import { el, showMessage } from "./page.js";

const strings = messages.clients.protection;
const ALGORITHMS = ["id_token_signed_response_alg", "access_token_signed_response_alg", "userinfo_signed_response_alg"];

/** Creates the fields. `algorithms` are the algorithms that the server signs with. Returns `{ nodes, read }`: `read`
 *  returns the changed members, or null after it has shown what is wrong. The profile storyden does not report the
 *  settings: then there are no fields. */
export function protectionFields(client, algorithms) {
  if (client.pkce_required === undefined) return { nodes: [], read: () => ({}) };
  const isConfidential = client.type === "confidential";
  const box = (name, checked) => el("input", { type: "checkbox", id: name, checked, "aria-describedby": `${name}-hint` });
  const fapi = isConfidential ? box("fapi", Boolean(client.fapi)) : null;
  const dpop = client.fapi ? null : box("dpop", Boolean(client.dpop_bound_access_tokens)); // implied by FAPI 2.0
  const before = keysOf(client);
  const keys = el("textarea", { id: "keys", rows: "4", spellcheck: "false", autocapitalize: "none", "aria-describedby": "keys-hint" });
  keys.value = before;
  const selects = ALGORITHMS.map((name) => algorithmField(name, client[name], algorithms));
  const nodes = [
    ...(fapi ? [choice(fapi, strings.fapi)] : []),
    el("div", { class: "field" }, el("label", { for: "keys" }, strings.keys.label), keys, el("p", { class: "hint", id: "keys-hint" }, strings.keys.hint)),
    ...(dpop ? [choice(dpop, strings.dpop)] : []),
    el("details", {}, el("summary", {}, strings.algorithms), ...selects.map(({ node }) => node)),
  ];

  const read = () => {
    keys.removeAttribute("aria-invalid");
    const changed = {};
    if (fapi && fapi.checked !== Boolean(client.fapi)) changed.fapi = fapi.checked;
    if (dpop && dpop.checked !== Boolean(client.dpop_bound_access_tokens)) changed.dpop_bound_access_tokens = dpop.checked;
    for (const { name, select } of selects) if (select.value !== (client[name] ?? "")) changed[name] = select.value;
    const given = keys.value.trim();
    if (given === before.trim()) return changed;
    if (given === "") return { ...changed, jwks: null, jwks_uri: null };
    if (given.startsWith("https://")) return { ...changed, jwks_uri: given };
    try {
      return { ...changed, jwks: JSON.parse(given) };
    } catch {
      keys.setAttribute("aria-invalid", "true");
      showMessage(strings.keys.invalid);
      return null;
    }
  };
  return { nodes, read };
}

/** Returns a note about what contradicts FAPI 2.0, or nothing. */
export function contradictionNotes(client) {
  const found = client.fapi_contradictions ?? [];
  return found.map((text) => el("p", { class: "note", role: "note" }, formatText(strings.contradiction, { text })));
}

/** Returns the protections of a client as pairs of a term and a fact. */
export function protectionFacts(client) {
  const facts = [];
  if (client.fapi) facts.push([strings.fapi.legend, strings.fapi.on]);
  if (client.dpop_bound_access_tokens) facts.push([strings.dpop.legend, strings.dpop.on]);
  if (client.require_pushed_authorization_requests) facts.push([messages.clients.pushing.legend, messages.clients.pushing.on]);
  for (const name of ALGORITHMS) if (client[name]) facts.push([strings.algorithmNames[name], client[name]]);
  return facts;
}

function keysOf({ jwks, jwks_uri: uri }) {
  if (uri) return uri;
  return jwks ? JSON.stringify(jwks, null, 2) : "";
}

function choice(input, { legend, label, hint }) {
  return el("fieldset", { class: "field choice" }, el("legend", {}, legend), el("label", { class: "check" }, input, el("span", {}, label)), el("p", { class: "hint", id: `${input.id}-hint` }, hint));
}

function algorithmField(name, chosen, algorithms) {
  const select = el("select", { id: name });
  const none = name === "userinfo_signed_response_alg" ? strings.unsigned : strings.usual;
  select.append(el("option", { value: "" }, none));
  // A chosen algorithm that the server no longer signs with stays visible.
  for (const algorithm of new Set([...algorithms, ...(chosen ? [chosen] : [])])) select.append(el("option", { value: algorithm }, algorithm));
  select.value = chosen ?? "";
  return { name, select, node: el("div", { class: "field" }, el("label", { for: name }, strings.algorithmNames[name]), select) };
}
