// View of the members: search, filters and order.

import { fetchList, renderList, sortHref } from "./admin-list.js";
import { dataTable } from "./admin-table.js";
import { call } from "./api.js";
import { messages } from "./i18n.js";
import { el, timeElement } from "./page.js";
import { rememberPeople } from "./people.js";
import { stripInvisible } from "./text.js";

const strings = messages.admin.memberList;

/** Renders the members that match the filter. */
export async function members(view) {
  const { parameters } = view;
  const [body, roles] = await Promise.all([fetchList("/api/admin/oauth/members", view), call("GET", "/api/admin/oauth/roles")]);
  if (!body || !view.isCurrent()) return;
  const found = body.members ?? [];
  rememberPeople(found);
  const assignable = (roles.body.roles ?? []).filter((role) => role.assignable);
  const table = dataTable(messages.admin.members, {
    columns: [
      { label: strings.member, sort: "handle" },
      { label: strings.name, sort: "name" },
      { label: strings.email },
      { label: strings.roles },
      { label: strings.state },
      { label: strings.joined, sort: "joined" },
    ],
    rows: found.map(cells),
    sorted: parameters.get("sort") ?? "handle",
    hrefOf: sortHref("members", parameters),
  });
  renderList("members", parameters, {
    title: messages.admin.members,
    about: messages.admin.membersAbout,
    fields: [
      { name: "q", label: strings.search },
      { name: "role", label: strings.role, options: Object.fromEntries(assignable.map(({ id, name }) => [id, stripInvisible(name)])) },
      { name: "state", label: strings.state, options: strings.states },
    ],
    body,
    table: found.length > 0 ? table : null,
  });
}

function cells(member) {
  const state = member.suspended_at ? "suspended" : "active";
  return [
    el("a", { href: `#member/${encodeURIComponent(member.id)}`, title: member.id }, el("bdi", {}, `@${member.handle}`)),
    el("bdi", {}, stripInvisible(member.name)),
    member.email ? el("bdi", { class: "mail" }, stripInvisible(member.email)) : null,
    [member.kind === "bot" ? el("span", { class: "mark" }, strings.bot) : null, member.roles.map((role) => stripInvisible(role.name)).join(", ")],
    el("span", { class: `mark ${state === "active" ? "good" : "warn"}` }, strings.states[state]),
    timeElement(member.createdAt),
  ];
}
