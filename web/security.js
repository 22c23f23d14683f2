// A person's own sessions and password.

import { call, succeeded, withQuery } from "./api.js";
import { ask } from "./dialog.js";
import { enter, facts, fail, present, refuse, subitem, views } from "./frame.js";
import { $, button, el, finish, instant, linkButton, once, say, unsay } from "./page.js";
import { forgetSignIn } from "./ways.js";
import { filled, line, listed, many, texts } from "./words.js";

const SESSIONS = "/api/auth/sessions";
const PASSWORD_MIN = 8; // bytes
const words = texts.security;

const entered = await enter("security");
if (entered) views((_, __, isCurrent) => overview(isCurrent));

async function overview(isCurrent) {
  const answer = await call("GET", SESSIONS);
  if (!isCurrent()) return;
  if (answer.status !== 200) {
    fail(answer);
    return;
  }
  const again = () => overview(isCurrent);
  const lasting = answer.body.lasting ?? {};
  const sessions = (answer.body.sessions ?? []).map((session) => shown(session, again));
  present(
    words.heading,
    part("sessions", words.sessions, el("p", { class: "hint" }, words.sessionsHint), el("ul", { class: "items" }, ...sessions)),
    part("password", words.password, el("p", { class: "hint" }, words.passwordHint), passwordForm(entered.account, lasting, again)),
    part("everywhere", words.everywhere, el("p", {}, words.everywhereText), el("div", { class: "actions start" }, button(words.everywhere, () => everywhere(lasting), "quiet-danger"))),
  );
}

function part(id, title, ...nodes) {
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), ...nodes);
}

function shown(session, again) {
  const since = instant(session.createdAt);
  const lines = [facts(filled(words.since, { time: since }), filled(words.until, { time: instant(session.expires_at) }))];
  if (session.current) return subitem(words.current, lines);
  const end = button(words.signOut, async () => {
    if (!(await ask({ ...words.signOutAsk, action: words.signOut }))) return;
    const answer = await call("DELETE", `${SESSIONS}/${encodeURIComponent(session.id)}`);
    if (succeeded(answer) || answer.status === 404) {
      await again();
      say(words.signedOut, "good");
    } else {
      refuse(answer);
    }
  });
  end.setAttribute("aria-label", line(words.signOutNamed, { time: since.textContent }));
  return subitem(words.other, lines, end);
}

// ---- what works without a session ----------------------------------------------------------

/** Checkboxes for what can be ended as well; none for what there is nothing of. */
function alsoEnd(lasting, checked) {
  const box = (count, forms) => {
    if (!count) return null;
    const input = el("input", { type: "checkbox", checked });
    return { input, field: el("label", { class: "check" }, input, many(forms, count)) };
  };
  const keys = box(lasting.access_keys, words.endAccessKeys);
  const secrets = box(lasting.client_secrets, words.endClientSecrets);
  const boxes = [keys, secrets].filter(Boolean);
  return {
    fields: boxes.map(({ field }) => field),
    value: () => ({
      end_access_keys: keys?.input.checked ?? checked,
      end_client_secrets: secrets?.input.checked ?? checked,
    }),
  };
}

/** What the server says was ended besides, and what works on. */
function rest({ ended = {}, left = {} }) {
  const named = ({ access_keys: keys, client_secrets: secrets }) => {
    const parts = [];
    if (keys) parts.push(many(words.accessKeys, keys));
    if (secrets) parts.push(many(words.clientSecrets, secrets));
    return listed(parts);
  };
  const lines = [];
  if (named(ended)) lines.push(line(words.alsoEnded, { what: named(ended) }));
  lines.push(named(left) ? line(words.left, { what: named(left) }) : words.nothingLeft);
  return lines;
}

// ---- the password --------------------------------------------------------------------------

function passwordForm(account, lasting, again) {
  const field = (id, label, autocomplete, hint) => {
    const input = el("input", { id, type: "password", autocomplete, "aria-describedby": hint ? `${id}-hint` : undefined });
    const nodes = [el("label", { for: id }, label), input];
    if (hint) nodes.push(el("p", { class: "hint", id: `${id}-hint` }, hint));
    return { input, field: el("div", { class: "field" }, ...nodes) };
  };
  const now = field("current", words.currentPassword, "current-password");
  const next = field("new", words.newPassword, "new-password", words.newHint);
  const repeated = field("repeat", words.repeat, "new-password");
  const also = alsoEnd(lasting, true);
  const inputs = [now.input, next.input, repeated.input];
  const reveal = el("input", { type: "checkbox" });
  reveal.addEventListener("change", () => {
    for (const input of inputs) input.type = reveal.checked ? "text" : "password";
  });
  // So that a password manager knows whose password it is.
  const owner = el("input", { type: "text", autocomplete: "username", hidden: true, value: account?.handle ?? "" });
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    owner,
    now.field,
    next.field,
    repeated.field,
    el("label", { class: "check" }, reveal, words.reveal),
    ...also.fields,
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, words.change)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(() => change(inputs, also.value(), again));
  });
  return form;
}

async function change([now, next, repeated], also, again) {
  unsay();
  for (const input of [now, next, repeated]) input.removeAttribute("aria-invalid");
  const reject = (input, message) => {
    input.setAttribute("aria-invalid", "true");
    say(message);
  };
  const missing = [now, next, repeated].find((input) => input.value === "");
  if (missing) return reject(missing, words.missing);
  if (new TextEncoder().encode(next.value).length < PASSWORD_MIN) return reject(next, words.short);
  if (next.value !== repeated.value) return reject(repeated, words.different);
  const answer = await call("POST", "/api/auth/password", { current: now.value, new: next.value, ...also });
  if (succeeded(answer)) {
    await again();
    const { title, text } = words.changed;
    say({ title, text: [text, ...rest(answer.body)].join(" ") }, "good");
  } else if (answer.status === 403) {
    reject(now, words.wrong);
  } else {
    refuse(answer);
  }
}

// ---- everything ----------------------------------------------------------------------------

async function everywhere(lasting) {
  const also = alsoEnd(lasting, false);
  const choice = { field: el("div", {}, ...also.fields), value: also.value };
  const chosen = await ask({ ...words.everywhereAsk, action: words.everywhere, choice });
  if (!chosen) return false;
  const answer = await call("DELETE", withQuery(SESSIONS, chosen));
  if (!succeeded(answer)) {
    refuse(answer);
    return false;
  }
  forgetSignIn();
  $("nav").hidden = true;
  $("account").hidden = true;
  const { title, text } = words.everywhereDone;
  finish(title, [text, ...rest(answer.body)], linkButton(texts.frame.signIn, "/login?return_url=%2Fsettings%2Fsecurity"));
  return false;
}
