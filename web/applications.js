// The settings page for applications with access to the account: list and revocation.

import { call, succeeded } from "./api.js";
import { clientName, scopeGroup } from "./client-details.js";
import { confirmAction } from "./dialog.js";
import { formatNodes, formatPlural, formatText, messages } from "./i18n.js";
import { emptyState, facts, listItem, pagination, renderView, requireSession, showError, showErrorPage, startViews } from "./layout.js";
import { placeElement, programElement } from "./origins.js";
import { button, el, showMessage, timeElement } from "./page.js";
import { groupScopes } from "./scopes.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/auth/oauth/applications";
const strings = messages.applications;

if (await requireSession("applications")) startViews(renderApplications);

async function renderApplications(_, parameters, isCurrent) {
  const page = Number(parameters.get("page")) || 1;
  const answer = await call("GET", `${PATH}?page=${page}`);
  if (!isCurrent()) return;
  if (answer.status !== 200) {
    showErrorPage(answer);
    return;
  }
  const found = answer.body.applications ?? [];
  if (found.length === 0 && page > 1) {
    location.replace("#"); // the last application of this page was revoked
    return;
  }
  const about = el("p", { class: "lead" }, strings.about);
  if (found.length === 0) {
    renderView(strings.heading, about, emptyState(strings.empty));
    return;
  }
  const items = found.map((application) => applicationItem(application, () => renderApplications("", parameters, isCurrent)));
  renderView(
    strings.heading,
    about,
    el("ul", { class: "items" }, ...items),
    pagination(answer.body, (target) => `#?page=${target}`),
    el("div", { class: "actions end" }, button(strings.revokeAll, revokeAll, "quiet-danger")),
  );
}

function applicationItem(application, reload) {
  const name = clientName(application.client_name);
  const revoke = button(strings.revoke, async () => {
    const question = { title: formatText(strings.revokeQuestion.title, { name }), text: strings.revokeQuestion.text, action: strings.revoke };
    if (!(await confirmAction(question))) return;
    const answer = await call("DELETE", `${PATH}/${encodeURIComponent(application.id)}`);
    if (succeeded(answer) || answer.status === 404) {
      await reload();
      showMessage({ title: formatText(strings.revoked.title, { name }), text: strings.revoked.text }, "good");
    } else {
      showError(answer);
    }
  });
  revoke.setAttribute("aria-label", formatText(strings.revokeNamed, { name }));
  const { remembered_until: until, remembered_outdated: isOutdated } = application;
  return listItem(
    el("bdi", {}, name),
    [
      facts(formatNodes(strings.lastUsed, { time: timeElement(application.last_used_at) }), formatNodes(strings.approvedAt, { time: timeElement(application.first_granted_at) })),
      until && el("p", { class: "facts" }, ...formatNodes(strings.remembered, { time: timeElement(until) })),
      isOutdated && el("p", { class: "facts" }, strings.outdated),
      accessList(application),
      scopeDetails(application),
    ],
    ...(until || isOutdated ? [forgetButton(application, name, reload)] : []),
    revoke,
  );
}

/** Returns the list of the grants: device or browser, place, last use. */
function accessList({ accesses }) {
  const items = (accesses ?? []).filter(({ origin }) => origin).map(({ origin, granted_at: granted, last_used_at: used }) => {
    const device = stripInvisible(origin.device_name);
    const program = programElement(origin);
    const place = placeElement(origin);
    const parts = [
      device ? formatNodes(strings.onDevice, { device: el("bdi", {}, device) }) : null,
      program,
      place && formatNodes(messages.security.from, { place }),
      formatNodes(strings.approvedAt, { time: timeElement(granted) }),
      formatNodes(messages.security.lastUsed, { time: timeElement(used) }),
    ];
    return el("li", {}, facts(...parts));
  });
  return items.length > 0 ? el("ul", { class: "accesses" }, ...items) : null;
}

/** Returns the button that makes the application ask again; its access stays. */
function forgetButton(application, name, reload) {
  const forget = button(strings.forget, async () => {
    const answer = await call("DELETE", `${PATH}/${encodeURIComponent(application.id)}/consent`);
    if (succeeded(answer) || answer.status === 404) {
      await reload();
      showMessage({ title: formatText(strings.forgotten.title, { name }), text: strings.forgotten.text }, "good");
    } else {
      showError(answer);
    }
  });
  forget.setAttribute("aria-label", formatText(strings.forgetNamed, { name }));
  return forget;
}

function scopeDetails({ scopes, client_id: id }) {
  const groups = groupScopes(scopes ?? []);
  const count = groups.length === 0 ? messages.lists.noScopes : formatPlural(messages.lists.scopes, scopes.length);
  return el(
    "details",
    {},
    el("summary", {}, count),
    el("div", { class: "scopelist" }, ...groups.map((group) => scopeGroup(group))),
    el("p", { class: "hint" }, `${strings.id}: `, el("code", {}, id)),
  );
}

async function revokeAll() {
  if (!(await confirmAction({ ...strings.revokeAllQuestion, action: strings.revokeAll }))) return;
  const answer = await call("DELETE", PATH);
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  await renderApplications("", new URLSearchParams(), () => true);
  showMessage(strings.revokedAll, "good");
}
