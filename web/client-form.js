// Form fields of a client: name, redirect URIs, scopes. Used for creation and changes.

import { hasPermission } from "./account.js";
import { formatPlural, messages } from "./i18n.js";
import { el, showMessage } from "./page.js";
import { IDENTITY_SCOPES, groupScopes, knownScopes, scopeLabel as scopeWords } from "./scopes.js";

const strings = messages.clients;
const NAME_MAX = 64; // characters

/** Creates the fields for a client of a kind. Returns `{ nodes, read }`: `read` returns
 *  `{ name, redirect_uris, allowed_scopes, pkce_required, require_pushed_authorization_requests }`, or null after it has
 *  shown which field is missing. `pkce` is absent for a client that always needs PKCE, `pushing` for a client that
 *  has no choice about pushed requests. `resources` are the other resources whose scopes are offered, as in the API. */
export function clientFields(kind, account, { name = "", redirects, scopes, resources = [], example = "", pkce, pushing }) {
  const nameInput = el("input", { id: "name", type: "text", maxlength: String(NAME_MAX), autocomplete: "off", "aria-describedby": "name-hint", value: name });
  const nodes = [
    el("div", { class: "field" }, el("label", { for: "name" }, strings.name), nameInput, el("p", { class: "hint", id: "name-hint" }, strings.nameHint)),
  ];
  const addresses = redirects && el("textarea", { id: "redirects", rows: "3", spellcheck: "false", autocapitalize: "none", placeholder: example, "aria-describedby": "redirects-hint" });
  if (addresses) {
    addresses.value = redirects.join("\n");
    const hint = `${strings.redirectsHint} ${strings.redirectHints[kind] ?? ""}`;
    nodes.push(el("div", { class: "field" }, el("label", { for: "redirects" }, strings.redirects), addresses, el("p", { class: "hint", id: "redirects-hint" }, hint)));
  }
  const choice = scopeChoice(kind, account, scopes, resources);
  nodes.push(choice.node);
  const exempt = pkce === undefined ? null : el("input", { type: "checkbox", id: "without-pkce", checked: !pkce, "aria-describedby": "pkce-hint" });
  if (exempt) {
    const legend = el("legend", {}, strings.pkce.legend);
    const label = el("label", { class: "check" }, exempt, el("span", {}, strings.pkce.without));
    nodes.push(el("fieldset", { class: "field choice" }, legend, label, el("p", { class: "hint", id: "pkce-hint" }, strings.pkce.cost)));
  }
  const pushed = pushing === undefined ? null : el("input", { type: "checkbox", id: "pushed-requests", checked: pushing, "aria-describedby": "pushed-requests-hint" });
  if (pushed) {
    const legend = el("legend", {}, strings.pushing.legend);
    const label = el("label", { class: "check" }, pushed, el("span", {}, strings.pushing.required));
    nodes.push(el("fieldset", { class: "field choice" }, legend, label, el("p", { class: "hint", id: "pushed-requests-hint" }, strings.pushing.effect)));
  }

  const read = () => {
    for (const input of [nameInput, addresses]) input?.removeAttribute("aria-invalid");
    const reject = (input, text) => {
      input.setAttribute("aria-invalid", "true");
      showMessage({ title: strings.invalid.title, text });
      return null;
    };
    if (nameInput.value.trim() === "") return reject(nameInput, strings.invalid.name);
    const chosen = { name: nameInput.value.trim(), allowed_scopes: choice.chosen() };
    if (exempt) chosen.pkce_required = !exempt.checked;
    if (pushed) chosen.require_pushed_authorization_requests = pushed.checked;
    if (!addresses) return chosen;
    const uris = addresses.value.split(/\s+/).filter((uri) => uri !== "");
    if (uris.length === 0) return reject(addresses, strings.invalid.redirects);
    return { ...chosen, redirect_uris: uris };
  };
  return { nodes, read };
}

/** Creates checkboxes for the scopes: OpenID Connect scopes, the permissions of the account and the scopes of other
 *  resources. Scopes that the client has already are offered too, so that a change of another field removes none. */
function scopeChoice(kind, account, scopes, resources) {
  const boxes = [];
  const box = (name, label = scopeWords(name)) => {
    const input = el("input", { type: "checkbox", value: name, checked: scopes.includes(name) });
    boxes.push(input);
    return el("label", { class: "check" }, input, el("span", {}, label));
  };
  const nodes = [];
  if (kind !== "service" || scopes.some((name) => IDENTITY_SCOPES.includes(name))) nodes.push(...IDENTITY_SCOPES.map((name) => box(name)));

  const offered = knownScopes().filter((name) => !IDENTITY_SCOPES.includes(name) && (hasPermission(account, name) || scopes.includes(name)));
  const ofResources = resources.flatMap((resource) => resource.scopes.map((scope) => scope.name));
  const others = scopes.filter((name) => !IDENTITY_SCOPES.includes(name) && !offered.includes(name) && !ofResources.includes(name));
  const permissions = groupScopes([...offered, ...ofResources, ...others], resources);
  if (permissions.length > 0) {
    const count = el("span", { class: "count" });
    const groups = permissions.map(({ title, risk, names, labels = {} }) => {
      const mark = messages.scopes.risks[risk];
      const legend = el("legend", {}, title, ...(mark ? [" ", el("span", { class: "mark" }, mark)] : []));
      return el("fieldset", { class: `scopes risk-${risk}` }, legend, ...names.map((name) => box(name, labels[name])));
    });
    const part = el("details", {}, el("summary", {}, `${strings.permissions} `, count), el("div", { class: "scopelist" }, ...groups));
    const inside = boxes.filter(({ value }) => !IDENTITY_SCOPES.includes(value));
    const updateCount = () => {
      count.textContent = `(${formatPlural(strings.selected, inside.filter(({ checked }) => checked).length)})`;
    };
    part.addEventListener("change", updateCount);
    part.open = kind === "service" || inside.some(({ checked }) => checked);
    updateCount();
    nodes.push(part);
  }
  const hint = el("p", { class: "hint", id: "scopes-hint" }, strings.scopesHint);
  const node = el("fieldset", { class: "field choice", "aria-describedby": "scopes-hint" }, el("legend", {}, strings.scopes), hint, ...nodes);
  return { node, chosen: () => boxes.filter(({ checked }) => checked).map(({ value }) => value) };
}
