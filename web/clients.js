// The developer page: create, change and delete clients, rotate secrets, code snippets.

import { hasPermission } from "./account.js";
import { call, errorDetail, succeeded } from "./api.js";
import { errorsPart } from "./client-errors.js";
import { clientFields } from "./client-form.js";
import { KINDS, kindOf, pkceChoice, pushingChoice } from "./client-kinds.js";
import { pageFields } from "./client-pages.js";
import { contradictionNotes, protectionFields } from "./client-protection.js";
import { copyable } from "./copyable.js";
import { confirmAction } from "./dialog.js";
import { formatDateTime, formatNodes, formatText, messages } from "./i18n.js";
import { emptyState, facts, idFromView, listItem, navigateTo, renderView, requireSession, showError, showErrorPage, startViews } from "./layout.js";
import { button, el, hideMessage, linkButton, timeElement, withButtonsDisabled } from "./page.js";
import { snippetTabs } from "./snippets.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/auth/oauth/clients";
const strings = messages.clients;
let issuer = location.origin; // replaced by the issuer of the discovery document
let resources = []; // the resources whose scopes the account may grant
let algorithms = []; // that the server signs with, from the discovery document
let newSecret = null; // `{ id, secret }` of a new secret, shown once

const session = await requireSession("clients");
if (session) {
  const metadata = await call("GET", "/.well-known/openid-configuration");
  if (typeof metadata.body.issuer === "string") issuer = metadata.body.issuer;
  const grantable = await call("GET", "/api/auth/oauth/resources");
  resources = grantable.body.resources ?? []; // none with an error: the account may own no applications
  algorithms = metadata.body.id_token_signing_alg_values_supported ?? [];
  startViews((name, _, isCurrent) => {
    if (name === "new") return renderCreateForm();
    if (name.startsWith("app/")) return renderClient(idFromView(name), isCurrent);
    return renderClients(isCurrent);
  });
}

function mayCreate() {
  return !session.account || hasPermission(session.account, "USE_OAUTH_CLIENTS");
}

function clientLabel(client) {
  return stripInvisible(client.name) || client.client_id;
}

// ---- list ----------------------------------------------------------------------------------

async function renderClients(isCurrent) {
  const answer = await call("GET", PATH);
  if (!isCurrent()) return;
  const about = el("p", { class: "lead" }, strings.about);
  if (answer.status === 403) {
    // In the profile storyden only administrators may create clients: show the API's description.
    const { title, text } = strings.notAllowed;
    renderView(strings.heading, about, emptyState({ title, text: mayCreate() ? errorDetail(answer, text) : text }));
    return;
  }
  if (answer.status !== 200) {
    showErrorPage(answer);
    return;
  }
  const clients = (answer.body.clients ?? []).toReversed(); // newest first
  const create = mayCreate() ? el("div", { class: "actions start" }, linkButton(strings.create, "#new")) : el("p", { class: "note" }, strings.notAllowed.text);
  if (clients.length === 0) renderView(strings.heading, about, mayCreate() ? emptyState(strings.empty, create) : emptyState(strings.notAllowed));
  else renderView(strings.heading, about, create, el("ul", { class: "items" }, ...clients.map(clientItem)));
}

function clientItem(client) {
  const link = el("a", { href: `#app/${encodeURIComponent(client.id)}` }, el("bdi", {}, clientLabel(client)));
  return listItem(link, [
    facts(strings.kinds[kindOf(client)], formatNodes(strings.createdAt, { time: timeElement(client.createdAt) })),
    el("p", { class: "facts" }, el("code", {}, client.client_id)),
  ]);
}

// ---- creation ------------------------------------------------------------------------------

function renderCreateForm() {
  const chosen = { kind: "website", fields: null };
  const place = el("div", { class: "fields" });
  const choose = (kind) => {
    const { scopes, redirect, type, grants } = KINDS[kind];
    const typed = place.querySelector("#name")?.value ?? "";
    chosen.kind = kind;
    const pkce = pkceChoice({ type, allowed_grants: grants, pkce_required: true });
    chosen.fields = clientFields(kind, session.account, { name: typed, redirects: redirect ? [] : undefined, scopes, resources, example: redirect, pkce });
    place.replaceChildren(...chosen.fields.nodes);
  };
  const cards = Object.keys(KINDS).map((kind) => {
    const radio = el("input", { type: "radio", name: "kind", value: kind, checked: kind === chosen.kind });
    radio.addEventListener("change", () => choose(kind));
    const { title, text } = strings.presets[kind];
    return el("label", { class: "card-choice" }, radio, el("span", {}, el("strong", {}, title), el("span", { class: "hint" }, text)));
  });
  choose(chosen.kind);
  const form = el(
    "form",
    { method: "post", novalidate: true },
    el("fieldset", { class: "choices" }, el("legend", {}, strings.kindLegend), ...cards),
    place,
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, strings.submit), el("a", { class: "button", href: "#" }, messages.common.cancel)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => createClient(chosen));
  });
  renderView(strings.createHeading, form);
}

async function createClient({ kind, fields }) {
  hideMessage();
  const read = fields.read();
  if (!read) return;
  const { type, application, grants, method } = KINDS[kind];
  const answer = await call("POST", PATH, { pkce_required: true, ...read, type, application_type: application, allowed_grants: grants, token_endpoint_auth_method: method });
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  const { client, client_secret: secret } = answer.body;
  newSecret = secret ? { id: client.id, secret } : null;
  // Replace the history entry: the back button leads to the list, not to the submitted form.
  history.replaceState(null, "", `#app/${encodeURIComponent(client.id)}`);
  navigateTo(`app/${encodeURIComponent(client.id)}`, { title: formatText(strings.created.title, { name: clientLabel(client) }), text: strings.created.text });
}

