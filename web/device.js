// The device page: enter the user code, compare it, see the client and the origin of the request, decide.
// The device gets the access, so the attack to prevent is a user code sent by an attacker (remote phishing,
// RFC 8628 §5.4).

import { renderAccount } from "./account.js";
import { call, describeError, protocolErrorDetail } from "./api.js";
import { restoreDraft } from "./drafts.js";
import { fillClientName, renderClientDetails, renderScopes, selectedScopes } from "./client-details.js";
import { confirmPrivileged } from "./confirm.js";
import { formatNodes, messages } from "./i18n.js";
import { endSession, redirectToLogin, signOutButton } from "./navigation.js";
import { $, finishPage, hideMessage, linkButton, reloadButton, showMessage, showSection, timeElement, withButtonsDisabled } from "./page.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/oauth/device/consent";
const PAGE = "/oauth/consent";
const strings = messages.device;
const input = $("code");
let code = "";
let version; // version of the shown client

const codeInUrl = new URLSearchParams(location.search).get("user_code");
if (codeInUrl === null) {
  askForCode();
} else {
  input.value = formatCode(codeInUrl);
  lookUpCode();
}

function askForCode() {
  showSection($("enter"));
  input.focus();
}

// ---- user code -----------------------------------------------------------------------------

/** Normalizes a user code: capitals, O becomes 0, I and L become 1, other characters are removed. */
function codeSymbols(text) {
  return text.toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1").replace(/[^0-9A-Z]/g, "");
}

/** Formats a code as XXXX-XXXX. */
function formatCode(text) {
  const all = codeSymbols(text).slice(0, 16);
  return all.length > 4 ? `${all.slice(0, 4)}-${all.slice(4)}` : all;
}

input.addEventListener("input", () => {
  const before = codeSymbols(input.value.slice(0, input.selectionStart)).length;
  input.value = formatCode(input.value);
  const caret = before > 4 ? before + 1 : before;
  input.setSelectionRange(caret, caret);
});

// Extract the code from a pasted line or link.
input.addEventListener("paste", (event) => {
  const text = event.clipboardData.getData("text");
  const found = /(?:^|[^0-9a-z])([0-9a-z]{4}[-–— ]?[0-9a-z]{4})\s*$/i.exec(text);
  if (found) {
    event.preventDefault();
    input.value = formatCode(found[1]);
  }
});

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  withButtonsDisabled(async () => {
    await lookUpCode();
  });
});

async function lookUpCode() {
  hideMessage();
  input.removeAttribute("aria-invalid");
  code = formatCode(input.value);
  if (!/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/.test(code)) {
    showCodeError(codeSymbols(code) === "" ? strings.noCode : strings.malformedCode);
    return false;
  }
  // Keep the code in the address, so that it survives the sign-in page and a reload.
  history.replaceState(null, "", `${PAGE}?user_code=${code}`);
  showSection($("loading"));
  const answer = await call("GET", `${PATH}?user_code=${code}`);
  if (answer.status === 200) {
    renderRequest(answer.body);
    return true;
  }
  if (!handleRefusal(answer)) {
    const { title, text } = describeError(answer);
    finishPage(title, [text], answer.status === 403 ? signOutAction() : reloadButton());
  }
  return false;
}

function showCodeError({ title, text }) {
  showSection($("enter"));
  input.setAttribute("aria-invalid", "true");
  showMessage({ title, text });
}

// ---- review --------------------------------------------------------------------------------

function renderRequest(consent) {
  fillClientName(consent.client_name);
  code = consent.user_code;
  version = consent.client_version;
  $("shown-code").textContent = consent.user_code;
  const device = consent.device ?? {};
  $("address").textContent = consent.requested_address || device.address || strings.unknownAddress;
  $("user-agent").textContent = truncate(consent.requested_user_agent || device.user_agent) || strings.unknownUserAgent;
  $("requested").replaceChildren(timeElement(consent.requested_at ?? device.requested_at));
  renderClientDetails($("client-details"), consent);
  renderScopes($("scopes"), consent);
  $("expires").replaceChildren(...formatNodes(strings.expires, { time: timeElement(consent.expires_at) }));
  showSection($("review"));
  renderAccount($("account")).then(showRestored);
}

/** Fills in what was typed before the session ended. */
function showRestored() {
  const message = restoreDraft();
  if (message) showMessage(message, "good");
}

function truncate(text) {
  const clean = stripInvisible(text);
  return clean.length > 160 ? `${clean.slice(0, 160)}…` : clean;
}

// ---- decision ------------------------------------------------------------------------------

confirmPrivileged(() => sendDecision("approve"));
$("deny").addEventListener("click", () => withButtonsDisabled(() => sendDecision("deny")));

async function sendDecision(decision) {
  hideMessage();
  showProgress(messages.consent.progress);
  const answer = await call("POST", PATH, { user_code: code, decision, client_version: version, scopes: selectedScopes($("scopes")), device_name: $("device-name").value });
  showProgress("");
  if (answer.status === 200) {
    if (answer.body.status === "approved") {
      finishPage(strings.allowed.title, [strings.allowed.text]);
    } else {
      finishPage(strings.denied.title, [strings.denied.text]);
    }
    return false;
  }
  if (answer.status === 400 && answer.body.error === "consent_required") {
    input.value = code;
    if (await lookUpCode()) showMessage(messages.consent.changed);
    return false;
  }
  if (handleRefusal(answer)) return answer.status === 401;
  const { title, text } = describeError(answer);
  showMessage({ title, text: answer.status === 0 ? messages.failures.unconfirmed : text });
  return false;
}

function showProgress(text) {
  for (const place of document.querySelectorAll("[data-progress]")) place.textContent = text;
}

/** Handles final errors of the API. Returns false for other responses. */
function handleRefusal({ status, body }) {
  if (status === 401) {
    redirectToLogin();
    return true;
  }
  if (status !== 400 || typeof body.error !== "string") return false;

  if (body.error === "access_denied" && /claimed/.test(body.error_description)) {
    finishPage(strings.claimedByOther.title, [strings.claimedByOther.text], signOutAction());
  } else if (body.error === "access_denied") {
    const { title, text } = messages.consent.notPermitted;
    finishPage(title, [text], signOutAction());
  } else if (body.error === "invalid_request") {
    showCodeError(strings.wrongCode);
  } else {
    finishPage(messages.consent.cannotContinue, [protocolErrorDetail({ body }), strings.startAgain], linkButton(strings.otherCode, PAGE));
  }
  return true;
}

// ---- sign-out ------------------------------------------------------------------------------

// A shown code is bound to the account that opened it.
$("sign-out").addEventListener("click", () =>
  withButtonsDisabled(() =>
    endSession(() => {
      finishPage(strings.signedOut.title, [strings.signedOut.text], linkButton(strings.otherCode, PAGE));
      return false;
    }),
  ),
);

function signOutAction() {
  return signOutButton(messages.consent.signOut, () => {
    redirectToLogin();
    return true;
  });
}

// The back/forward cache restored the page: reload it, because the code may be used or expired.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
