// View of the remote connections, where this server is the client: connect, status, reconnect, delete.

import { renderAdminView } from "./admin-list.js";
import { call, succeeded } from "./api.js";
import { confirmAction } from "./dialog.js";
import { formatNodes, formatText, messages } from "./i18n.js";
import { emptyState, facts, listItem, showError, showErrorPage } from "./layout.js";
import { redirectTo } from "./navigation.js";
import { button, el, hideMessage, showMessage, timeElement, withButtonsDisabled } from "./page.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/oauth/remote/connections";
const strings = messages.admin.connection;

/** Authentication methods at the token endpoint of a service. */
const METHODS = ["none", "client_secret_basic", "client_secret_post"];

/** Renders the connections and the form for a new one. */
export async function connections(view) {
  const answer = await call("GET", PATH);
  if (!view.isCurrent()) return;
  const about = el("p", { class: "lead" }, messages.admin.connectionsAbout);
  if (answer.status === 404 || answer.status === 405) {
    renderAdminView("connections", messages.admin.connections, about, emptyState(strings.unsupported));
    return;
  }
  if (answer.status !== 200) {
    showErrorPage(answer);
    return;
  }
  const found = answer.body.connections ?? [];
  const reload = () => connections(view);
  const list = found.length === 0 ? emptyState(strings.empty) : el("ul", { class: "items" }, ...found.map((connection) => connectionItem(connection, reload)));
  renderAdminView("connections", messages.admin.connections, about, list, createForm());
}

function connectionLabel(connection) {
  return stripInvisible(connection.resource_name) || connection.resource_url;
}

function connectionItem(connection, reload) {
  const name = connectionLabel(connection);
  const { status } = connection;
  const tone = { connected: "good", error: "warn" }[status] ?? "over";
  const connect = button(status === "connected" ? strings.reconnect : strings.connect, () => authorizeConnection(connection.id));
  connect.setAttribute("aria-label", `${connect.textContent}: ${name}`);
  connect.setAttribute("data-guarded", "");
  const remove = button(strings.remove, () => removeConnection(connection, reload), "quiet-danger");
  remove.setAttribute("aria-label", formatText(strings.removeNamed, { name }));
  const error = connection.last_error ? el("p", { class: "note" }, formatText(strings.lastError, { description: stripInvisible(connection.last_error).slice(0, 300) })) : null;
  return listItem(
    [el("bdi", {}, name), " ", el("span", { class: `mark ${tone}` }, strings.statuses[status] ?? status)],
    [
      name === connection.resource_url ? null : el("p", { class: "facts" }, el("code", {}, connection.resource_url)),
      facts(
        strings.modes[connection.mode] ?? connection.mode,
        formatNodes(messages.admin.createdAt, { time: timeElement(connection.createdAt) }),
        connection.token_expiry ? formatNodes(strings.tokenExpiresAt, { time: timeElement(connection.token_expiry) }) : null,
      ),
      error,
    ],
    connect,
    editButton(connection, reload),
    remove,
  );
}

// ---- change --------------------------------------------------------------------------------

/** Returns a button that shows a form for scope, secret and authentication below the connection. */
function editButton(connection, reload) {
  const edit = button(strings.edit, () => {
    const item = edit.closest(".item");
    const present = item.querySelector("form");
    if (present) {
      present.remove();
      return;
    }
    const form = editForm(connection, reload);
    item.append(form);
    form.querySelector("input").focus();
  });
  edit.setAttribute("aria-label", formatText(strings.editNamed, { name: connectionLabel(connection) }));
  return edit;
}

function editForm(connection, reload) {
  const id = connection.id;
  const scope = el("input", { id: `scope-${id}`, type: "text", autocomplete: "off", spellcheck: "false", value: connection.scope ?? "" });
  const secret = el("input", { id: `secret-${id}`, type: "password", autocomplete: "off" });
  const method = el("select", { id: `method-${id}` }, el("option", { value: "" }, strings.unchanged), ...METHODS.map((name) => el("option", { value: name }, name)));
  const field = (input, label, hint) => el("div", { class: "field" }, el("label", { for: input.id }, label), input, ...(hint ? [el("p", { class: "hint" }, hint)] : []));
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim edit" },
    field(scope, strings.scope, strings.editScopeHint),
    field(secret, strings.clientSecret, strings.editSecretHint),
    field(method, strings.authMethod),
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, strings.save)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => saveConnection(connection, { scope, secret, method }, reload));
  });
  return form;
}

