// The sign-in page: handle and password, then back to where the person was going.

import { call, explanation, failure } from "./api.js";
import { $, cookieWasLost, noteSignIn, once, returnTarget, say, unsay } from "./page.js";

const form = $("form");
const identifier = $("identifier");
const password = $("password");

if (cookieWasLost() && returnTarget() !== "/") {
  say({
    title: "Your browser did not keep you signed in",
    text: "The password was right, but the cookie was refused. Allow cookies for this site, then sign in again.",
  });
} else {
  identifier.focus();
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
  $("progress").textContent = "Signing in…";
  const handle = identifier.value.trim().replace(/^@/, "");
  const answer = await call("POST", "/api/auth/password/signin", { identifier: handle, token: password.value });
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
  switch (answer.status) {
    case 400:
      return { title: "That cannot be right", text: explanation(answer, "Check your handle and your password.") };
    case 401:
    case 404:
      return { title: "Wrong handle or password", text: "Check both and try again." };
    case 403:
      return { title: "This account is suspended", text: "It cannot sign in. Ask an administrator of this community." };
    default:
      return failure(answer);
  }
}

// Back from a page that was left a moment ago: the form as it was, ready again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
