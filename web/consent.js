// The consent page of the authorization code flow: shows the client, the redirect URI and the scopes, sends the
// decision to the API, and redirects to the location of the response.

import { renderAccount } from "./account.js";
import { call, describeError, protocolErrorDetail } from "./api.js";
import { clientName, fillClientName, renderClientDetails, renderRedirectUri, renderScopes, selectedScopes } from "./client-details.js";
import { confirmPrivileged } from "./confirm.js";
import { formatNodes, formatText, messages } from "./i18n.js";
import { endSession, redirectTo, redirectToLogin, signOutButton } from "./navigation.js";
import { $, finishPage, hideMessage, linkButton, reloadButton, showMessage, showSection, timeElement, withButtonsDisabled } from "./page.js";

const PATH = "/api/oauth/authorize/consent";
const strings = messages.consent;
const requestId = new URLSearchParams(location.search).get("request_id") ?? "";
let request; // the consent request of the API

loadRequest({ mayRepeat: true });

/** Loads and shows the request. With `mayRepeat`, a request that a remembered approval covers is granted without
 *  showing it: the user signed in on the way to this page. */
async function loadRequest({ mayRepeat = false } = {}) {
  const answer = await call("GET", `${PATH}?request_id=${encodeURIComponent(requestId)}`);
  if (answer.status === 200) {
    request = answer.body;
    if (mayRepeat && request.remembered === true && (await repeatApproval())) return true;
    renderRequest(request);
    return true;
  }
  if (!handleRefusal(answer)) {
    const { title, text } = describeError(answer);
    finishPage(title, [text], answer.status === 403 ? signOutButton(strings.signOut, finishSignedOut) : reloadButton());
  }
  return false;
}

/** Grants the request by a remembered approval. Returns false if the page is needed. */
async function repeatApproval() {
  const answer = await call("POST", PATH, { request_id: requestId, decision: "repeat" });
  if (answer.status !== 200) return false;
  returnToClient(strings.allowed, answer.body.location);
  return true;
}

function renderRequest(consent) {
  fillClientName(consent.client_name);
  renderRedirectUri(consent);
  $("redirect-uri").textContent = consent.redirect_uri;
  renderClientDetails($("client-details"), consent);
  renderScopes($("scopes"), consent);
  $("remembers").hidden = consent.remembers !== true;
  $("expires").replaceChildren(...formatNodes(strings.expires, { time: timeElement(consent.expires_at) }));
  showSection($("review"));
  renderAccount($("account"));
}

confirmPrivileged(() => sendDecision("approve"));
$("deny").addEventListener("click", () => withButtonsDisabled(() => sendDecision("deny")));

async function sendDecision(decision) {
  hideMessage();
  showProgress(strings.progress);
  const answer = await call("POST", PATH, {
    request_id: requestId,
    decision,
    client_version: request?.client_version,
    granted_claims: (request?.requested_claims ?? []).map(({ name }) => name),
    scopes: selectedScopes($("scopes")),
  });
  showProgress("");
  if (answer.status === 200) {
    returnToClient(answer.body.status === "approved" ? strings.allowed : strings.denied, answer.body.location);
    return true;
  }
  if (answer.status === 400 && answer.body.error === "consent_required") {
    if (await loadRequest()) showMessage(strings.changed);
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

/** Redirects to the client with the authorization response. */
function returnToClient(title, target) {
  const client = request ? clientName(request.client_name) : messages.common.unnamedClient;
  if (!redirectTo(target)) {
    finishPage(strings.cannotOpen.title, [strings.cannotOpen.text]);
  } else if (/^https?:/i.test(target)) {
    finishPage(title, [request ? formatText(strings.back, { client }) : strings.backToUnnamed]);
  } else {
    finishPage(title, [formatText(strings.backToApp, { client })], linkButton(strings.openApp, target));
  }
}

/** Handles final errors of the API. Returns false for other responses. */
function handleRefusal({ status, body }) {
  if (status === 401) {
    redirectToLogin();
    return true;
  }
  if (status !== 400 || typeof body.error !== "string") return false;

  if (typeof body.location === "string") {
    returnToClient(strings.cannotContinue, body.location);
  } else if (body.error === "access_denied") {
    const { title, text } = strings.notPermitted;
    finishPage(title, [text, strings.startAgain], signOutButton(strings.signOut, finishSignedOut));
  } else if (body.error === "invalid_request") {
    const { title, text } = strings.unavailable;
    finishPage(title, [text, strings.startAgain], signOutButton(strings.otherAccount, finishAtLogin));
  } else {
    finishPage(strings.cannotContinue, [protocolErrorDetail({ body }), strings.startAgain]);
  }
  return true;
}

// An authorization request is bound to the account that opened it: another account must start again.
function finishSignedOut() {
  finishPage(strings.signedOut.title, [strings.signedOut.text]);
  return true;
}

function finishAtLogin() {
  redirectToLogin();
  return true;
}

$("sign-out").addEventListener("click", () => withButtonsDisabled(() => endSession(finishSignedOut)));

// The back/forward cache restored the page: reload it, because the request may be decided or expired.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
