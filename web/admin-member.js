// View of one member: roles, state, sessions, applications and keys, and what an administrator may end.

import { renderAdminView, renderForbidden, viewHref } from "./admin-list.js";
import { revokeAllButton } from "./admin-tokens.js";
import { call, succeeded } from "./api.js";
import { copyable } from "./copyable.js";
import { confirmAction } from "./dialog.js";
import { formatNodes, formatPlural, formatText, messages } from "./i18n.js";
import { emptyState, facts, showError, showErrorPage, subListItem } from "./layout.js";
import { button, el, hideMessage, showMessage, timeElement, withButtonsDisabled } from "./page.js";
import { rememberPeople } from "./people.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/oauth/members";
const strings = messages.admin.member;

/** Renders one member, by id or handle. */
export async function member(view) {
  const [answer, roles] = await Promise.all([call("GET", `${PATH}/${encodeURIComponent(view.id)}`), call("GET", "/api/admin/oauth/roles")]);
  if (!view.isCurrent()) return;
  const back = el("p", {}, el("a", { href: "#members" }, strings.back));
  if (answer.status === 404) return renderAdminView("members", messages.admin.members, emptyState(strings.notFound, back));
  if (answer.status === 403) return renderForbidden();
  if (answer.status !== 200) return showErrorPage(answer);
  const found = answer.body;
  rememberPeople([found.member]);
  const page = {
    ...view,
    found,
    roles: roles.body.roles ?? [],
    path: `${PATH}/${found.member.id}`,
    name: stripInvisible(found.member.name) || found.member.handle,
    isMe: found.member.id === view.account?.id,
    reload: () => member(view),
  };
  const { kept_by_storyden: isKept } = found;
  return renderAdminView(
    "members",
    `${page.name} (@${found.member.handle})`,
    ...(isKept ? [el("div", { class: "message warn static" }, el("p", {}, el("strong", {}, strings.storyden.title)), el("p", {}, strings.storyden.text))] : []),
    el("div", { class: "values" }, copyable(strings.id, found.member.id), memberFacts(found)),
    section(strings.roles, rolesPart(page)),
    section(strings.access, relatedLinks(found.member), actions(page)),
    section(strings.sessions, sessionList(page)),
    section(strings.applications, applicationList(page)),
    section(strings.accessKeys, keyList(page)),
    back,
  );
}

function section(title, ...nodes) {
  return el("section", {}, el("h2", {}, title), ...nodes);
}

function memberFacts({ member: about, emails, permissions, counts }) {
  const addresses = emails.map(({ address, verified }) => formatText(verified ? strings.verified : strings.unverified, { address: stripInvisible(address) }));
  const rows = [
    [strings.state, about.suspended_at ? formatNodes(strings.suspendedAt, { time: timeElement(about.suspended_at) }) : strings.active],
    [strings.kind, strings.kinds[about.kind] ?? about.kind],
    [strings.emails, addresses.length > 0 ? addresses.join(", ") : strings.noEmail],
    [strings.permissions, permissions.length > 0 ? permissions.join(", ") : strings.none],
    [strings.secrets, formatPlural(strings.secretCount, counts.client_secrets)],
    [strings.joined, timeElement(about.createdAt)],
  ];
  return el("dl", {}, ...rows.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, ...[fact].flat())]));
}

// ---- roles ---------------------------------------------------------------------------------

function rolesPart(page) {
  const { found, roles } = page;
  const held = found.member.roles;
  const list = held.length > 0 ? el("ul", { class: "items" }, ...held.map((role) => roleItem(page, role))) : el("p", { class: "hint" }, strings.noRoles);
  const free = roles.filter((role) => role.assignable && !held.some(({ id }) => id === role.id));
  if (found.kept_by_storyden || free.length === 0) return list;
  const select = el("select", { id: "give-role" }, ...free.map((role) => el("option", { value: role.id }, stripInvisible(role.name))));
  const form = el(
    "form",
    { class: "slim", method: "post", novalidate: true },
    el("div", { class: "field" }, el("label", { for: "give-role" }, strings.giveLabel), select),
    el("div", { class: "actions start" }, el("button", { type: "submit" }, strings.give)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => giveRole(page, free.find((role) => role.id === select.value)));
  });
  return el("div", { class: "stack" }, list, form);
}

function roleItem(page, role) {
  const name = stripInvisible(role.name);
  if (page.found.kept_by_storyden) return subListItem(el("bdi", {}, name), []);
  const take = button(
    strings.take,
    async () => {
      const question = { title: formatText(strings.takeQuestion.title, { role: name, name: page.name }), text: strings.takeQuestion.text, action: strings.take };
      if (await confirmAction(question)) await change(page, "DELETE", `${page.path}/roles/${encodeURIComponent(role.id)}`, strings.roleTaken);
    },
    "quiet-danger",
  );
  take.setAttribute("aria-label", formatText(strings.takeNamed, { role: name }));
  return subListItem(el("bdi", {}, name), [], take);
}

