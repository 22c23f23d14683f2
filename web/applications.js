// What a person allowed: every application that has access to their account, and the end of it.

import { call, failure, succeeded } from "./api.js";
import { clientName, scopeGroup } from "./asker.js";
import { ask } from "./dialog.js";
import { empty, enter, facts, fail, item, pager, present, refuse, views } from "./frame.js";
import { button, el, instant, say } from "./page.js";
import { grouped } from "./scopes.js";
import { filled, line, many, texts } from "./words.js";

const PATH = "/api/auth/oauth/applications";
const words = texts.applications;

if (await enter("applications")) views(list);

async function list(_, parameters, isCurrent) {
  const page = Number(parameters.get("page")) || 1;
  const answer = await call("GET", `${PATH}?page=${page}`);
  if (!isCurrent()) return;
  if (answer.status !== 200) {
    fail(answer);
    return;
  }
  const found = answer.body.applications ?? [];
  if (found.length === 0 && page > 1) {
    location.replace("#"); // the last of this page was revoked
    return;
  }
  const about = el("p", { class: "lead" }, words.about);
  if (found.length === 0) {
    present(words.heading, about, empty(words.empty));
    return;
  }
  const items = found.map((application) => shown(application, () => list("", parameters, isCurrent)));
  present(
    words.heading,
    about,
    el("ul", { class: "items" }, ...items),
    pager(answer.body, (target) => `#?page=${target}`),
    el("div", { class: "actions end" }, button(words.revokeAll, revokeAll, "quiet-danger")),
  );
}

function shown(application, again) {
  const name = clientName(application.client_name);
  const revoke = button(words.revoke, async () => {
    const question = { title: line(words.ask.title, { name }), text: words.ask.text, action: words.revoke };
    if (!(await ask(question))) return;
    const answer = await call("DELETE", `${PATH}/${encodeURIComponent(application.id)}`);
    if (succeeded(answer) || answer.status === 404) {
      await again();
      say({ title: line(words.revoked.title, { name }), text: words.revoked.text }, "good");
    } else {
      refuse(answer);
    }
  });
  revoke.setAttribute("aria-label", line(words.revokeNamed, { name }));
  return item(
    el("bdi", {}, name),
    [
      facts(filled(words.lastUsed, { time: instant(application.last_used_at) }), filled(words.since, { time: instant(application.first_granted_at) })),
      rights(application),
    ],
    revoke,
  );
}

function rights({ scopes, client_id: id }) {
  const groups = grouped(scopes ?? []);
  const count = groups.length === 0 ? texts.lists.noScopes : many(texts.lists.scopes, scopes.length);
  return el(
    "details",
    {},
    el("summary", {}, count),
    el("div", { class: "scopelist" }, ...groups.map((group) => scopeGroup(group, "h3"))),
    el("p", { class: "hint" }, `${words.id}: `, el("code", {}, id)),
  );
}

// There is no operation for all of them that leaves the sessions alone, so each is revoked.
async function revokeAll() {
  if (!(await ask({ ...words.askAll, action: words.revokeAll }))) return;
  const failed = await revokeEach();
  await list("", new URLSearchParams(), () => true);
  if (failed) say({ title: words.partly.title, text: `${failure(failed).text} ${words.partly.text}` });
  else say(words.revokedAll, "good");
}

/** Revokes page by page; returns the answer that failed, if one did. */
async function revokeEach() {
  for (;;) {
    const answer = await call("GET", `${PATH}?page=1`);
    if (answer.status !== 200) return answer;
    const found = answer.body.applications ?? [];
    if (found.length === 0) return null;
    for (const { id } of found) {
      const revoked = await call("DELETE", `${PATH}/${encodeURIComponent(id)}`);
      if (!succeeded(revoked) && revoked.status !== 404) return revoked;
    }
  }
}
