// View of the signing keys: states, rotation, and the revocation of a stolen key.

import { fetchList, renderAdminView } from "./admin-list.js";
import { call, succeeded } from "./api.js";
import { confirmAction } from "./dialog.js";
import { formatList, formatNodes, formatPlural, formatText, messages } from "./i18n.js";
import { emptyState, facts, listItem, showError } from "./layout.js";
import { redirectToLogin } from "./navigation.js";
import { button, el, finishPage, showMessage, timeElement } from "./page.js";

const PATH = "/api/admin/oauth/keys";
const strings = messages.admin.key;

/** The kinds of counts of a revocation, in the order of the dialog. */
const KINDS = ["sessions", "access_keys", "grants", "refresh_tokens", "codes", "device_authorizations", "remembered_consents"];

/** Renders the keys. */
export async function keys(view) {
  const body = await fetchList(PATH, { ...view, parameters: new URLSearchParams() });
  if (!body) return;
  const page = { rotated: body.rotated_algorithms ?? [], reload: () => keys(view) };
  const found = body.keys ?? [];
  renderAdminView(
    "keys",
    messages.admin.keys,
    el("p", { class: "lead" }, messages.admin.keysAbout),
    found.length > 0 ? el("ul", { class: "items" }, ...found.map((key) => keyItem(key, page))) : emptyState(messages.admin.empty),
    el("p", {}, el("a", { href: "/api/oauth/jwks" }, messages.admin.keysDocument)),
  );
}

function keyItem(key, page) {
  const isLive = key.state === "current" || key.state === "next";
  const kind = isLive ? "good" : "over";
  const title = [el("code", {}, key.kid), " ", el("span", { class: `mark ${kind}` }, strings.states[key.state] ?? key.state)];
  const at = (message, time) => (time ? formatNodes(message, { time: timeElement(time) }) : null);
  const signs = key.state === "next" ? strings.signsFrom : strings.signedFrom;
  const lines = [
    facts(formatText(strings.algorithm, { algorithm: key.algorithm }), strings.about[key.state], key.source === "settings" ? strings.fromSettings : null),
    facts(
      at(strings.publishedFrom, key.created_at),
      at(signs, key.signs_from),
      at(strings.publishedUntil, key.published_until),
      at(strings.revokedAt, key.revoked_at),
    ),
  ];
  return listItem(title, lines, ...keyActions(key, page));
}

function keyActions(key, page) {
  const actions = [];
  if (key.source !== "database") return actions;
  if (key.state === "current" && page.rotated.includes(key.algorithm)) {
    const rotate = button(strings.rotate, () => rotateKey(key, page));
    rotate.setAttribute("aria-label", formatText(strings.rotateNamed, key));
    actions.push(rotate);
  }
  if (key.state !== "revoked") {
    const revoke = button(strings.revoke, () => revokeKey(key, page), "quiet-danger");
    revoke.setAttribute("aria-label", formatText(strings.revokeNamed, key));
    actions.push(revoke);
  }
  return actions;
}

async function rotateKey(key, page) {
  const { title, text } = strings.rotateQuestion;
  if (!(await confirmAction({ title: formatText(title, key), text, action: strings.rotate, kind: "primary" }))) return;
  const answer = await call("POST", `${PATH}/rotate`, { algorithm: key.algorithm });
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  await page.reload();
  showMessage(strings.rotated, "good");
}

/** Revokes a key after a dry run, so that the dialog can show the counts. */
async function revokeKey(key, page) {
  const path = `${PATH}/${encodeURIComponent(key.kid)}/revoke`;
  const counted = await call("POST", `${path}?dry_run=true`);
  if (!succeeded(counted)) {
    showError(counted);
    return;
  }
  const { title, text, nothing } = strings.revokeQuestion;
  const figures = formatCounts(counted.body);
  const question = { title: formatText(title, key), text: figures === "" ? nothing : formatText(text, { figures }), action: strings.revoke };
  if (!(await confirmAction(question))) return;
  const ended = await call("POST", path);
  if (!succeeded(ended)) {
    showError(ended);
    return;
  }
  await showRevoked(ended.body, page);
}

/** Shows the counts of a revocation, which may have ended the session of this page. */
async function showRevoked(body, page) {
  const { title, text, signedOut } = strings.revoked;
  const figures = formatCounts(body) || strings.none;
  const answer = await call("GET", PATH);
  if (answer.status === 401) {
    const signIn = button(messages.login.submit, () => {
      redirectToLogin();
      return true;
    }, "primary");
    finishPage(title, [formatText(text, { figures }), signedOut], signIn);
    return;
  }
  await page.reload();
  showMessage({ title, text: formatText(text, { figures }) }, "good");
}

/** Formats the counts of ended objects; zero counts are left out. */
function formatCounts(body) {
  const present = KINDS.filter((kind) => body[kind] > 0);
  return formatList(present.map((kind) => formatPlural(strings.counts[kind], body[kind])));
}
