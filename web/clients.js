// The applications that a person made: make, change, give another secret, delete, and code to begin with.

import { holds } from "./account.js";
import { call, explanation, succeeded } from "./api.js";
import { visible } from "./asker.js";
import { clientFields } from "./client_form.js";
import { KINDS, kindOf } from "./client_kinds.js";
import { ask } from "./dialog.js";
import { empty, enter, facts, fail, goTo, idIn, item, present, refuse, views } from "./frame.js";
import { button, el, instant, linkButton, once, unsay } from "./page.js";
import { copyable } from "./secret.js";
import { snippetTabs } from "./snippets.js";
import { filled, line, texts } from "./words.js";

const PATH = "/api/auth/oauth/clients";
const words = texts.clients;
let issuer = location.origin; // what the discovery document says, once it was read
let fresh = null; // `{ id, secret }` of the application whose secret was just made

const entered = await enter("clients");
if (entered) {
  const metadata = await call("GET", "/.well-known/openid-configuration");
  if (typeof metadata.body.issuer === "string") issuer = metadata.body.issuer;
  views((name, _, isCurrent) => {
    if (name === "new") return creation();
    if (name.startsWith("app/")) return details(idIn(name), isCurrent);
    return list(isCurrent);
  });
}

function mayCreate() {
  return !entered.account || holds(entered.account, "USE_OAUTH_CLIENTS");
}

function nameOf(client) {
  return visible(client.name) || client.client_id;
}

// ---- all of them ---------------------------------------------------------------------------

async function list(isCurrent) {
  const answer = await call("GET", PATH);
  if (!isCurrent()) return;
  const about = el("p", { class: "lead" }, words.about);
  if (answer.status === 403) {
    // In the profile storyden this is for administrators: then the API says it better.
    const { title, text } = words.notAllowed;
    present(words.heading, about, empty({ title, text: mayCreate() ? explanation(answer, text) : text }));
    return;
  }
  if (answer.status !== 200) {
    fail(answer);
    return;
  }
  const clients = (answer.body.clients ?? []).toReversed(); // newest first
  const create = mayCreate() ? el("div", { class: "actions start" }, linkButton(words.create, "#new")) : el("p", { class: "note" }, words.notAllowed.text);
  if (clients.length === 0) present(words.heading, about, mayCreate() ? empty(words.empty, create) : empty(words.notAllowed));
  else present(words.heading, about, create, el("ul", { class: "items" }, ...clients.map(shown)));
}

function shown(client) {
  const link = el("a", { href: `#app/${encodeURIComponent(client.id)}` }, el("bdi", {}, nameOf(client)));
  return item(link, [
    facts(words.kinds[kindOf(client)], filled(words.made, { time: instant(client.createdAt) })),
    el("p", { class: "facts" }, el("code", {}, client.client_id)),
  ]);
}

// ---- a new one -----------------------------------------------------------------------------

function creation() {
  const chosen = { kind: "website", fields: null };
  const place = el("div", { class: "fields" });
  const choose = (kind) => {
    const { scopes, redirect } = KINDS[kind];
    const typed = place.querySelector("#name")?.value ?? "";
    chosen.kind = kind;
    chosen.fields = clientFields(kind, entered.account, { name: typed, redirects: redirect ? [] : undefined, scopes, example: redirect });
    place.replaceChildren(...chosen.fields.nodes);
  };
  const cards = Object.keys(KINDS).map((kind) => {
    const radio = el("input", { type: "radio", name: "kind", value: kind, checked: kind === chosen.kind });
    radio.addEventListener("change", () => choose(kind));
    const { title, text } = words.presets[kind];
    return el("label", { class: "card-choice" }, radio, el("span", {}, el("strong", {}, title), el("span", { class: "hint" }, text)));
  });
  choose(chosen.kind);
  const form = el(
    "form",
    { method: "post", novalidate: true },
    el("fieldset", { class: "choices" }, el("legend", {}, words.kindLegend), ...cards),
    place,
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, words.submit), el("a", { class: "button", href: "#" }, texts.common.cancel)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(() => create(chosen));
  });
  present(words.createHeading, form);
}

async function create({ kind, fields }) {
  unsay();
  const read = fields.read();
  if (!read) return;
  const { type, grants, method } = KINDS[kind];
  const answer = await call("POST", PATH, { ...read, type, allowed_grants: grants, token_endpoint_auth_method: method, pkce_required: true });
  if (!succeeded(answer)) {
    refuse(answer);
    return;
  }
  const { client, client_secret: secret } = answer.body;
  fresh = secret ? { id: client.id, secret } : null;
  // Not a step of its own: back goes to the list, not to the form of what is made.
  history.replaceState(null, "", `#app/${encodeURIComponent(client.id)}`);
  goTo(`app/${encodeURIComponent(client.id)}`, { title: line(words.created.title, { name: nameOf(client) }), text: words.created.text });
}

