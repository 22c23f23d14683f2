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
    remove,
  );
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
