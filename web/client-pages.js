// Form fields of a client: website, terms of service, privacy policy and logo. For changes of an existing client.

import { messages } from "./i18n.js";
import { el } from "./page.js";

const strings = messages.clients.pages;
const MEMBERS = ["client_uri", "tos_uri", "policy_uri", "logo_uri"];

/** Creates the fields. Returns `{ nodes, read }`: `read` returns the changed members; an empty text removes one. The
 *  profile storyden does not report the addresses: then there are no fields. */
export function pageFields(client) {
  if (client.pkce_required === undefined) return { nodes: [], read: () => ({}) };
  const inputs = MEMBERS.map((name) =>
    el("input", { id: name, type: "url", inputmode: "url", autocomplete: "off", spellcheck: "false", placeholder: "https://", value: client[name] ?? "" }),
  );
  const fields = inputs.map((input) => el("div", { class: "field" }, el("label", { for: input.id }, strings.labels[input.id]), input));
  const part = el("details", { open: inputs.some(({ value }) => value !== "") }, el("summary", {}, strings.legend), el("div", { class: "fields" }, el("p", { class: "hint" }, strings.hint), ...fields));
  const read = () => {
    const changed = {};
    for (const { id, value } of inputs) if (value.trim() !== (client[id] ?? "")) changed[id] = value.trim();
    return changed;
  };
  return { nodes: [part], read };
}
