// Services that this server signs in to: connect, see how it is, connect again, delete.

import { presentPart } from "./admin_list.js";
import { call, succeeded } from "./api.js";
import { visible } from "./asker.js";
import { ask } from "./dialog.js";
import { empty, facts, fail, item, refuse } from "./frame.js";
import { button, el, instant, once, say, unsay } from "./page.js";
import { leave } from "./ways.js";
import { filled, line, texts } from "./words.js";

const PATH = "/api/admin/oauth/remote/connections";
const words = texts.admin.connection;

/** Shows the connections and a form for another one. */
export async function connections(view) {
  const answer = await call("GET", PATH);
  if (!view.isCurrent()) return;
  const about = el("p", { class: "lead" }, texts.admin.connectionsAbout);
  if (answer.status === 404 || answer.status === 405) {
    presentPart("connections", texts.admin.connections, about, empty(words.absent));
    return;
  }
  if (answer.status !== 200) {
    fail(answer);
    return;
  }
  const found = answer.body.connections ?? [];
  const again = () => connections(view);
  const list = found.length === 0 ? empty(words.empty) : el("ul", { class: "items" }, ...found.map((connection) => shown(connection, again)));
  presentPart("connections", texts.admin.connections, about, list, creation());
}

function nameOf(connection) {
  return visible(connection.resource_name) || connection.resource_url;
}

function shown(connection, again) {
  const name = nameOf(connection);
  const { status } = connection;
  const tone = { connected: "good", error: "warn" }[status] ?? "over";
  const connect = button(status === "connected" ? words.reconnect : words.connect, () => authorize(connection.id));
  connect.setAttribute("aria-label", `${connect.textContent}: ${name}`);
  connect.setAttribute("data-guarded", "");
  const remove = button(words.remove, () => removal(connection, again), "quiet-danger");
  remove.setAttribute("aria-label", line(words.removeNamed, { name }));
  const said = connection.last_error ? el("p", { class: "note" }, line(words.lastError, { said: visible(connection.last_error).slice(0, 300) })) : null;
  return item(
    [el("bdi", {}, name), " ", el("span", { class: `mark ${tone}` }, words.statuses[status] ?? status)],
    [
      name === connection.resource_url ? null : el("p", { class: "facts" }, el("code", {}, connection.resource_url)),
      facts(
        words.modes[connection.mode] ?? connection.mode,
        filled(texts.admin.made, { time: instant(connection.createdAt) }),
        connection.token_expiry ? filled(words.tokenEnds, { time: instant(connection.token_expiry) }) : null,
      ),
      said,
    ],
    connect,
    remove,
  );
}

/** Sends the browser to the service, which sends it back to /oauth/remote/callback. */
async function authorize(id) {
  const answer = await call("POST", `${PATH}/${encodeURIComponent(id)}/authorize`);
  if (!succeeded(answer)) {
    refuse(answer);
    return false;
  }
  if (leave(answer.body.authorization_url)) return true;
  say(words.cannotGo);
  return false;
}

async function removal(connection, again) {
  const name = nameOf(connection);
  if (!(await ask({ title: line(words.removeAsk.title, { name }), text: words.removeAsk.text, action: words.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(connection.id)}`);
  if (succeeded(answer) || answer.status === 404) {
    await again();
    say(words.removed, "good");
  } else {
    refuse(answer);
  }
}

// ---- another one ---------------------------------------------------------------------------

function creation() {
  const field = (id, label, type, hint) => {
    const input = el("input", { id, type, autocomplete: "off", spellcheck: "false", "aria-describedby": hint ? `${id}-hint` : undefined });
    const note = hint ? [el("p", { class: "hint", id: `${id}-hint` }, hint)] : [];
    return { input, node: el("div", { class: "field" }, el("label", { for: id }, label), input, ...note) };
  };
  const resource = field("resource", words.resource, "url", words.resourceHint);
  const scope = field("scope", words.scope, "text", words.scopeHint);
  const manual = {
    client_id: field("client-id", words.clientId, "text"),
    client_secret: field("client-secret", words.clientSecret, "password"),
    authorization_endpoint: field("authorization-endpoint", words.authorizationEndpoint, "url"),
    token_endpoint: field("token-endpoint", words.tokenEndpoint, "url"),
  };
  const byHand = el(
    "details",
    {},
    el("summary", {}, words.byHand),
    el("div", { class: "fields" }, el("p", { class: "hint" }, words.byHandHint), ...Object.values(manual).map(({ node }) => node)),
  );
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    resource.node,
    scope.node,
    byHand,
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, words.connect)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(() => create(resource.input, scope.input, byHand.open ? manual : null));
  });
  return el("section", { "aria-labelledby": "create" }, el("h2", { id: "create" }, words.create), form);
}

async function create(resource, scope, manual) {
  unsay();
  resource.removeAttribute("aria-invalid");
  const wanted = { resource_url: resource.value.trim() };
  if (wanted.resource_url === "") {
    resource.setAttribute("aria-invalid", "true");
    say(words.noResource);
    return false;
  }
  if (scope.value.trim() !== "") wanted.scope = scope.value.trim();
  if (manual) {
    wanted.mode = "manual";
    wanted.manual = {};
    for (const [name, { input }] of Object.entries(manual)) {
      if (input.value.trim() !== "") wanted.manual[name] = input.value.trim();
    }
  }
  const answer = await call("POST", PATH, wanted);
  if (!succeeded(answer)) {
    refuse(answer);
    return false;
  }
  return authorize(answer.body.id);
}
