// View of the audit trail.

import { fetchList, renderList, sortHref, viewHref } from "./admin-list.js";
import { dataTable } from "./admin-table.js";
import { formatText, messages } from "./i18n.js";
import { facts } from "./layout.js";
import { el, timeElement } from "./page.js";
import { accountLink, fetchPeople } from "./people.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/audit";
const strings = messages.admin;

/** Events that indicate a stolen code or token (replay). */
const SUSPICIOUS = ["refresh_token_reused", "code_replayed"];

/** Renders the audit entries that match the filter. */
export async function audit(view) {
  const { parameters } = view;
  const body = await fetchList(PATH, view);
  if (!body) return;
  const found = body.entries ?? [];
  await fetchPeople(found.flatMap((entry) => [entry.actor_id, entry.account_id]));
  if (!view.isCurrent()) return;
  const table = dataTable(strings.audit, {
    columns: [
      { label: strings.table.time, sort: "created" },
      { label: strings.event },
      { label: strings.table.actor },
      { label: strings.table.member },
      { label: strings.table.application },
      { label: strings.table.address },
      { label: messages.lists.more },
    ],
    rows: found.map((entry) => entryCells(entry, view.account)),
    sorted: parameters.get("sort") ?? "-created",
    hrefOf: sortHref("audit", parameters),
  });
  renderList("audit", parameters, {
    title: strings.audit,
    about: strings.auditAbout,
    fields: [
      { name: "event", label: strings.event, options: strings.events },
      { name: "actor", label: strings.table.actor },
      { name: "account_id", label: strings.account },
      { name: "client_id", label: strings.client },
      { name: "address", label: strings.table.address },
      { name: "since", label: strings.since, type: "datetime-local" },
      { name: "until", label: strings.until, type: "datetime-local" },
    ],
    body,
    table: found.length > 0 ? table : null,
    more: [exportLinks(parameters)],
  });
}

/** Returns the links to the entries of the filter as a file. */
function exportLinks(parameters) {
  const query = new URLSearchParams(parameters);
  for (const name of ["page", "page_size", "sort"]) query.delete(name);
  const link = (format) => {
    query.set("format", format);
    return el("li", {}, el("a", { href: `${PATH}/export?${query}`, download: "" }, strings.exportAs[format]));
  };
  return el("ul", { class: "links" }, ...["jsonl", "csv"].map(link));
}

function entryCells(entry, me) {
  const title = [strings.events[entry.event] ?? entry.event];
  if (SUSPICIOUS.includes(entry.event)) title.push(" ", el("span", { class: "mark warn" }, strings.suspicious));
  if (entry.count) title.push(" ", el("span", { class: "mark" }, formatText(strings.count, { count: String(entry.count) })));
  const isOther = entry.account_id && entry.account_id !== entry.actor_id;
  return [
    timeElement(entry.createdAt),
    title,
    entry.actor_id ? accountLink(entry.actor_id, me) : null,
    isOther ? accountLink(entry.account_id, me) : null,
    entry.client_id ? el("a", { href: viewHref("audit", { client_id: entry.client_id }) }, el("code", {}, stripInvisible(entry.client_id))) : null,
    entry.address ? el("a", { href: viewHref("audit", { address: entry.address }) }, stripInvisible(entry.address)) : null,
    entryDetails(entry),
  ];
}

function entryDetails(entry) {
  const code = (text) => el("code", {}, stripInvisible(text));
  return el(
    "details",
    {},
    el("summary", {}, messages.lists.more),
    facts(code(entry.event)),
    entry.subject_id ? facts([strings.subject, " ", code(entry.subject_id)]) : "",
    facts([strings.trace, " ", code(entry.trace_id)]),
  );
}
