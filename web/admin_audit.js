// The audit trail: who did what.

import { accountName, address, presentList, read } from "./admin_list.js";
import { visible } from "./asker.js";
import { facts, item } from "./frame.js";
import { el, instant } from "./page.js";
import { filled, texts } from "./words.js";

const words = texts.admin;

/** What a thief causes: somebody should look. */
const ALARMING = ["refresh_token_reused", "code_replayed"];

/** Shows the lines that a filter finds. */
export async function audit(view) {
  const body = await read("/api/admin/audit", view);
  if (!body) return;
  presentList("audit", view.parameters, {
    title: words.audit,
    about: words.auditAbout,
    fields: [
      { name: "event", label: words.event, options: words.events },
      { name: "account_id", label: words.account },
      { name: "client_id", label: words.client },
      { name: "since", label: words.since, type: "date" },
      { name: "until", label: words.until, type: "date" },
    ],
    body,
    items: (body.entries ?? []).map((entry) => shown(entry, view.account)),
  });
}

function shown(entry, me) {
  const title = [words.events[entry.event] ?? entry.event];
  if (ALARMING.includes(entry.event)) title.push(" ", el("span", { class: "mark warn" }, words.alarming));
  const isOther = entry.account_id && entry.account_id !== entry.actor_id;
  const ofClient = entry.client_id
    ? filled(words.ofClient, { client: el("a", { href: address("audit", { client_id: entry.client_id }) }, el("code", {}, visible(entry.client_id))) })
    : null;
  return item(title, [
    facts(
      [instant(entry.createdAt)],
      entry.actor_id ? filled(words.actor, { account: accountName(entry.actor_id, me) }) : null,
      isOther ? filled(words.concerns, { account: accountName(entry.account_id, me) }) : null,
      ofClient,
      entry.count ? filled(words.count, { count: String(entry.count) }) : null,
      entry.address ? filled(words.address, { address: visible(entry.address) }) : null,
    ),
    el("details", {}, el("summary", {}, texts.lists.more), more(entry)),
  ]);
}

function more(entry) {
  return facts(
    entry.subject_id ? filled(words.subject, { subject: el("code", {}, visible(entry.subject_id)) }) : null,
    filled(words.trace, { trace: el("code", {}, entry.trace_id) }),
    el("code", {}, entry.event),
  );
}
