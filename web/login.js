// The sign-in page: handle or e-mail address, and password; then a redirect to `return_url`.

import { call, describeError, errorDetail } from "./api.js";
import { messages } from "./i18n.js";
import { recordSignIn, returnUrl, sessionCookieWasRejected } from "./navigation.js";
import { $, hideMessage, showMessage, withButtonsDisabled } from "./page.js";

const form = $("form");
const identifier = $("identifier");
const password = $("password");

// `login_hint` of the authorization request (OpenID Connect Core §3.1.2.1); the user may change the value.
identifier.value = (new URLSearchParams(location.search).get("login_hint") ?? "").slice(0, 320);

if (sessionCookieWasRejected() && returnUrl() !== "/") {
  showMessage(messages.login.cookieLost);
} else {
  (identifier.value === "" ? identifier : password).focus();
}
$("submit").disabled = false;

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
