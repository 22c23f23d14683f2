// The settings page for access keys.

import { call, serverNow, succeeded } from "./api.js";
import { copyable } from "./copyable.js";
import { confirmAction } from "./dialog.js";
import { formatNodes, formatPlural, formatText, messages } from "./i18n.js";
import { emptyState, facts, listItem, renderView, requireSession, showError, showErrorPage, startViews } from "./layout.js";
import { button, el, hideMessage, showMessage, timeElement, withButtonsDisabled } from "./page.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/auth/access-keys";
const DAY_MILLISECONDS = 24 * 3600 * 1000;
const strings = messages.accessKeys;

if (await requireSession("accessKeys")) startViews((_, __, isCurrent) => renderOverview(isCurrent));

async function renderOverview(isCurrent = () => true) {
  const answer = await call("GET", PATH);
  if (!isCurrent()) return;
  const about = el("p", { class: "lead" }, strings.about);
  if (answer.status === 403) {
    renderView(strings.heading, about, emptyState(strings.notAllowed));
    return;
  }
  if (answer.status !== 200) {
    showErrorPage(answer);
    return;
  }
  const keys = (answer.body.keys ?? []).toReversed(); // newest first
  const isActive = ({ enabled, expires_at: end }) => enabled && !(end && Date.parse(end) <= serverNow());
  const active = keys.filter(isActive);
  const inactive = keys.filter((key) => !isActive(key));
  const nodes = [active.length === 0 ? emptyState(strings.empty) : el("ul", { class: "items" }, ...active.map(activeKeyItem))];
  if (inactive.length > 0) {
    nodes.push(el("details", {}, el("summary", {}, formatPlural(strings.inactive, inactive.length)), el("ul", { class: "items" }, ...inactive.map(inactiveKeyItem))));
  }
  renderView(strings.heading, about, ...nodes, createForm());
}

function keyLabel(key) {
  return stripInvisible(key.name) || key.id;
}

function activeKeyItem(key) {
  const name = keyLabel(key);
  const remove = button(messages.accessKeys.remove, async () => {
    const question = { title: formatText(strings.removeQuestion.title, { name }), text: strings.removeQuestion.text, action: strings.remove };
    if (!(await confirmAction(question))) return;
    const answer = await call("DELETE", `${PATH}/${encodeURIComponent(key.id)}`);
    if (succeeded(answer) || answer.status === 404) {
      await renderOverview();
      showMessage({ title: formatText(strings.removed.title, { name }), text: strings.removed.text }, "good");
    } else {
      showError(answer);
    }
  });
  remove.setAttribute("aria-label", formatText(strings.removeNamed, { name }));
  const end = key.expires_at ? formatNodes(strings.expiresAt, { time: timeElement(key.expires_at) }) : strings.neverExpires;
  return listItem(el("bdi", {}, name), [facts(formatNodes(strings.createdAt, { time: timeElement(key.createdAt) }), end)], remove);
}

function inactiveKeyItem(key) {
  const end = key.enabled ? formatNodes(strings.expiredAt, { time: timeElement(key.expires_at) }) : strings.deleted;
  return listItem(el("bdi", {}, keyLabel(key)), [facts(formatNodes(strings.createdAt, { time: timeElement(key.createdAt) }), end)]);
}

// ---- creation ------------------------------------------------------------------------------

function createForm() {
  const name = el("input", { id: "name", type: "text", maxlength: "64", autocomplete: "off", "aria-describedby": "name-hint" });
  const ends = el("select", { id: "expires" });
  for (const days of [7, 30, 90, 365, 0]) {
    ends.append(el("option", { value: String(days), selected: days === 90 }, strings.expiries[days]));
  }
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    el("div", { class: "field" }, el("label", { for: "name" }, strings.name), name, el("p", { class: "hint", id: "name-hint" }, strings.nameHint)),
    el("div", { class: "field" }, el("label", { for: "expires" }, strings.expires), ends),
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, strings.submit)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => createKey(name, Number(ends.value)));
  });
  return el("section", { "aria-labelledby": "create" }, el("h2", { id: "create" }, strings.create), form);
}

async function createKey(input, days) {
  hideMessage();
  input.removeAttribute("aria-invalid");
  const name = input.value.trim();
  if (name === "") {
    input.setAttribute("aria-invalid", "true");
    showMessage(strings.nameMissing);
    return;
  }
  const request = { name };
  if (days > 0) request.expires_at = new Date(serverNow() + days * DAY_MILLISECONDS).toISOString();
  const answer = await call("POST", PATH, request);
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  renderView(
    formatText(strings.created.title, { name: keyLabel(answer.body) }),
    el("p", {}, strings.created.text),
    copyable(strings.secret, answer.body.secret, strings.secretHint),
    el("div", { class: "actions start" }, button(strings.done, () => renderOverview(), "primary")),
  );
}