// ---- details -------------------------------------------------------------------------------

async function renderClient(id, isCurrent) {
  const answer = await call("GET", `${PATH}/${encodeURIComponent(id)}`);
  if (!isCurrent()) return;
  const back = el("p", {}, el("a", { href: "#" }, strings.back));
  if (answer.status === 404 || answer.status === 400) {
    renderView(strings.heading, emptyState(strings.notFound, back));
    return;
  }
  if (answer.status !== 200) {
    showErrorPage(answer);
    return;
  }
  const client = answer.body;
  const errors = await errorsPart(`${PATH}/${encodeURIComponent(id)}/errors`);
  if (!isCurrent()) return;
  const kind = kindOf(client);
  const secret = newSecret?.id === client.id ? newSecret.secret : null;
  newSecret = null;
  const part = (title, ...nodes) => el("section", {}, el("h2", {}, title), ...nodes);
  renderView(
    clientLabel(client),
    facts(strings.kinds[kind], formatNodes(strings.createdAt, { time: timeElement(client.createdAt) })),
    el("div", { class: "values" }, copyable(strings.id, client.client_id, strings.idHint), copyable(strings.issuer, issuer), ...secretPart(client, secret)),
    ...(pkceChoice(client) === false ? [el("p", { class: "note", id: "pkce-note" }, `${strings.pkce.exempt} ${strings.pkce.cost}`)] : []),
    ...contradictionNotes(client),
    part(strings.snippets, el("p", { class: "hint" }, strings.snippetsHint), snippetTabs({ client, kind, issuer, secret })),
    errors,
    part(strings.edit, settingsForm(client, kind)),
    part(strings.remove, el("p", {}, strings.removeText), el("div", { class: "actions start" }, button(strings.remove, () => removeClient(client), "quiet-danger"))),
    back,
  );
}

function secretPart(client, secret) {
  if (client.type !== "confidential") {
    return [el("div", { class: "copyable" }, el("p", { class: "label" }, strings.secret), el("p", { class: "hint" }, strings.noSecret))];
  }
  if (client.token_endpoint_auth_method === "private_key_jwt") {
    return [el("div", { class: "copyable" }, el("p", { class: "label" }, strings.secret), el("p", { class: "hint" }, strings.keyInstead))];
  }
  const rotate = el("div", { class: "actions start" }, button(strings.rotate, () => replaceSecret(client)));
  if (secret) {
    const shown = copyable(strings.secret, secret, strings.secretOnce);
    shown.classList.add("fresh");
    return [shown];
  }
  return [el("div", { class: "copyable" }, el("p", { class: "label" }, strings.secret), el("p", { class: "hint" }, strings.secretHidden), rotate)];
}

async function replaceSecret(client) {
  const select = el("select", { id: "overlap" });
  for (const [seconds, text] of Object.entries(strings.rotateQuestion.overlaps)) select.append(el("option", { value: seconds }, text));
  const field = el("div", { class: "field" }, el("label", { for: "overlap" }, strings.rotateQuestion.overlap), select);
  // The value is a string, so that "0" (no overlap) is not false.
  const overlap = await confirmAction({
    title: formatText(strings.rotateQuestion.title, { name: clientLabel(client) }),
    text: strings.rotateQuestion.text,
    action: strings.rotate,
    choice: { field, value: () => select.value },
  });
  if (overlap === false) return;
  const answer = await call("POST", `${PATH}/${encodeURIComponent(client.id)}/secret`, { overlap_seconds: Number(overlap) });
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  newSecret = { id: client.id, secret: answer.body.client_secret };
  const until = answer.body.old_secret_until;
  const text = until ? formatText(strings.rotated.overlapping, { time: formatDateTime(new Date(until)) }) : strings.rotated.text;
  navigateTo(`app/${encodeURIComponent(client.id)}`, { title: strings.rotated.title, text });
}

function settingsForm(client, kind) {
  const fields = clientFields(kind, session.account, {
    name: client.name,
    redirects: KINDS[kind].redirect ? client.redirect_uris ?? [] : undefined,
    scopes: client.allowed_scopes ?? [],
    resources,
    pkce: client.fapi ? undefined : pkceChoice(client), // implied by FAPI 2.0
    pushing: client.fapi ? undefined : pushingChoice(client),
  });
  const pages = pageFields(client);
  const protection = protectionFields(client, algorithms);
  const form = el("form", { method: "post", novalidate: true }, ...fields.nodes, ...pages.nodes, ...protection.nodes, el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, strings.save)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => saveClient(client, { fields, pages, protection }));
  });
  return form;
}

async function saveClient(client, { fields, pages, protection }) {
  hideMessage();
  const read = fields.read();
  const changed = read && protection.read();
  if (!changed) return;
  const answer = await call("PATCH", `${PATH}/${encodeURIComponent(client.id)}`, { ...read, ...pages.read(), ...changed });
  if (succeeded(answer)) navigateTo(`app/${encodeURIComponent(client.id)}`, strings.saved);
  else showError(answer);
}

async function removeClient(client) {
  const name = clientLabel(client);
  if (!(await confirmAction({ title: formatText(strings.removeQuestion.title, { name }), text: strings.removeQuestion.text, action: strings.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(client.id)}`);
  if (succeeded(answer)) navigateTo("", { title: formatText(strings.removed.title, { name }), text: strings.removed.text });
  else showError(answer);
}
