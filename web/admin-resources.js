// View of the resources beside this community's own API: add, change scopes and roles, remove.

import { fetchList, renderAdminView } from "./admin-list.js";
import { call, succeeded } from "./api.js";
import { codeBlock } from "./copyable.js";
import { confirmAction } from "./dialog.js";
import { formatNodes, formatText, messages } from "./i18n.js";
import { emptyState, facts, listItem, showError } from "./layout.js";
import { button, el, hideMessage, showMessage, withButtonsDisabled } from "./page.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/oauth/resources";
const strings = messages.admin.resource;

/** Renders the resources and the form for a new one. */
export async function resources(view) {
  const body = await fetchList(PATH, { ...view, parameters: new URLSearchParams() });
  if (!body) return;
  const { resources: found, roles } = body;
  const page = { roles, reload: () => resources(view) };
  const about = el("p", { class: "lead" }, messages.admin.resourcesAbout);
  const list = found.length === 0 ? emptyState(strings.empty) : el("ul", { class: "items" }, ...found.map((resource) => resourceItem(resource, page)));
  renderAdminView("resources", messages.admin.resources, about, list, resourceForm(page));
}

function resourceLabel(resource) {
  return stripInvisible(resource.name) || resource.url;
}

function resourceItem(resource, page) {
  const name = resourceLabel(resource);
  const lines = [
    name === resource.url ? null : el("p", { class: "facts" }, el("code", {}, resource.url)),
    facts(resource.scopes.length === 0 ? strings.noScopes : null, resource.id ? null : strings.fromSettings, resource.server_client_id ? formatNodes(strings.servedBy, { client: el("code", {}, stripInvisible(resource.server_client_id)) }) : null),
    resource.scopes.length === 0 ? null : el("ul", {}, ...resource.scopes.map((scope) => scopeLine(scope, page.roles))),
    metadataDetails(resource),
  ];
  if (!resource.id) return listItem(el("bdi", {}, name), lines);
  const edit = button(strings.edit, () => editResource(resource, page));
  edit.setAttribute("aria-label", formatText(strings.change, { name }));
  const remove = button(strings.remove, () => removeResource(resource, page), "quiet-danger");
  remove.setAttribute("aria-label", formatText(strings.removeNamed, { name }));
  return listItem(el("bdi", {}, name), lines, edit, remove);
}

function scopeLine(scope, roles) {
  const names = scope.role_ids.map((id) => roles.find((role) => role.id === id)?.name ?? id);
  return el("li", {}, el("code", {}, scope.name), ` ${stripInvisible(scope.description)} (${formatText(strings.roles, { roles: names.map(stripInvisible).join(", ") })})`);
}

function metadataDetails(resource) {
  const hint = resource.metadata_url ? [el("p", { class: "hint" }, formatText(strings.metadataHint, { url: resource.metadata_url }))] : [];
  return el("details", {}, el("summary", {}, strings.metadata), ...hint, codeBlock(JSON.stringify(resource.metadata, null, 2), strings.metadata));
}

async function removeResource(resource, page) {
  const name = resourceLabel(resource);
  if (!(await confirmAction({ title: formatText(strings.removeQuestion.title, { name }), text: strings.removeQuestion.text, action: strings.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(resource.id)}`);
  if (succeeded(answer) || answer.status === 404) {
    await page.reload();
    showMessage(strings.removed, "good");
  } else {
    showError(answer);
  }
}

// ---- creation and change -------------------------------------------------------------------

/** Replaces the form at the end of the view by one for an existing resource. */
function editResource(resource, page) {
  const form = resourceForm(page, resource);
  document.querySelector("#resource-form").replaceWith(form);
  form.querySelector("h2").focus();
}

function resourceForm(page, resource) {
  const field = (id, label, input, hint) => {
    input.id = id;
    input.setAttribute("aria-describedby", `${id}-hint`);
    return el("div", { class: "field" }, el("label", { for: id }, label), input, el("p", { class: "hint", id: `${id}-hint` }, hint));
  };
  const text = (type) => el("input", { type, autocomplete: "off", spellcheck: "false" });
  const inputs = { url: text("url"), name: text("text"), server: text("text"), scopes: el("textarea", { rows: "4", spellcheck: "false", placeholder: strings.scopesExample }) };
  if (resource) {
    inputs.name.value = resource.name ?? "";
    inputs.server.value = resource.server_client_id ?? "";
    inputs.scopes.value = resource.scopes.map((scope) => formatScope(scope, page.roles)).join("\n");
  }
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    ...(resource ? [] : [field("resource-url", strings.url, inputs.url, strings.urlHint)]),
    field("resource-name", strings.name, inputs.name, strings.nameHint),
    field("resource-scopes", strings.scopes, inputs.scopes, strings.scopesHint),
    field("resource-server", strings.server, inputs.server, strings.serverHint),
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, resource ? strings.save : strings.add)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => saveResource(inputs, page, resource));
  });
  const title = resource ? formatText(strings.change, { name: resourceLabel(resource) }) : strings.create;
  return el("section", { id: "resource-form", "aria-labelledby": "resource-title" }, el("h2", { id: "resource-title", tabindex: "-1" }, title), form);
}

async function saveResource(inputs, page, resource) {
  hideMessage();
  const url = inputs.url.value.trim();
  if (!resource && url === "") {
    inputs.url.setAttribute("aria-invalid", "true");
    showMessage(strings.urlMissing);
    return false;
  }
  const scopes = [];
  for (const line of inputs.scopes.value.split("\n").filter((line) => line.trim() !== "")) {
    const scope = parseScope(line, page.roles);
    if (scope.unknownRole !== undefined) {
      inputs.scopes.setAttribute("aria-invalid", "true");
      const { title, text } = strings.unknownRole;
      showMessage({ title, text: formatText(text, { name: scope.unknownRole, roles: page.roles.map((role) => role.name).join(", ") }) });
      return false;
    }
    scopes.push(scope);
  }
  const body = { scopes };
  if (inputs.name.value.trim() !== "") body.name = inputs.name.value.trim();
  if (inputs.server.value.trim() !== "") body.server_client_id = inputs.server.value.trim();
  const answer = resource ? await call("PUT", `${PATH}/${encodeURIComponent(resource.id)}`, body) : await call("POST", PATH, { ...body, url });
  if (!succeeded(answer)) {
    showError(answer);
    return false;
  }
  await page.reload();
  showMessage(resource ? strings.saved : strings.added, "good");
  return false;
}

/** Formats a scope as a line of the form. */
function formatScope({ name, description, role_ids: ids }, roles) {
  const names = ids.map((id) => roles.find((role) => role.id === id)?.name ?? id);
  return `${name} [${names.join(", ")}] ${description}`.trim();
}

/** Parses a line of the form: `name [role, role] sentence`. */
function parseScope(line, roles) {
  const [, name, given, description] = /^\s*(\S+)\s*(?:\[([^\]]*)\])?\s*(.*)$/.exec(line);
  const scope = { name, description: description.trim() };
  if (given === undefined) return scope;
  scope.role_ids = [];
  for (const text of given.split(",").map((text) => text.trim()).filter((text) => text !== "")) {
    const role = roles.find((role) => role.name.toLowerCase() === text.toLowerCase() || role.id === text);
    if (!role) return { unknownRole: text };
    scope.role_ids.push(role.id);
  }
  return scope;
}
