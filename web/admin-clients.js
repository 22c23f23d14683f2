// Views of the clients: search, details, changes, revocation, deletion.

import { blockPart, blockedLink } from "./admin-blocked.js";
import { fetchList, renderAdminView, renderList, sortHref, viewHref } from "./admin-list.js";
import { dataTable } from "./admin-table.js";
import { revokeAllButton } from "./admin-tokens.js";
import { call, succeeded } from "./api.js";
import { errorsPart } from "./client-errors.js";
import { clientFields } from "./client-form.js";
import { KINDS, kindOf, pkceChoice, pushingChoice } from "./client-kinds.js";
import { pageFields } from "./client-pages.js";
import { contradictionNotes, protectionFacts, protectionFields } from "./client-protection.js";
import { copyable } from "./copyable.js";
import { confirmAction } from "./dialog.js";
import { formatText, messages } from "./i18n.js";
import { emptyState, navigateTo, showError, showErrorPage } from "./layout.js";
import { button, el, hideMessage, showMessage, timeElement, withButtonsDisabled } from "./page.js";
import { accountLink, fetchPeople } from "./people.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/oauth/clients";
const strings = messages.admin;

function clientLabel(found) {
  return stripInvisible(found.name) || found.client_id;
}

/** Renders the clients that match the filter. */
export async function clients(view) {
  // Without `page`, the profile storyden returns all clients.
  const parameters = new URLSearchParams(view.parameters);
  if (!parameters.has("page")) parameters.set("page", "1");
  const body = await fetchList(PATH, { ...view, parameters });
  if (!body) return;
  const found = body.clients ?? [];
  await fetchPeople(found.map((one) => one.account_id));
  if (!view.isCurrent()) return;
  const table = dataTable(strings.clients, {
    columns: [
      { label: strings.table.application },
      { label: strings.details.type },
      { label: strings.table.owner },
      { label: messages.clients.id },
      { label: strings.table.created, sort: "created" },
    ],
    rows: found.map((one) => clientCells(one, view.account)),
    sorted: parameters.get("sort") ?? "created",
    hrefOf: sortHref("clients", view.parameters),
  });
  renderList("clients", view.parameters, {
    title: strings.clients,
    about: strings.clientsAbout,
    fields: [
      { name: "q", label: strings.search },
      { name: "account_id", label: strings.account },
    ],
    body,
    table: found.length > 0 ? table : null,
    more: [blockedLink()],
  });
}

function clientCells(found, me) {
  const title = [el("a", { href: `#client/${encodeURIComponent(found.id)}` }, el("bdi", {}, clientLabel(found)))];
  if (found.scope_policy === "inherit") title.push(" ", el("span", { class: "mark warn" }, strings.inherits));
  return [
    title,
    messages.clients.kinds[kindOf(found)],
    accountLink(found.account_id, me),
    el("code", {}, found.client_id),
    timeElement(found.createdAt),
  ];
}

/** Renders one client. */
export async function client(view) {
  const { account: me, id, isCurrent } = view;
  const answer = await call("GET", `${PATH}/${encodeURIComponent(id)}`);
  if (!isCurrent()) return;
  const back = el("p", {}, el("a", { href: "#clients" }, strings.details.back));
  if (answer.status === 404) {
    renderAdminView("clients", strings.clients, emptyState(messages.clients.notFound, back));
    return;
  }
  if (answer.status !== 200) {
    showErrorPage(answer);
    return;
  }
  const listed = await call("GET", "/api/admin/oauth/resources");
  if (!isCurrent()) return;
  const resources = listed.body.resources ?? []; // none with an error: scopes of resources are then not offered
  const found = answer.body;
  const errors = await errorsPart(`${PATH}/${encodeURIComponent(id)}/errors`);
  if (!isCurrent()) return;
  const metadata = await call("GET", "/.well-known/openid-configuration");
  if (!isCurrent()) return;
  const algorithms = metadata.body.id_token_signing_alg_values_supported ?? [];
  await fetchPeople([found.account_id]);
  if (!isCurrent()) return;
  const reload = () => client(view);
  const part = (title, ...nodes) => el("section", {}, el("h2", {}, title), ...nodes);
  const related = ["tokens", "devices", "audit"].map((name) =>
    el("li", {}, el("a", { href: viewHref(name, { client_id: found.client_id }) }, strings.details[name])),
  );
  renderAdminView(
    "clients",
    clientLabel(found),
    el("div", { class: "values" }, copyable(messages.clients.id, found.client_id), clientFacts(found, me)),
    ...contradictionNotes(found),
    part(strings.details.related, el("ul", { class: "links" }, ...related), el("div", { class: "actions start" }, revokeAllButton({ client_id: found.client_id }, reload))),
    errors,
    part(strings.details.settings, settingsForm(found, { me, resources, algorithms, reload })),
    ...[blockPart(found, clientLabel(found))].filter(Boolean),
    part(messages.clients.remove, el("p", {}, messages.clients.removeText), el("div", { class: "actions start" }, button(messages.clients.remove, () => removeClient(found), "quiet-danger"))),
    back,
  );
}

function clientFacts(found, me) {
  const { details } = strings;
  const rows = [
    [details.type, details.types[found.type] ?? found.type],
    [details.grants, (found.allowed_grants ?? []).map((name) => details.grantNames[name] ?? name).join(", ")],
    [details.policy, details.policies[found.scope_policy] ?? found.scope_policy],
    [details.owner, accountLink(found.account_id, me)],
    [details.made, timeElement(found.createdAt)],
    [details.changed, timeElement(found.updatedAt)],
  ];
  rows.push(...protectionFacts(found));
  if (pkceChoice(found) === false) rows.push([messages.clients.pkce.legend, `${messages.clients.pkce.exempt} ${messages.clients.pkce.cost}`]);
  return el("dl", {}, ...rows.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)]));
}

function settingsForm(found, { me, resources, algorithms, reload }) {
  const kind = kindOf(found);
  const redirects = found.redirect_uris ?? [];
  const fields = clientFields(kind, me, {
    name: found.name,
    redirects: KINDS[kind].redirect || redirects.length > 0 ? redirects : undefined,
    scopes: found.allowed_scopes ?? [],
    resources,
    pkce: found.fapi ? undefined : pkceChoice(found), // implied by FAPI 2.0
    pushing: found.fapi ? undefined : pushingChoice(found),
  });
  const pages = pageFields(found);
  const protection = protectionFields(found, algorithms);
  const form = el("form", { method: "post", novalidate: true }, ...fields.nodes, ...pages.nodes, ...protection.nodes, el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, messages.clients.save)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => saveClient(found, { fields, pages, protection }, reload));
  });
  return form;
}

async function saveClient(found, { fields, pages, protection }, reload) {
  hideMessage();
  const read = fields.read();
  const changed = read && protection.read();
  if (!changed) return;
  const answer = await call("PATCH", `${PATH}/${encodeURIComponent(found.id)}`, { ...read, ...pages.read(), ...changed });
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  await reload();
  showMessage(messages.clients.saved, "good");
}

async function removeClient(found) {
  const name = clientLabel(found);
  const { removeQuestion: removeAsk, removed } = messages.clients;
  if (!(await confirmAction({ title: formatText(removeAsk.title, { name }), text: removeAsk.text, action: messages.clients.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(found.id)}`);
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  navigateTo("clients", { title: formatText(removed.title, { name }), text: removed.text });
}