async function saveConnection(connection, { scope, secret, method }, reload) {
  hideMessage();
  const changes = {};
  if (scope.value.trim() !== (connection.scope ?? "")) changes.scope = scope.value.trim();
  if (secret.value !== "") changes.client_secret = secret.value;
  if (method.value !== "") changes.token_endpoint_auth_method = method.value;
  const answer = await call("PATCH", `${PATH}/${encodeURIComponent(connection.id)}`, changes);
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  await reload();
  showMessage(strings.saved, "good");
}

/** Redirects the browser to the service; the service redirects to /oauth/remote/callback. */
async function authorizeConnection(id) {
  const answer = await call("POST", `${PATH}/${encodeURIComponent(id)}/authorize`);
  if (!succeeded(answer)) {
    showError(answer);
    return false;
  }
  if (redirectTo(answer.body.authorization_url)) return true;
  showMessage(strings.unsafeAddress);
  return false;
}

async function removeConnection(connection, reload) {
  const name = connectionLabel(connection);
  if (!(await confirmAction({ title: formatText(strings.removeQuestion.title, { name }), text: strings.removeQuestion.text, action: strings.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(connection.id)}`);
  if (succeeded(answer) || answer.status === 404) {
    await reload();
    showMessage(strings.removed, "good");
  } else {
    showError(answer);
  }
}

// ---- creation ------------------------------------------------------------------------------

function createForm() {
  const field = (id, label, type, hint) => {
    const input = el("input", { id, type, autocomplete: "off", spellcheck: "false", "aria-describedby": hint ? `${id}-hint` : undefined });
    const note = hint ? [el("p", { class: "hint", id: `${id}-hint` }, hint)] : [];
    return { input, node: el("div", { class: "field" }, el("label", { for: id }, label), input, ...note) };
  };
  const resource = field("resource", strings.resource, "url", strings.resourceHint);
  const scope = field("scope", strings.scope, "text", strings.scopeHint);
  const manual = {
    client_id: field("client-id", strings.clientId, "text"),
    client_secret: field("client-secret", strings.clientSecret, "password"),
    authorization_endpoint: field("authorization-endpoint", strings.authorizationEndpoint, "url"),
    token_endpoint: field("token-endpoint", strings.tokenEndpoint, "url"),
  };
  const manualFields = el(
    "details",
    {},
    el("summary", {}, strings.manual),
    el("div", { class: "fields" }, el("p", { class: "hint" }, strings.manualHint), ...Object.values(manual).map(({ node }) => node)),
  );
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    resource.node,
    scope.node,
    manualFields,
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, strings.connect)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => createConnection(resource.input, scope.input, manualFields.open ? manual : null));
  });
  return el("section", { "aria-labelledby": "create" }, el("h2", { id: "create" }, strings.create), form);
}

async function createConnection(resource, scope, manual) {
  hideMessage();
  resource.removeAttribute("aria-invalid");
  const request = { resource_url: resource.value.trim() };
  if (request.resource_url === "") {
    resource.setAttribute("aria-invalid", "true");
    showMessage(strings.resourceMissing);
    return false;
  }
  if (scope.value.trim() !== "") request.scope = scope.value.trim();
  if (manual) {
    request.mode = "manual";
    request.manual = {};
    for (const [name, { input }] of Object.entries(manual)) {
      if (input.value.trim() !== "") request.manual[name] = input.value.trim();
    }
  }
  const answer = await call("POST", PATH, request);
  if (!succeeded(answer)) {
    showError(answer);
    return false;
  }
  return authorizeConnection(answer.body.id);
}
