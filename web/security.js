// The settings page for sessions and the password.

import { call, succeeded, withQuery } from "./api.js";
import { confirmAction } from "./dialog.js";
import { formatList, formatNodes, formatPlural, formatText, messages } from "./i18n.js";
import { facts, renderView, requireSession, showError, showErrorPage, startViews, subListItem } from "./layout.js";
import { clearSignInRecord } from "./navigation.js";
import { placeElement, programElement } from "./origins.js";
import { $, button, el, finishPage, hideMessage, linkButton, showMessage, timeElement, withButtonsDisabled } from "./page.js";

const SESSIONS_PATH = "/api/auth/sessions";
const PASSWORD_MIN_BYTES = 8; // bytes
const strings = messages.security;

const session = await requireSession("security");
if (session) startViews((_, __, isCurrent) => renderOverview(isCurrent));

async function renderOverview(isCurrent) {
  const answer = await call("GET", SESSIONS_PATH);
  if (!isCurrent()) return;
  if (answer.status !== 200) {
    showErrorPage(answer);
    return;
  }
  const reload = () => renderOverview(isCurrent);
  const lasting = answer.body.lasting ?? {};
  const sessions = (answer.body.sessions ?? []).map((session) => sessionItem(session, reload));
  renderView(
    strings.heading,
    section("sessions", strings.sessions, el("p", { class: "hint" }, strings.sessionsHint), el("ul", { class: "items" }, ...sessions)),
    section("password", strings.password, el("p", { class: "hint" }, strings.passwordHint), passwordForm(session.account, lasting, reload)),
    section("everywhere", strings.signOutEverywhere, el("p", {}, strings.signOutEverywhereText), el("div", { class: "actions start" }, button(strings.signOutEverywhere, () => signOutEverywhere(lasting), "quiet-danger"))),
  );
}

function section(id, title, ...nodes) {
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), ...nodes);
}

function sessionItem(session, reload) {
  const since = timeElement(session.createdAt);
  const place = placeElement(session.origin);
  const used = session.last_used_at;
  const lines = [
    facts(place && formatNodes(strings.from, { place }), used && formatNodes(strings.lastUsed, { time: timeElement(used) })),
    facts(formatNodes(strings.signedInAt, { time: since }), formatNodes(strings.expiresAt, { time: timeElement(session.expires_at) })),
  ].filter((line) => line.childElementCount > 0);
  const name = programElement(session.origin);
  if (session.current) return subListItem(session.origin ? [name, " ", el("span", { class: "mark good" }, strings.current)] : strings.current, lines);
  const end = button(strings.signOut, async () => {
    if (!(await confirmAction({ ...strings.signOutQuestion, action: strings.signOut }))) return;
    const answer = await call("DELETE", `${SESSIONS_PATH}/${encodeURIComponent(session.id)}`);
    if (succeeded(answer) || answer.status === 404) {
      await reload();
      showMessage(strings.signedOut, "good");
    } else {
      showError(answer);
    }
  });
  end.setAttribute("aria-label", formatText(strings.signOutNamed, { time: since.textContent }));
  return subListItem(name, lines, end);
}

// ---- credentials that work without a session -----------------------------------------------

/** Creates checkboxes for revoking access keys and client secrets; none if the account has none. */
function credentialCheckboxes(lasting, checked) {
  const box = (count, forms) => {
    if (!count) return null;
    const input = el("input", { type: "checkbox", checked });
    return { input, field: el("label", { class: "check" }, input, formatPlural(forms, count)) };
  };
  const keys = box(lasting.access_keys, strings.endAccessKeys);
  const secrets = box(lasting.client_secrets, strings.endClientSecrets);
  const boxes = [keys, secrets].filter(Boolean);
  return {
    fields: boxes.map(({ field }) => field),
    value: () => ({
      end_access_keys: keys?.input.checked ?? checked,
      end_client_secrets: secrets?.input.checked ?? checked,
    }),
  };
}

