// Everybody's applications: find one, look at it, change it, end what it was given, delete it.

import { accountName, address, presentList, presentPart, read } from "./admin_list.js";
import { endButton } from "./admin_tokens.js";
import { call, succeeded } from "./api.js";
import { visible } from "./asker.js";
import { clientFields } from "./client_form.js";
import { KINDS, kindOf } from "./client_kinds.js";
import { ask } from "./dialog.js";
import { empty, facts, fail, goTo, item, refuse } from "./frame.js";
import { button, el, instant, once, say, unsay } from "./page.js";
import { copyable } from "./secret.js";
import { filled, line, texts } from "./words.js";

const PATH = "/api/admin/oauth/clients";
const words = texts.admin;

function nameOf(found) {
  return visible(found.name) || found.client_id;
}

/** Shows the applications that a filter finds. */
export async function clients(view) {
  // Asked for a page, each profile answers with one.
  const parameters = new URLSearchParams(view.parameters);
  if (!parameters.has("page")) parameters.set("page", "1");
  const body = await read(PATH, { ...view, parameters });
  if (!body) return;
  presentList("clients", view.parameters, {
    title: words.clients,
    about: words.clientsAbout,
    fields: [
      { name: "q", label: words.search },
      { name: "account_id", label: words.account },
    ],
    body,
    items: (body.clients ?? []).map((found) => shown(found, view.account)),
  });
}

function shown(found, me) {
  const title = [el("a", { href: `#client/${encodeURIComponent(found.id)}` }, el("bdi", {}, nameOf(found)))];
  if (found.scope_policy === "inherit") title.push(" ", el("span", { class: "mark warn" }, words.inherits));
  return item(title, [
    facts(
      texts.clients.kinds[kindOf(found)],
      filled(words.owner, { account: accountName(found.account_id, me) }),
      filled(words.made, { time: instant(found.createdAt) }),
    ),
    el("p", { class: "facts" }, el("code", {}, found.client_id)),
  ]);
}

/** Shows one application. */
export async function client(view) {
  const { account: me, id, isCurrent } = view;
  const answer = await call("GET", `${PATH}/${encodeURIComponent(id)}`);
  if (!isCurrent()) return;
  const back = el("p", {}, el("a", { href: "#clients" }, words.details.back));
  if (answer.status === 404) {
    presentPart("clients", words.clients, empty(texts.clients.missing, back));
    return;
  }
  if (answer.status !== 200) {
    fail(answer);
    return;
  }
  const found = answer.body;
  const again = () => client(view);
  const part = (title, ...nodes) => el("section", {}, el("h2", {}, title), ...nodes);
  const related = ["tokens", "devices", "audit"].map((name) =>
    el("li", {}, el("a", { href: address(name, { client_id: found.client_id }) }, words.details[name])),
  );
  presentPart(
    "clients",
    nameOf(found),
    el("div", { class: "values" }, copyable(texts.clients.id, found.client_id), about(found, me)),
    part(words.details.related, el("ul", { class: "links" }, ...related), el("div", { class: "actions start" }, endButton({ client_id: found.client_id }, again))),
    part(words.details.settings, settings(found, me, again)),
    part(texts.clients.remove, el("p", {}, texts.clients.removeText), el("div", { class: "actions start" }, button(texts.clients.remove, () => remove(found), "quiet-danger"))),
    back,
  );
}

function about(found, me) {
  const { details } = words;
  const rows = [
    [details.type, details.types[found.type] ?? found.type],
    [details.grants, (found.allowed_grants ?? []).map((name) => details.grantNames[name] ?? name).join(", ")],
    [details.policy, details.policies[found.scope_policy] ?? found.scope_policy],
    [details.owner, accountName(found.account_id, me)],
    [details.made, instant(found.createdAt)],
    [details.changed, instant(found.updatedAt)],
  ];
  return el("dl", {}, ...rows.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)]));
}

function settings(found, me, again) {
  const kind = kindOf(found);
  const redirects = found.redirect_uris ?? [];
  const fields = clientFields(kind, me, {
    name: found.name,
    redirects: KINDS[kind].redirect || redirects.length > 0 ? redirects : undefined,
    scopes: found.allowed_scopes ?? [],
  });
  const form = el("form", { method: "post", novalidate: true }, ...fields.nodes, el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, texts.clients.save)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(() => save(found, fields, again));
  });
  return form;
}

async function save(found, fields, again) {
  unsay();
  const changes = fields.read();
  if (!changes) return;
  const answer = await call("PATCH", `${PATH}/${encodeURIComponent(found.id)}`, changes);
  if (!succeeded(answer)) {
    refuse(answer);
    return;
  }
  await again();
  say(texts.clients.saved, "good");
}

async function remove(found) {
  const name = nameOf(found);
  const { removeAsk, removed } = texts.clients;
  if (!(await ask({ title: line(removeAsk.title, { name }), text: removeAsk.text, action: texts.clients.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(found.id)}`);
  if (!succeeded(answer)) {
    refuse(answer);
    return;
  }
  goTo("clients", { title: line(removed.title, { name }), text: removed.text });
}
