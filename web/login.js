// The sign-in page: the application that asks, the accounts of this browser for `prompt=select_account`, handle or
// e-mail address, and password; then a redirect to `return_url`.

import { call, describeError, errorDetail } from "./api.js";
import { breakableHost, clientName } from "./client-details.js";
import { hasDraftFor, restoreDraft } from "./drafts.js";
import { disableGuardedButtons } from "./guard.js";
import { formatNodes, messages } from "./i18n.js";
import { parseUrl, recordSignIn, returnUrl, sessionCookieWasRejected } from "./navigation.js";
import { $, el, hideMessage, showMessage, withButtonsDisabled } from "./page.js";
import { stripInvisible } from "./text.js";

const parameters = new URLSearchParams(location.search);
const requestId = parseUrl(returnUrl())?.searchParams.get("request_id") ?? null;
const form = $("form");
const identifier = $("identifier");
const password = $("password");

// `login_hint` of the authorization request (OpenID Connect Core §3.1.2.1); the user may change the value.
identifier.value = (parameters.get("login_hint") ?? "").slice(0, 320);

restoreDraft(); // after a choice of another language
if (sessionCookieWasRejected() && returnUrl() !== "/") {
  showMessage(messages.login.cookieLost);
} else if (hasDraftFor(returnUrl())) {
  showMessage(messages.drafts.ended, "warn");
} else {
  (identifier.value === "" ? identifier : password).focus();
}
$("submit").disabled = false;
if (requestId !== null) renderClient();
if (parameters.get("prompt") === "select_account") offerAccounts();

// ---- application ---------------------------------------------------------------------------

/** Shows the application that the user signs in for, and where its answer goes. */
async function renderClient() {
  const { status, body } = await call("GET", `/api/oauth/authorize/request?request_id=${encodeURIComponent(requestId)}`);
  if (status !== 200) return; // the request is gone: the page after the sign-in says so
  const host = (name) => el("strong", {}, ...breakableHost(name));
  const nodes = body.client_name === undefined
    ? formatNodes(messages.login.clientWithoutName, { host: host(body.client_id_host ?? "") })
    : formatNodes(messages.login.client, { client: el("bdi", {}, clientName(body.client_name)), target: target(body, host) });
  $("client").replaceChildren(...nodes);
  $("client").hidden = false;
}

function target({ redirect_host: name, redirect_is_loopback: isLoopback }, host) {
  if (isLoopback === true) return messages.login.program;
  return name === undefined ? messages.login.app : host(name);
}

// ---- accounts of this browser --------------------------------------------------------------

/** Offers the accounts that are signed in in this browser; the form stays if there are none. */
async function offerAccounts() {
  const { status, body } = await call("GET", "/api/auth/accounts");
  const accounts = status === 200 ? (body.accounts ?? []) : [];
  if (accounts.length === 0) return;
  $("accounts").replaceChildren(...accounts.map((account) => el("li", {}, accountButton(account))));
  form.hidden = true;
  $("choice").hidden = false;
  disableGuardedButtons();
  $("accounts").querySelector("button").focus();
}

// A guarded button: a choice can be the only step before the redirect to the application (double-clickjacking).
function accountButton(account) {
  const name = el("span", {}, el("bdi", {}, stripInvisible(account.name)), " ", el("bdi", { class: "handle" }, `@${account.handle}`));
  const button = el("button", { type: "button", "data-guarded": true, "aria-disabled": "true" }, ...formatNodes(messages.login.continueAs, { account: name }));
  button.addEventListener("click", () => withButtonsDisabled(() => choose(account)));
  return button;
}

async function choose(account) {
  hideMessage();
  const body = { account_id: account.id };
  if (requestId !== null) body.request_id = requestId;
  const answer = await call("POST", "/api/oauth/authorize/account", body);
  if (answer.status === 200) {
    recordSignIn();
    location.replace(returnUrl());
    return true;
  }
  if (answer.status === 404) {
    showForm();
    identifier.value = account.handle;
    showMessage(messages.login.accountGone);
  } else {
    showMessage(describeError(answer));
  }
  return false;
}

function showForm() {
  $("choice").hidden = true;
  form.hidden = false;
  identifier.focus();
}

$("other").addEventListener("click", () => {
  hideMessage();
  showForm();
});

// ---- password ------------------------------------------------------------------------------

$("reveal").addEventListener("change", (event) => {
  password.type = event.target.checked ? "text" : "password";
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  withButtonsDisabled(signIn);
});

async function signIn() {
  hideMessage();
  const missing = [identifier, password].find((input) => input.value.trim() === "");
  for (const input of [identifier, password]) input.toggleAttribute("aria-invalid", false);
  if (missing) {
    missing.setAttribute("aria-invalid", "true");
    showMessage(messages.login.fieldMissing);
    return false;
  }
  $("progress").textContent = messages.login.progress;
  const name = identifier.value.trim().replace(/^@/, "");
  const answer = await call("POST", "/api/auth/password/signin", { identifier: name, token: password.value });
  if (answer.status === 200) {
    recordSignIn();
    location.replace(returnUrl());
    return true;
  }
  $("progress").textContent = "";
  showMessage(signInError(answer));
  return false;
}

function signInError(answer) {
  const { invalid, wrongPassword: wrong, suspended } = messages.login;
  switch (answer.status) {
    case 400:
      return { title: invalid.title, text: errorDetail(answer, invalid.text) };
    case 401:
    case 404:
      return wrong;
    case 403:
      return suspended;
    default:
      return describeError(answer);
  }
}

// The back/forward cache restored the page: reload it to enable the form.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
