// The device page: enter or bring the code, compare it, see what asks and from where, answer.
// Whoever controls the device gets the access, so a stranger's code is the attack to prevent
// (RFC 8628 §5.4).

import { showAccount } from "./account.js";
import { call, failure } from "./api.js";
import { nameClient, scopeGroup, showAsker, showScopes, visible } from "./asker.js";
import { $, finish, instant, linkButton, once, reloadButton, say, show, unsay } from "./page.js";
import { grouped, privileged } from "./scopes.js";
import { endSession, goToLogin, signOutButton } from "./ways.js";
import { filled, texts } from "./words.js";

const PATH = "/api/oauth/device/consent";
const PAGE = "/oauth/consent";
const words = texts.device;
const input = $("code");
let code = "";
let version; // of the client, as it was shown
let powers = []; // the granted scopes that want a second yes

const brought = new URLSearchParams(location.search).get("user_code");
if (brought === null) {
  askForCode();
} else {
  input.value = display(brought);
  lookUp();
}

function askForCode() {
  show($("enter"));
  input.focus();
}

// ---- the code ------------------------------------------------------------------------------

/** The code's symbols: capitals, O read as 0, I and L as 1, nothing else that is not one. */
function symbols(text) {
  return text.toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1").replace(/[^0-9A-Z]/g, "");
}

/** XXXX-XXXX, as far as there are symbols. */
function display(text) {
  const all = symbols(text).slice(0, 16);
  return all.length > 4 ? `${all.slice(0, 4)}-${all.slice(4)}` : all;
}

input.addEventListener("input", () => {
  const before = symbols(input.value.slice(0, input.selectionStart)).length;
  input.value = display(input.value);
  const caret = before > 4 ? before + 1 : before;
  input.setSelectionRange(caret, caret);
});

// A whole line or link may be pasted: take the code out of it.
input.addEventListener("paste", (event) => {
  const text = event.clipboardData.getData("text");
  const found = /(?:^|[^0-9a-z])([0-9a-z]{4}[-–— ]?[0-9a-z]{4})\s*$/i.exec(text);
  if (found) {
    event.preventDefault();
    input.value = display(found[1]);
  }
});

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  once(async () => {
    await lookUp();
  });
});

async function lookUp() {
  unsay();
  input.removeAttribute("aria-invalid");
  code = display(input.value);
  if (!/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/.test(code)) {
    wrongCode(symbols(code) === "" ? words.noCode : words.notCode);
    return false;
  }
  // The address keeps the code, so that it survives the sign-in page and a reload.
  history.replaceState(null, "", `${PAGE}?user_code=${code}`);
  show($("loading"));
  const answer = await call("GET", `${PATH}?user_code=${code}`);
  if (answer.status === 200) {
    review(answer.body);
    return true;
  }
  if (!refused(answer)) {
    const { title, text } = failure(answer);
    finish(title, [text], answer.status === 403 ? signOut() : reloadButton());
  }
  return false;
}

function wrongCode({ title, text }) {
  show($("enter"));
  input.setAttribute("aria-invalid", "true");
  say({ title, text });
}

// ---- who asks, for what --------------------------------------------------------------------

function review(consent) {
  nameClient(consent.client_name);
  code = consent.user_code;
  version = consent.client_version;
  $("shown-code").textContent = consent.user_code;
  const device = consent.device ?? {};
  $("address").textContent = consent.requested_address || device.address || words.unknownAddress;
  $("agent").textContent = clip(consent.requested_user_agent || device.user_agent) || words.unknownAgent;
  $("requested").replaceChildren(instant(consent.requested_at ?? device.requested_at));
  showAsker($("asker"), consent);
  showScopes($("scopes"), consent);
  $("expires").replaceChildren(...filled(words.expires, { time: instant(consent.expires_at) }));
  powers = privileged(consent.granted_scopes ?? []);
  $("powers").replaceChildren(...grouped(powers).map((group) => scopeGroup(group, "h2")));
  show($("review"));
  showAccount($("account"));
}

function clip(text) {
  const clean = visible(text);
  return clean.length > 160 ? `${clean.slice(0, 160)}…` : clean;
}

// ---- the answer ----------------------------------------------------------------------------

$("allow").addEventListener("click", () => {
  unsay();
  if (powers.length > 0) show($("confirm"));
  else once(() => decide("approve"));
});
// The second click of a double click on "allow" must not answer the question that follows it.
$("allow-powers").addEventListener("click", (event) => {
  if (event.detail < 2) once(() => decide("approve"));
});
$("back").addEventListener("click", (event) => {
  if (event.detail < 2) show($("review"));
});
$("deny").addEventListener("click", () => once(() => decide("deny")));

async function decide(decision) {
  unsay();
  progress(texts.consent.progress);
  const answer = await call("POST", PATH, { user_code: code, decision, client_version: version });
  progress("");
  if (answer.status === 200) {
    if (answer.body.status === "approved") {
      finish(words.allowed.title, [words.allowed.text]);
    } else {
      finish(words.denied.title, [words.denied.text]);
    }
    return false;
  }
  if (answer.status === 400 && answer.body.error === "consent_required") {
    input.value = code;
    if (await lookUp()) say(texts.consent.changed);
    return false;
  }
  if (refused(answer)) return answer.status === 401;
  const { title, text } = failure(answer);
  say({ title, text: answer.status === 0 ? texts.failures.maybeLost : text });
  return false;
}

function progress(text) {
  for (const place of document.querySelectorAll("[data-progress]")) place.textContent = text;
}

/** Handles what the API refuses for good; false when it is something else. */
function refused({ status, body }) {
  if (status === 401) {
    goToLogin();
    return true;
  }
  if (status !== 400 || typeof body.error !== "string") return false;

  if (body.error === "access_denied" && /claimed/.test(body.error_description)) {
    finish(words.claimed.title, [words.claimed.text], signOut());
  } else if (body.error === "access_denied") {
    const { title, text } = texts.consent.notPermitted;
    finish(title, [text], signOut());
  } else if (body.error === "invalid_request") {
    wrongCode(words.wrongCode);
  } else {
    const said = `${body.error_description ?? body.error}.`;
    finish(texts.consent.stopped, [said, words.startAgain], linkButton(words.another, PAGE));
  }
  return true;
}

// ---- signing out ---------------------------------------------------------------------------

// Once shown, the code belongs to the account that opened it.
$("sign-out").addEventListener("click", () =>
  once(() =>
    endSession(() => {
      finish(words.signedOut.title, [words.signedOut.text], linkButton(words.another, PAGE));
      return false;
    }),
  ),
);

function signOut() {
  return signOutButton(texts.consent.signOut, () => {
    goToLogin();
    return true;
  });
}

// Back from elsewhere: the code may be over, and the page must not say otherwise.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
