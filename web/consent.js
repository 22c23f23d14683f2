// The consent page of the authorization code flow: who asks, where the answer goes, what it
// gives. The API decides; this page asks and then goes where the API says.

import { call, failure, signOut } from "./api.js";
import {
  $, clientName, el, finish, forgetSignIn, goToLogin, hostName, instant, leave, linkButton,
  nameClient, once, reloadButton, say, show, showScopes, tryUrl, unsay,
} from "./page.js";

const PATH = "/api/oauth/authorize/consent";
const requestId = new URLSearchParams(location.search).get("request_id") ?? "";
let request; // what the API told about the request

const START_AGAIN = "Go back to the application and start again from there.";

load();

async function load() {
  const answer = await call("GET", `${PATH}?request_id=${encodeURIComponent(requestId)}`);
  if (answer.status === 200) {
    review(answer.body);
  } else if (!refused(answer)) {
    const { title, text } = failure(answer);
    finish(title, [text], answer.status === 403 ? signOutButton("Sign out", signedOut) : reloadButton());
  }
}

function review(consent) {
  request = consent;
  nameClient(consent.client_name);
  destination(consent.redirect_uri);
  $("redirect-uri").textContent = consent.redirect_uri;
  $("client-id").textContent = consent.client_id;
  showScopes($("scopes"), consent);
  $("expires").replaceChildren("This request ends ", instant(consent.expires_at), ".");
  show($("review"));
}

/** Shows where the answer goes: a host, this computer, or an app. */
function destination(redirectUri) {
  const url = tryUrl(redirectUri);
  const web = url !== null && ["https:", "http:"].includes(url.protocol);
  const warn = (text) => {
    $("host-warning").textContent = text;
    $("host-warning").hidden = false;
  };
  if (!web) {
    const scheme = url?.protocol ?? redirectUri;
    $("host").textContent = scheme;
    $("host-note").textContent = `The app on this device that opens links beginning with ${scheme}`;
    warn("Only go on if you have just started this in an app on this device. Another app could claim the same links.");
  } else if (isLoopback(url.hostname)) {
    $("host").textContent = url.host;
    $("host-note").textContent = "This computer only: a program that runs on it.";
    warn("Only go on if you have just started that program yourself. Any program on this computer could be behind this address.");
  } else {
    // `host` is in its ASCII form, so look-alike letters show as xn--.
    $("host").replaceChildren(...hostName(url.host));
    $("host-note").textContent = "Names can be chosen freely, this address cannot. Deny if you do not know it.";
    const deep = url.hostname.split(".").length > 3 && !/^[\d.]+$/.test(url.hostname);
    if (deep) $("host-note").append(" Its end says whose it is, not its beginning.");
    if (url.protocol === "http:") warn("The connection to this address is not encrypted.");
  }
}

function isLoopback(host) {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

for (const [id, decision] of [["allow", "approve"], ["deny", "deny"]]) {
  $(id).addEventListener("click", () => once(() => decide(decision)));
}

async function decide(decision) {
  unsay();
  $("progress").textContent = "Sending your answer…";
  const answer = await call("POST", PATH, { request_id: requestId, decision });
  $("progress").textContent = "";
  if (answer.status === 200) {
    goBack(answer.body.status === "approved" ? "Allowed" : "Denied", answer.body.location);
    return true;
  }
  if (refused(answer)) return answer.status === 401;
  const { title, text } = failure(answer);
  say({ title, text: answer.status === 0 ? "Your answer may not have arrived. Try again." : text });
  return false;
}

/** Goes back to the client with what the API has for it. */
function goBack(title, target) {
  const name = request ? clientName(request.client_name) : "the application";
  if (!leave(target)) {
    finish("This application cannot be opened", ["The address it gave is not one a browser may go to. Tell its developer."]);
  } else if (/^https?:/i.test(target)) {
    finish(title, [`Taking you back to ${name}…`]);
  } else {
    finish(title, [`Your browser now opens ${name}. When it has, you can close this page.`], linkButton("Open the app", target));
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
    goBack("This request cannot go on", body.location);
  } else if (body.error === "access_denied") {
    finish(
      "Your account may not allow applications",
      ["You lack the permission for it in this community. An administrator can give it to you.", START_AGAIN],
      signOutButton("Sign out", signedOut),
    );
  } else if (body.error === "invalid_request") {
    finish(
      "This request is over",
      ["It has expired, it was answered before, or another account started it.", START_AGAIN],
      signOutButton("Sign in as another account", goToLogin),
    );
  } else {
    finish("This request cannot go on", [`${body.error_description ?? body.error}.`, START_AGAIN]);
  }
  return true;
}

async function endSession(then) {
  if (await signOut()) {
    forgetSignIn();
    then();
  } else {
    say({ title: "You are not signed out", text: "The server did not confirm it. Try again." });
  }
}

// A request belongs to the account that opened it: whoever signs in next must start again.
function signedOut() {
  finish("You are signed out", ["To go on as somebody else, go back to the application and start again from there."]);
}

function signOutButton(text, then) {
  const button = el("button", { type: "button" }, text);
  button.addEventListener("click", () => once(() => endSession(then)));
  return button;
}

$("sign-out").addEventListener("click", () => once(() => endSession(signedOut)));
