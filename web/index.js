// The front page: what this server is, and a person's own pages.

import { call } from "./api.js";
import { holds, signedInAs, whoIsIt } from "./account.js";
import { $, el, once, say } from "./page.js";
import { endSession } from "./ways.js";
import { filled, texts } from "./words.js";

const words = texts.index;
const discovery = "/.well-known/openid-configuration";
$("discovery").replaceChildren(...filled(words.developersText, { discovery: el("a", { href: discovery }, words.discovery) }));
$("issuer").textContent = location.origin;

const device = door("/oauth/consent", words.device, words.deviceHint);

guest();
load();

async function load() {
  const [who, metadata] = await Promise.all([whoIsIt(), call("GET", discovery)]);
  if (typeof metadata.body.issuer === "string") $("issuer").textContent = metadata.body.issuer;
  if (who.status === 200) member(who.body.account);
}

function guest() {
  $("account").hidden = true;
  $("doors").replaceChildren(device, door("/login", words.signIn, words.signInHint));
}

function member(account) {
  if (account) $("account").replaceChildren(...signedInAs(account), ".");
  $("account").hidden = !account;
  const doors = [
    device,
    door("/settings/applications", words.applications, words.applicationsHint),
    door("/settings/clients", words.clients, words.clientsHint),
    door("/settings/access-keys", words.accessKeys, words.accessKeysHint),
    door("/settings/security", words.security, words.securityHint),
  ];
  if (holds(account, "ADMINISTRATOR")) doors.push(door("/admin/oauth", words.admin, words.adminHint));
  $("doors").replaceChildren(...doors, signOutDoor());
}

function door(href, title, hint) {
  return el("li", {}, el("a", { href }, el("strong", {}, title), el("span", {}, hint)));
}

function signOutDoor() {
  const button = el("button", { type: "button", id: "sign-out" }, el("strong", {}, words.signOut), el("span", {}, words.signOutHint));
  button.addEventListener("click", () =>
    once(() =>
      endSession(() => {
        guest();
        say(texts.frame.signedOut, "good");
        return false;
      }),
    ),
  );
  return el("li", {}, button);
}
