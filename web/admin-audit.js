// View of the audit trail.

import { accountLink, fetchList, renderList, viewHref } from "./admin-list.js";
import { formatNodes, messages } from "./i18n.js";
import { facts, listItem } from "./layout.js";
import { el, timeElement } from "./page.js";
import { stripInvisible } from "./text.js";

const strings = messages.admin;

/** Events that indicate a stolen code or token (replay). */
const SUSPICIOUS = ["refresh_token_reused", "code_replayed"];

/** Renders the audit entries that match the filter. */
export async function audit(view) {
  const body = await fetchList("/api/admin/audit", view);
  if (!body) return;
  renderList("audit", view.parameters, {
    title: strings.audit,
    about: strings.auditAbout,
    fields: [
      { name: "event", label: strings.event, options: strings.events },
      { name: "account_id", label: strings.account },
      { name: "client_id", label: strings.client },
      { name: "since", label: strings.since, type: "date" },
      { name: "until", label: strings.until, type: "date" },
    ],
    body,
    items: (body.entries ?? []).map((entry) => entryItem(entry, view.account)),
  });
}

function entryItem(entry, me) {
  const title = [strings.events[entry.event] ?? entry.event];
  if (SUSPICIOUS.includes(entry.event)) title.push(" ", el("span", { class: "mark warn" }, strings.suspicious));
  const isOther = entry.account_id && entry.account_id !== entry.actor_id;
  const ofClient = entry.client_id
    ? formatNodes(strings.ofClient, { client: el("a", { href: viewHref("audit", { client_id: entry.client_id }) }, el("code", {}, stripInvisible(entry.client_id))) })
    : null;
  return listItem(title, [
    facts(
      [timeElement(entry.createdAt)],
      entry.actor_id ? formatNodes(strings.actor, { account: accountLink(entry.actor_id, me) }) : null,
      isOther ? formatNodes(strings.concerns, { account: accountLink(entry.account_id, me) }) : null,
      ofClient,
      entry.count ? formatNodes(strings.count, { count: String(entry.count) }) : null,
      entry.address ? formatNodes(strings.address, { address: stripInvisible(entry.address) }) : null,
    ),
    el("details", {}, el("summary", {}, messages.lists.more), entryDetails(entry)),
  ]);
}

function entryDetails(entry) {
  return facts(
    entry.subject_id ? formatNodes(strings.subject, { subject: el("code", {}, stripInvisible(entry.subject_id)) }) : null,
    formatNodes(strings.trace, { trace: el("code", {}, entry.trace_id) }),
    el("code", {}, entry.event),
  );
}
