// The front page: description of the server and links to the pages.

import { fetchSession, hasPermission, signedInAs } from "./account.js";
import { call } from "./api.js";
import { formatNodes, messages } from "./i18n.js";
import { endSession } from "./navigation.js";
import { showNewSignIns } from "./origins.js";
import { $, el, showMessage, withButtonsDisabled } from "./page.js";

const strings = messages.index;
const discovery = "/.well-known/openid-configuration";
$("discovery").replaceChildren(...formatNodes(strings.developersText, { discovery: el("a", { href: discovery }, strings.discovery) }));
$("issuer").textContent = location.origin;

const deviceShortcut = shortcut("/oauth/consent", strings.device, strings.deviceHint);

renderSignedOut();
load();

async function load() {
  const [session, metadata] = await Promise.all([fetchSession(), call("GET", discovery)]);
  if (typeof metadata.body.issuer === "string") $("issuer").textContent = metadata.body.issuer;
  if (session.status !== 200) return;
  renderSignedIn(session.body.account);
  showNewSignIns(session.body.sessions);
}

function renderSignedOut() {
  $("account").hidden = true;
  $("shortcuts").replaceChildren(deviceShortcut, shortcut("/login", strings.signIn, strings.signInHint));
}

function renderSignedIn(account) {
  if (account) $("account").replaceChildren(...signedInAs(account), ".");
  $("account").hidden = !account;
  const shortcuts = [
    deviceShortcut,
    shortcut("/settings/applications", strings.applications, strings.applicationsHint),
    shortcut("/settings/clients", strings.clients, strings.clientsHint),
    shortcut("/settings/access-keys", strings.accessKeys, strings.accessKeysHint),
    shortcut("/settings/security", strings.security, strings.securityHint),
  ];
  if (hasPermission(account, "ADMINISTRATOR")) shortcuts.push(shortcut("/admin/oauth", strings.admin, strings.adminHint));
  shortcuts.push(shortcut("/login?prompt=select_account", strings.otherAccount, strings.otherAccountHint));
  $("shortcuts").replaceChildren(...shortcuts, signOutShortcut());
}

function shortcut(href, title, hint) {
  return el("li", {}, el("a", { href }, el("strong", {}, title), el("span", {}, hint)));
}

function signOutShortcut() {
  const button = el("button", { type: "button", id: "sign-out" }, el("strong", {}, strings.signOut), el("span", {}, strings.signOutHint));
  button.addEventListener("click", () =>
    withButtonsDisabled(() =>
      endSession(() => {
        renderSignedOut();
        showMessage(messages.layout.signedOut, "good");
        return false;
      }),
    ),
  );
  return el("li", {}, button);
}