/** Describes which credentials the server revoked and which still work. */
function describeRemaining({ ended = {}, left = {} }) {
  const named = ({ access_keys: keys, client_secrets: secrets }) => {
    const parts = [];
    if (keys) parts.push(formatPlural(strings.accessKeys, keys));
    if (secrets) parts.push(formatPlural(strings.clientSecrets, secrets));
    return formatList(parts);
  };
  const lines = [];
  if (named(ended)) lines.push(formatText(strings.alsoEnded, { what: named(ended) }));
  lines.push(named(left) ? formatText(strings.stillValid, { what: named(left) }) : strings.noneLeft);
  return lines;
}

// ---- password ------------------------------------------------------------------------------

function passwordForm(account, lasting, reload) {
  const field = (id, label, autocomplete, hint) => {
    const input = el("input", { id, type: "password", autocomplete, "aria-describedby": hint ? `${id}-hint` : undefined });
    const nodes = [el("label", { for: id }, label), input];
    if (hint) nodes.push(el("p", { class: "hint", id: `${id}-hint` }, hint));
    return { input, field: el("div", { class: "field" }, ...nodes) };
  };
  const now = field("current", strings.currentPassword, "current-password");
  const next = field("new", strings.newPassword, "new-password", strings.newHint);
  const repeated = field("repeat", strings.repeat, "new-password");
  const also = credentialCheckboxes(lasting, true);
  const inputs = [now.input, next.input, repeated.input];
  const reveal = el("input", { type: "checkbox" });
  reveal.addEventListener("change", () => {
    for (const input of inputs) input.type = reveal.checked ? "text" : "password";
  });
  // Tells a password manager which account the password belongs to.
  const owner = el("input", { type: "text", autocomplete: "username", hidden: true, value: account?.handle ?? "" });
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    owner,
    now.field,
    next.field,
    repeated.field,
    el("label", { class: "check" }, reveal, strings.reveal),
    ...also.fields,
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, strings.change)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    withButtonsDisabled(() => changePassword(inputs, also.value(), reload));
  });
  return form;
}

async function changePassword([now, next, repeated], also, reload) {
  hideMessage();
  for (const input of [now, next, repeated]) input.removeAttribute("aria-invalid");
  const reject = (input, message) => {
    input.setAttribute("aria-invalid", "true");
    showMessage(message);
  };
  const missing = [now, next, repeated].find((input) => input.value === "");
  if (missing) return reject(missing, strings.fieldMissing);
  if (new TextEncoder().encode(next.value).length < PASSWORD_MIN_BYTES) return reject(next, strings.tooShort);
  if (next.value !== repeated.value) return reject(repeated, strings.different);
  const answer = await call("POST", "/api/auth/password", { current: now.value, new: next.value, ...also });
  if (succeeded(answer)) {
    await reload();
    const { title, text } = strings.changed;
    showMessage({ title, text: [text, ...describeRemaining(answer.body)].join(" ") }, "good");
  } else if (answer.status === 403) {
    reject(now, strings.wrongPassword);
  } else {
    showError(answer);
  }
}

// ---- sign-out everywhere -------------------------------------------------------------------

async function signOutEverywhere(lasting) {
  const also = credentialCheckboxes(lasting, false);
  const choice = { field: el("div", {}, ...also.fields), value: also.value };
  const chosen = await confirmAction({ ...strings.signOutEverywhereQuestion, action: strings.signOutEverywhere, choice });
  if (!chosen) return false;
  const answer = await call("DELETE", withQuery(SESSIONS_PATH, chosen));
  if (!succeeded(answer)) {
    showError(answer);
    return false;
  }
  clearSignInRecord();
  $("nav").hidden = true;
  $("account").hidden = true;
  const { title, text } = strings.signedOutEverywhere;
  finishPage(title, [text, ...describeRemaining(answer.body)], linkButton(messages.layout.signIn, "/login?return_url=%2Fsettings%2Fsecurity"));
  return false;
}
