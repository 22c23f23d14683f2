// The sign-in page: handle or e-mail address, and password, then back to where the person was going.

import { call, explanation, failure } from "./api.js";
import { $, once, say, unsay } from "./page.js";
import { cookieWasLost, noteSignIn, returnTarget } from "./ways.js";
import { texts } from "./words.js";

const form = $("form");
const identifier = $("identifier");
const password = $("password");

// What the application believes (OpenID Connect Core §3.1.2.1); the person may know better.
identifier.value = (new URLSearchParams(location.search).get("login_hint") ?? "").slice(0, 320);

if (cookieWasLost() && returnTarget() !== "/") {
  say(texts.login.cookieLost);
} else {
  (identifier.value === "" ? identifier : password).focus();
}
$("submit").disabled = false;

$("reveal").addEventListener("change", (event) => {
  password.type = event.target.checked ? "text" : "password";
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  once(signIn);
});

async function signIn() {
  unsay();
  const missing = [identifier, password].find((input) => input.value.trim() === "");
  for (const input of [identifier, password]) input.toggleAttribute("aria-invalid", false);
  if (missing) {
    missing.setAttribute("aria-invalid", "true");
    say(texts.login.empty);
    return false;
  }
  $("progress").textContent = texts.login.progress;
  const name = identifier.value.trim().replace(/^@/, "");
  const answer = await call("POST", "/api/auth/password/signin", { identifier: name, token: password.value });
  if (answer.status === 200) {
    noteSignIn();
    location.replace(returnTarget());
    return true;
  }
  $("progress").textContent = "";
  say(refusal(answer));
  return false;
}

function refusal(answer) {
  const { invalid, wrong, suspended } = texts.login;
  switch (answer.status) {
    case 400:
      return { title: invalid.title, text: explanation(answer, invalid.text) };
    case 401:
    case 404:
      return wrong;
    case 403:
      return suspended;
    default:
      return failure(answer);
  }
}

// Back from a page that was left a moment ago: the form as it was, ready again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
