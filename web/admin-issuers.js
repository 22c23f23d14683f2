// View of the trusted issuers of identity assertions: add, change, map subjects to members, remove.

import { fetchList, renderAdminView } from "./admin-list.js";
import { call, succeeded } from "./api.js";
import { confirmAction } from "./dialog.js";
import { formatNodes, formatText, messages } from "./i18n.js";
import { emptyState, facts, listItem, showError } from "./layout.js";
import { button, el, hideMessage, showMessage, withButtonsDisabled } from "./page.js";
import { accountLink, fetchPeople } from "./people.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/oauth/issuers";
const strings = messages.admin.issuer;

/** Renders the issuers and the form for a new one. */
export async function issuers(view) {
  const body = await fetchList(PATH, { ...view, parameters: new URLSearchParams() });
  if (!body) return;
  const { issuers: found, enabled } = body;
  await fetchPeople(found.flatMap((issuer) => issuer.subjects.map((mapped) => mapped.account_id)));
  if (!view.isCurrent()) return;
  const page = { account: view.account, reload: () => issuers(view) };
  const about = [el("p", { class: "lead" }, messages.admin.issuersAbout)];
  if (!enabled) about.push(el("p", { class: "note" }, strings.disabled));
  const list = found.length === 0 ? emptyState(strings.empty) : el("ul", { class: "items" }, ...found.map((issuer) => issuerItem(issuer, page)));
  renderAdminView("issuers", messages.admin.issuers, ...about, list, issuerForm(page));
}

function issuerLabel(issuer) {
  return stripInvisible(issuer.name) || issuer.url;
}

function issuerItem(issuer, page) {
  const name = issuerLabel(issuer);
  const lines = [
    name === issuer.url ? null : el("p", { class: "facts" }, el("code", {}, issuer.url)),
    facts(issuer.by_email ? strings.mapsByEmail : strings.mapsByTable, issuer.jwks_uri ? formatNodes(strings.keysAt, { url: el("bdi", {}, issuer.jwks_uri) }) : strings.keysByMetadata),
    issuer.subjects.length === 0 ? null : el("ul", { class: "mapped" }, ...issuer.subjects.map((mapped) => subjectLine(mapped, issuer, page))),
    subjectForm(issuer, page),
  ];
  const edit = button(strings.edit, () => editIssuer(issuer, page));
  edit.setAttribute("aria-label", formatText(strings.change, { name }));
  const remove = button(strings.remove, () => removeIssuer(issuer, page), "quiet-danger");
  remove.setAttribute("aria-label", formatText(strings.removeNamed, { name }));
  return listItem(el("bdi", {}, name), lines, edit, remove);
}

// ---- subjects ------------------------------------------------------------------------------

function subjectLine(mapped, issuer, page) {
  const subject = stripInvisible(mapped.subject);
  const remove = button(strings.unmap, () => mapSubject(issuer, { subject: mapped.subject }, page, strings.unmapped), "quiet-danger");
  remove.setAttribute("aria-label", formatText(strings.unmapNamed, { subject }));
  return el("li", {}, el("code", {}, subject), " ", accountLink(mapped.account_id, page.account), " ", remove);
}

/** Creates the form that maps a subject to a member. */
function subjectForm(issuer, page) {
  const input = (part) => el("input", { id: `${part}-${issuer.id}`, type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
  const inputs = { subject: input("subject"), handle: input("handle") };
  const field = (part) => el("div", { class: "field" }, el("label", { for: inputs[part].id }, strings[part]), inputs[part]);
  const form = el("form", { method: "post", novalidate: true, class: "slim" }, field("subject"), field("handle"), el("div", { class: "actions start" }, el("button", { type: "submit" }, strings.map)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = { subject: inputs.subject.value.trim(), handle: inputs.handle.value.trim().replace(/^@/, "") };
    withButtonsDisabled(() => mapSubject(issuer, body, page, strings.mapped));
  });
  return el("details", {}, el("summary", {}, strings.mapTitle), form);
}

async function mapSubject(issuer, body, page, message) {
  hideMessage();
  const answer = await call("POST", `${PATH}/${encodeURIComponent(issuer.id)}/subjects`, body);
  if (!succeeded(answer)) {
    showError(answer);
    return false;
  }
  await page.reload();
  showMessage(message, "good");
  return false;
}

async function removeIssuer(issuer, page) {
  const name = issuerLabel(issuer);
  if (!(await confirmAction({ title: formatText(strings.removeQuestion.title, { name }), text: strings.removeQuestion.text, action: strings.remove }))) return;
  const answer = await call("DELETE", `${PATH}/${encodeURIComponent(issuer.id)}`);
  if (succeeded(answer) || answer.status === 404) {
    await page.reload();
    showMessage(strings.removed, "good");
  } else {
    showError(answer);
  }
}

// ---- creation and change -------------------------------------------------------------------

/** Replaces the form at the end of the view by one for an existing issuer. */
function editIssuer(issuer, page) {
  const form = issuerForm(page, issuer);
  document.querySelector("#issuer-form").replaceWith(form);
  form.querySelector("h2").focus();
}

function issuerForm(page, issuer) {
  const field = (id, label, input, hint) => {
    input.id = id;
    input.setAttribute("aria-describedby", `${id}-hint`);
    return el("div", { class: "field" }, el("label", { for: id }, label), input, el("p", { class: "hint", id: `${id}-hint` }, hint));
  };
  const text = (type, value = "") => el("input", { type, autocomplete: "off", spellcheck: "false", value });
  const inputs = {
    url: text("url"),
    name: text("text", issuer?.name),
    keys: text("url", issuer?.jwks_uri),
    byEmail: el("input", { type: "checkbox", id: "issuer-email", checked: issuer?.by_email === true, "aria-describedby": "issuer-email-hint" }),
  };
  const email = el("fieldset", { class: "field choice" }, el("legend", {}, strings.byEmailLegend), el("label", { class: "check" }, inputs.byEmail, el("span", {}, strings.byEmail)), el("p", { class: "hint", id: "issuer-email-hint" }, strings.byEmailHint));
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    ...(issuer ? [] : [field("issuer-url", strings.url, inputs.url, strings.urlHint)]),
    field("issuer-name", strings.name, inputs.name, strings.nameHint),
    field("issuer-keys", strings.keys, inputs.keys, strings.keysHint),
    email,
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, issuer ? strings.save : strings.add)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => saveIssuer(inputs, page, issuer));
  });
  const title = issuer ? formatText(strings.change, { name: issuerLabel(issuer) }) : strings.create;
  return el("section", { id: "issuer-form", "aria-labelledby": "issuer-title" }, el("h2", { id: "issuer-title", tabindex: "-1" }, title), form);
}

async function saveIssuer(inputs, page, issuer) {
  hideMessage();
  const url = inputs.url.value.trim();
  if (!issuer && url === "") {
    inputs.url.setAttribute("aria-invalid", "true");
    showMessage(strings.urlMissing);
    return false;
  }
  const body = { by_email: inputs.byEmail.checked };
  if (inputs.name.value.trim() !== "") body.name = inputs.name.value.trim();
  if (inputs.keys.value.trim() !== "") body.jwks_uri = inputs.keys.value.trim();
  const answer = issuer ? await call("PUT", `${PATH}/${encodeURIComponent(issuer.id)}`, body) : await call("POST", PATH, { ...body, url });
  if (!succeeded(answer)) {
    showError(answer);
    return false;
  }
  await page.reload();
  showMessage(issuer ? strings.saved : strings.added, "good");
  return false;
}