async function giveRole(page, role) {
  if (role.permissions.includes("ADMINISTRATOR")) {
    const question = { title: formatText(strings.giveQuestion.title, { name: page.name }), text: strings.giveQuestion.text, action: strings.give };
    if (!(await confirmAction(question))) return;
  }
  await change(page, "PUT", `${page.path}/roles/${encodeURIComponent(role.id)}`, strings.roleGiven);
}

/** Sends a change, and shows the member again with a message. */
async function change(page, method, path, message) {
  hideMessage();
  const answer = await call(method, path);
  if (!succeeded(answer)) return showError(answer);
  await page.reload();
  return showMessage(message, "good");
}

// ---- state and access ----------------------------------------------------------------------

function relatedLinks({ handle }) {
  const related = ["tokens", "devices", "clients", "audit"].map((name) => el("li", {}, el("a", { href: viewHref(name, { account_id: handle }) }, strings.related[name])));
  return el("ul", { class: "links" }, ...related);
}

function actions(page) {
  const { found, path, name, isMe } = page;
  const asked = (texts, method, target, done) =>
    button(
      texts.action,
      async () => {
        const question = { title: formatText(texts.title, { name }), text: texts.text, action: texts.action };
        if (await confirmAction(question)) await change(page, method, target, done);
      },
      "quiet-danger",
    );
  const buttons = [revokeAllButton({ account_id: found.member.id }, page.reload)];
  if (!found.kept_by_storyden) {
    buttons.push(asked(strings.signOut, "DELETE", `${path}/sessions`, strings.signedOut));
    if (found.member.suspended_at) buttons.push(button(strings.reinstate, () => change(page, "POST", `${path}/reinstate`, strings.reinstated)));
    else if (!isMe) buttons.push(asked(strings.suspend, "POST", `${path}/suspend`, strings.suspendedMessage));
  }
  return el("div", { class: "actions start" }, ...buttons);
}

function sessionList(page) {
  const { sessions, counts, kept_by_storyden: isKept } = page.found;
  if (sessions.length === 0) return el("p", { class: "hint" }, strings.noSessions);
  const items = sessions.map((session) => {
    const signedIn = timeElement(session.createdAt);
    const lines = [facts(formatNodes(strings.sessionEnds, { time: timeElement(session.expires_at) }))];
    const title = formatNodes(strings.signedIn, { time: signedIn });
    if (isKept) return subListItem(title, lines);
    const end = button(strings.endSession, () => change(page, "DELETE", `${page.path}/sessions/${session.id}`, strings.sessionEnded), "quiet-danger");
    end.setAttribute("aria-label", formatText(strings.endSessionNamed, { time: signedIn.textContent }));
    return subListItem(title, lines, end);
  });
  return el("div", { class: "stack" }, el("ul", { class: "items" }, ...items), more(counts.sessions, sessions.length));
}

function applicationList(page) {
  const { applications } = page.found;
  if (applications.length === 0) return el("p", { class: "hint" }, strings.noApplications);
  const items = applications.map((application) => {
    const title = el("a", { href: `#client/${encodeURIComponent(application.id)}` }, el("bdi", {}, stripInvisible(application.client_name) || application.client_id));
    const lines = [facts(formatNodes(strings.lastUsed, { time: timeElement(application.last_used_at) }), formatPlural(messages.lists.scopes, application.scopes.length))];
    return subListItem(title, lines, revokeAllButton({ account_id: page.found.member.id, client_id: application.client_id }, page.reload, strings.revoke));
  });
  return el("ul", { class: "items" }, ...items);
}

function keyList(page) {
  const { access_keys: keys, counts } = page.found;
  if (keys.length === 0) return el("p", { class: "hint" }, strings.noKeys);
  const items = keys.map((key) => {
    const name = stripInvisible(key.name) || key.id;
    const revoke = button(
      strings.revoke,
      async () => {
        const question = { title: formatText(strings.revokeKeyQuestion.title, { name }), text: strings.revokeKeyQuestion.text, action: strings.revoke };
        if (await confirmAction(question)) await change(page, "DELETE", `/api/admin/access-keys/${encodeURIComponent(key.id)}`, strings.keyRevoked);
      },
      "quiet-danger",
    );
    revoke.setAttribute("aria-label", formatText(strings.revokeKeyNamed, { name }));
    const expiry = key.expires_at ? formatNodes(strings.keyExpires, { time: timeElement(key.expires_at) }) : strings.keyStays;
    return subListItem(el("bdi", {}, name), [facts(formatNodes(messages.admin.createdAt, { time: timeElement(key.createdAt) }), expiry)], revoke);
  });
  return el("div", { class: "stack" }, el("ul", { class: "items" }, ...items), more(counts.access_keys, keys.length));
}

/** Returns a line with the number of rows that are not shown. */
function more(total, shown) {
  return total > shown ? el("p", { class: "count" }, formatPlural(strings.more, total - shown)) : "";
}