// ---- one of them ---------------------------------------------------------------------------

async function details(id, isCurrent) {
  const answer = await call("GET", `${PATH}/${encodeURIComponent(id)}`);
  if (!isCurrent()) return;
  const back = el("p", {}, el("a", { href: "#" }, words.back));
  if (answer.status === 404 || answer.status === 400) {
    present(words.heading, empty(words.missing, back));
    return;
  }
  if (answer.status !== 200) {
    fail(answer);
    return;
  }
  const client = answer.body;
  const kind = kindOf(client);
  const secret = fresh?.id === client.id ? fresh.secret : null;
  fresh = null;
  const part = (title, ...nodes) => el("section", {}, el("h2", {}, title), ...nodes);
  present(
    nameOf(client),
    facts(words.kinds[kind], filled(words.made, { time: instant(client.createdAt) })),
    el("div", { class: "values" }, copyable(words.id, client.client_id, words.idHint), copyable(words.issuer, issuer), ...secretPart(client, secret)),
    part(words.snippets, el("p", { class: "hint" }, words.snippetsHint), snippetTabs({ client, kind, issuer, secret })),
    part(words.edit, settings(client, kind)),
    part(words.remove, el("p", {}, words.removeText), el("div", { class: "actions start" }, button(words.remove, () => remove(client), "quiet-danger"))),
    back,
  );
}

function secretPart(client, secret) {
  if (client.type !== "confidential") {
    return [el("div", { class: "copyable" }, el("p", { class: "label" }, words.secret), el("p", { class: "hint" }, words.noSecret))];
  }
  const rotate = el("div", { class: "actions start" }, button(words.rotate, () => replaceSecret(client)));
  if (secret) {
    const shown = copyable(words.secret, secret, words.secretOnce);
    shown.classList.add("fresh");
    return [shown];
  }
  return [el("div", { class: "copyable" }, el("p", { class: "label" }, words.secret), el("p", { class: "hint" }, words.secretHidden), rotate)];
}

async function replaceSecret(client) {
  const select = el("select", { id: "overlap" });
  for (const [seconds, text] of Object.entries(words.rotateAsk.overlaps)) select.append(el("option", { value: seconds }, text));
  const field = el("div", { class: "field" }, el("label", { for: "overlap" }, words.rotateAsk.overlap), select);
  // The value is text, so that no overlap is a choice too.
  const overlap = await ask({
    title: line(words.rotateAsk.title, { name: nameOf(client) }),
    text: words.rotateAsk.text,
    action: words.rotate,
    choice: { field, value: () => select.value },
  });
  if (overlap === false) return;
  const answer = await call("POST", `${PATH}/${encodeURIComponent(client.id)}/secret`, { overlap_seconds: Number(overlap) });
  if (!succeeded(answer)) {
    refuse(answer);
    return;
  }
  fresh = { id: client.id, secret: answer.body.client_secret };
  const until = answer.body.old_secret_until;
  const text = until ? line(words.rotated.overlapping, { time: new Date(until).toLocaleString() }) : words.rotated.text;
  goTo(`app/${encodeURIComponent(client.id)}`, { title: words.rotated.title, text });
}

function settings(client, kind) {
  const fields = clientFields(kind, entered.account, {
    name: client.name,
    redirects: KINDS[kind].redirect ? client.redirect_uris ?? [] : undefined,
    scopes: client.allowed_scopes ?? [],
  });
  const form = el("form", { method: "post", novalidate: true }, ...fields.nodes, el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, words.save)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(() => save(client, fields));
  });
  return form;
}

async function save(client, fields) {
  unsay();
  const read = fields.read();
  if (!read) return;
  const answer = await call("PATCH", `${PATH}/${encodeURIComponent(client.id)}`, read);
  if (succeeded(answer)) goTo(`app/${encodeURIComponent(client.id)}`, words.saved);
  else refuse(answer);
}

async function remove(client) {
  const name = nameOf(client);
  if (!(await ask({ title: line(words.removeAsk.title, { name }), text: words.removeAsk.text, action: words.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(client.id)}`);
  if (succeeded(answer)) goTo("", { title: line(words.removed.title, { name }), text: words.removed.text });
  else refuse(answer);
}
