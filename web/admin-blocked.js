// View of the blocked clients, and the block of a client.

import { fetchList, renderAdminView } from "./admin-list.js";
import { dataTable } from "./admin-table.js";
import { call, succeeded } from "./api.js";
import { confirmAction } from "./dialog.js";
import { formatText, messages } from "./i18n.js";
import { emptyState, navigateTo, showError } from "./layout.js";
import { button, el, showMessage, timeElement } from "./page.js";
import { accountLink, fetchPeople } from "./people.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/oauth/blocked-clients";
const strings = messages.admin.blocked;

/** Renders the blocked clients. */
export async function blocked(view) {
  const body = await fetchList(PATH, { ...view, parameters: new URLSearchParams() });
  if (!body) return;
  const found = body.blocked_clients ?? [];
  await fetchPeople(found.map((one) => one.blocked_by));
  if (!view.isCurrent()) return;
  const reload = () => blocked(view);
  const table = dataTable(strings.title, {
    columns: [{ label: messages.clients.id }, { label: strings.by }, { label: messages.admin.table.created }, { label: strings.end }],
    rows: found.map((one) => [
      el("code", {}, stripInvisible(one.client_id)),
      one.blocked_by ? accountLink(one.blocked_by, view.account) : strings.command,
      timeElement(one.createdAt),
      unblockButton(one, reload),
    ]),
  });
  renderAdminView(
    "clients",
    strings.title,
    el("p", { class: "lead" }, strings.about),
    found.length > 0 ? table : emptyState(strings.empty),
    el("p", {}, el("a", { href: "#clients" }, messages.admin.details.back)),
  );
}

function unblockButton(one, reload) {
  const end = button(strings.end, async () => {
    const answer = await call("DELETE", `${PATH}/${encodeURIComponent(one.id)}`);
    if (!succeeded(answer) && answer.status !== 404) return showError(answer);
    await reload();
    return showMessage(strings.ended, "good");
  });
  end.setAttribute("aria-label", formatText(strings.endNamed, { client: one.client_id }));
  return end;
}

/** Returns a link to the blocked clients. */
export function blockedLink() {
  return el("p", {}, el("a", { href: "#blocked" }, strings.link));
}

/** Returns the part of a client's page that blocks the client; null unless the client id is a URL. */
export function blockPart(client, name) {
  if (!/^https?:/i.test(client.client_id)) return null;
  const block = button(
    strings.block,
    async () => {
      if (!(await confirmAction({ title: formatText(strings.question.title, { name }), text: strings.question.text, action: strings.block }))) return;
      const answer = await call("POST", PATH, { client_id: client.client_id });
      if (answer.status === 409) showMessage(strings.isBlocked);
      else if (!succeeded(answer)) showError(answer);
      else navigateTo("blocked", { title: formatText(strings.done.title, { name }), text: strings.done.text });
    },
    "quiet-danger",
  );
  return el("section", {}, el("h2", {}, strings.block), el("p", {}, strings.text), el("div", { class: "actions start" }, block));
}
