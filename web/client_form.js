// The fields of an application: name, redirect addresses, scopes. For new ones and for changes.

import { holds } from "./account.js";
import { el, say } from "./page.js";
import { IDENTITY, grouped, known, words as scopeWords } from "./scopes.js";
import { many, texts } from "./words.js";

const words = texts.clients;
const NAME_MAX = 64; // characters

/** Makes the fields for an application of a kind, filled with what there is. Returns `{ nodes, read }`;
 *  `read` gives `{ name, redirect_uris, allowed_scopes }`, or null after saying what is missing. */
export function clientFields(kind, account, { name = "", redirects, scopes, example = "" }) {
  const nameInput = el("input", { id: "name", type: "text", maxlength: String(NAME_MAX), autocomplete: "off", "aria-describedby": "name-hint", value: name });
  const nodes = [
    el("div", { class: "field" }, el("label", { for: "name" }, words.name), nameInput, el("p", { class: "hint", id: "name-hint" }, words.nameHint)),
  ];
  const addresses = redirects && el("textarea", { id: "redirects", rows: "3", spellcheck: "false", autocapitalize: "none", placeholder: example, "aria-describedby": "redirects-hint" });
  if (addresses) {
    addresses.value = redirects.join("\n");
    const hint = `${words.redirectsHint} ${words.redirectHints[kind] ?? ""}`;
    nodes.push(el("div", { class: "field" }, el("label", { for: "redirects" }, words.redirects), addresses, el("p", { class: "hint", id: "redirects-hint" }, hint)));
  }
  const choice = scopeChoice(kind, account, scopes);
  nodes.push(choice.node);

  const read = () => {
    for (const input of [nameInput, addresses]) input?.removeAttribute("aria-invalid");
    const refuse = (input, text) => {
      input.setAttribute("aria-invalid", "true");
      say({ title: words.invalid.title, text });
      return null;
    };
    if (nameInput.value.trim() === "") return refuse(nameInput, words.invalid.name);
    const chosen = { name: nameInput.value.trim(), allowed_scopes: choice.chosen() };
    if (!addresses) return chosen;
    const uris = addresses.value.split(/\s+/).filter((uri) => uri !== "");
    if (uris.length === 0) return refuse(addresses, words.invalid.redirects);
    return { ...chosen, redirect_uris: uris };
  };
  return { nodes, read };
}

/** Check boxes for what an application may ask for: who its people are, and permissions that its maker
 *  holds. What it has already is offered too, so that a change of the name takes nothing away. */
function scopeChoice(kind, account, scopes) {
  const boxes = [];
  const box = (name) => {
    const input = el("input", { type: "checkbox", value: name, checked: scopes.includes(name) });
    boxes.push(input);
    return el("label", { class: "check" }, input, el("span", {}, scopeWords(name)));
  };
  const nodes = [];
  if (kind !== "service" || scopes.some((name) => IDENTITY.includes(name))) nodes.push(...IDENTITY.map(box));

  const offered = known().filter((name) => !IDENTITY.includes(name) && (holds(account, name) || scopes.includes(name)));
  const others = scopes.filter((name) => !IDENTITY.includes(name) && !offered.includes(name));
  const permissions = grouped([...offered, ...others]);
  if (permissions.length > 0) {
    const count = el("span", { class: "count" });
    const groups = permissions.map(({ title, risk, names }) => {
      const mark = texts.scopes.marks[risk];
      const legend = el("legend", {}, title, ...(mark ? [" ", el("span", { class: "mark" }, mark)] : []));
      return el("fieldset", { class: `scopes risk-${risk}` }, legend, ...names.map(box));
    });
    const part = el("details", {}, el("summary", {}, `${words.permissions} `, count), el("div", { class: "scopelist" }, ...groups));
    const inside = boxes.filter(({ value }) => !IDENTITY.includes(value));
    const tell = () => {
      count.textContent = `(${many(words.chosen, inside.filter(({ checked }) => checked).length)})`;
    };
    part.addEventListener("change", tell);
    part.open = kind === "service" || inside.some(({ checked }) => checked);
    tell();
    nodes.push(part);
  }
  const hint = el("p", { class: "hint", id: "scopes-hint" }, words.scopesHint);
  const node = el("fieldset", { class: "field choice", "aria-describedby": "scopes-hint" }, el("legend", {}, words.scopes), hint, ...nodes);
  return { node, chosen: () => boxes.filter(({ checked }) => checked).map(({ value }) => value) };
}
