// The consent page of the authorization code flow: who asks, where the answer goes, what it
// gives. The API decides; this page asks and then goes where the API says.

import { showAccount } from "./account.js";
import { call, failure } from "./api.js";
import { clientName, nameClient, showAsker, showDestination, showScopes } from "./asker.js";
import { $, finish, instant, linkButton, once, reloadButton, say, show, unsay } from "./page.js";
import { endSession, goToLogin, leave, signOutButton } from "./ways.js";
import { filled, line, texts } from "./words.js";

const PATH = "/api/oauth/authorize/consent";
const words = texts.consent;
const requestId = new URLSearchParams(location.search).get("request_id") ?? "";
let request; // what the API told about the request

load();

async function load() {
  const answer = await call("GET", `${PATH}?request_id=${encodeURIComponent(requestId)}`);
  if (answer.status === 200) {
    review(answer.body);
    return true;
  }
  if (!refused(answer)) {
    const { title, text } = failure(answer);
    finish(title, [text], answer.status === 403 ? signOutButton(words.signOut, signedOut) : reloadButton());
  }
  return false;
}

function review(consent) {
  request = consent;
  nameClient(consent.client_name);
  showDestination(consent);
  $("redirect-uri").textContent = consent.redirect_uri;
  showAsker($("asker"), consent);
  showScopes($("scopes"), consent);
  $("expires").replaceChildren(...filled(words.expires, { time: instant(consent.expires_at) }));
  show($("review"));
  showAccount($("account"));
}

for (const [id, decision] of [["allow", "approve"], ["deny", "deny"]]) {
  $(id).addEventListener("click", () => once(() => decide(decision)));
}

async function decide(decision) {
  unsay();
  $("progress").textContent = words.progress;
  const answer = await call("POST", PATH, {
    request_id: requestId,
    decision,
    client_version: request?.client_version,
  });
  $("progress").textContent = "";
  if (answer.status === 200) {
    goBack(answer.body.status === "approved" ? words.allowed : words.denied, answer.body.location);
    return true;
  }
  if (answer.status === 400 && answer.body.error === "consent_required") {
    if (await load()) say(words.changed);
    return false;
  }
  if (refused(answer)) return answer.status === 401;
  const { title, text } = failure(answer);
  say({ title, text: answer.status === 0 ? texts.failures.maybeLost : text });
  return false;
}

/** Goes back to the client with what the API has for it. */
function goBack(title, target) {
  const client = request ? clientName(request.client_name) : texts.common.somebody;
  if (!leave(target)) {
    finish(words.cannotOpen.title, [words.cannotOpen.text]);
  } else if (/^https?:/i.test(target)) {
    finish(title, [request ? line(words.back, { client }) : words.backToSomebody]);
  } else {
    finish(title, [line(words.backToApp, { client })], linkButton(words.openApp, target));
  }
}

/** Handles what the API refuses for good; false when it is something else. */
function refused({ status, body }) {
  if (status === 401) {
    goToLogin();
    return true;
  }
  if (status !== 400 || typeof body.error !== "string") return false;

  if (typeof body.location === "string") {
    goBack(words.stopped, body.location);
  } else if (body.error === "access_denied") {
    const { title, text } = words.notPermitted;
    finish(title, [text, words.startAgain], signOutButton(words.signOut, signedOut));
  } else if (body.error === "invalid_request") {
    const { title, text } = words.over;
    finish(title, [text, words.startAgain], signOutButton(words.asAnother, toLogin));
  } else {
    finish(words.stopped, [`${body.error_description ?? body.error}.`, words.startAgain]);
  }
  return true;
}

// A request belongs to the account that opened it: whoever signs in next must start again.
function signedOut() {
  finish(words.signedOut.title, [words.signedOut.text]);
  return true;
}

function toLogin() {
  goToLogin();
  return true;
}

$("sign-out").addEventListener("click", () => once(() => endSession(signedOut)));

// Back from the application: the request may be over, and the page must not say otherwise.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
