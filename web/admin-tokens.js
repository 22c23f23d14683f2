// View of the refresh tokens, and revocation: of tokens, and of all access of a client or account.

import { fetchList, renderList, sortHref } from "./admin-list.js";
import { dataTable, selection } from "./admin-table.js";
import { call, serverNow, succeeded } from "./api.js";
import { clientName } from "./client-details.js";
import { confirmAction } from "./dialog.js";
import { formatList, formatPlural, formatText, messages } from "./i18n.js";
import { showError } from "./layout.js";
import { button, el, showMessage, timeElement } from "./page.js";
import { accountLink, fetchPeople, personName } from "./people.js";

const PATH = "/api/admin/oauth/refresh-tokens";
const strings = messages.admin;

/** Renders the refresh tokens that match the filter. */
export async function tokens(view) {
  const { account: me, parameters } = view;
  const body = await fetchList(PATH, view);
  if (!body) return;
  const found = body.tokens ?? [];
  await fetchPeople(found.map((token) => token.account_id));
  if (!view.isCurrent()) return;
  const reload = () => tokens(view);
  const target = { account_id: parameters.get("account_id") || undefined, client_id: parameters.get("client_id") || undefined };
  const isNarrowed = target.account_id || target.client_id;
  const select = selection(strings.token.revokeSelected, (ids) => revokeTokens(ids, reload));
  const table = dataTable(strings.tokens, {
    columns: [
      { label: strings.table.selection },
      { label: strings.table.application },
      { label: strings.table.member },
      { label: strings.state },
      { label: strings.table.created, sort: "created" },
      { label: strings.table.used },
      { label: strings.table.expires },
    ],
    rows: found.map((token) => tokenCells(token, me, select)),
    sorted: parameters.get("sort") ?? "-created",
    hrefOf: sortHref("tokens", parameters),
  });
  renderList("tokens", parameters, {
    title: strings.tokens,
    about: strings.tokensAbout,
    fields: [
      { name: "client_id", label: strings.client },
      { name: "account_id", label: strings.account },
    ],
    body,
    table: found.length > 0 ? el("div", { class: "stack", "data-unsaved": "" }, select.bar, table) : null,
    more: isNarrowed ? [el("div", { class: "actions start" }, revokeAllButton(target, reload))] : [],
  });
}

function stateOf(token) {
  if (token.replaced_by_token_id) return "rotated"; // rotation revokes the token too
  if (token.revoked_at) return "revoked";
  return Date.parse(token.expires_at) <= serverNow() ? "expired" : "active";
}

function tokenCells(token, me, select) {
  const state = stateOf(token);
  const name = clientName(token.client_name);
  const issued = timeElement(token.createdAt);
  const label = formatText(strings.token.named, { name, person: personName(token.account_id), time: issued.textContent });
  return [
    state === "active" ? select.box(token.id, label) : null,
    el("a", { href: `#client/${encodeURIComponent(token.oauth_client_id)}` }, el("bdi", {}, name)),
    accountLink(token.account_id, me),
    el("span", { class: `mark ${state === "active" ? "good" : "over"}` }, strings.token[state]),
    issued,
    token.last_used_at ? timeElement(token.last_used_at) : null,
    state === "active" ? timeElement(token.expires_at) : null,
  ];
}

async function revokeTokens(ids, reload) {
  const { revokeQuestion: texts, revokeSelected: action, revokedMessage } = strings.token;
  if (!(await confirmAction({ title: formatPlural(texts.title, ids.length), text: texts.text, action }))) return;
  const answer = await call("POST", `${PATH}/revoke`, { ids });
  if (!succeeded(answer)) {
    showError(answer);
    return;
  }
  await reload();
  showMessage({ title: formatPlural(revokedMessage.title, answer.body.revoked), text: revokedMessage.text }, "good");
}

// ---- revocation ----------------------------------------------------------------------------

/** Creates a button that revokes all access of an account, of a client, or of a client to an account. A dry
 *  run counts first, so that the confirmation dialog can show the counts. */
export function revokeAllButton(target, then, label) {
  let text = label ?? strings.revokeAll.ofAccount;
  if (target.client_id && !label) text = target.account_id ? strings.revokeAll.ofBoth : strings.revokeAll.ofClient;
  return button(
    text,
    async () => {
      const counted = await call("POST", "/api/admin/oauth/revoke", { ...target, dry_run: true });
      if (!succeeded(counted)) return showError(counted);
      if (formatCounts(counted.body).figures === "") return showMessage(strings.revokeAll.nothing, "good");
      const question = { title: strings.revokeAll.title, text: formatText(strings.revokeAll.text, formatCounts(counted.body)), action: strings.revokeAll.action };
      if (!(await confirmAction(question))) return undefined;
      const ended = await call("POST", "/api/admin/oauth/revoke", target);
      if (!succeeded(ended)) return showError(ended);
      await then();
      return showMessage({ title: strings.revokeAll.done.title, text: formatText(strings.revokeAll.done.text, formatCounts(ended.body)) }, "good");
    },
    "quiet-danger",
  );
}

/** Formats the counts of revoked objects; zero counts are left out. */
function formatCounts(body) {
  const kinds = { grants: "grants", refresh_tokens: "tokens", codes: "codes", device_authorizations: "devices" };
  const present = Object.entries(kinds).filter(([name]) => body[name] > 0);
  return { figures: formatList(present.map(([name, kind]) => formatPlural(strings.revokeAll[kind], body[name]))) };
}
