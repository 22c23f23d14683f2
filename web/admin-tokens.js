// View of the refresh tokens, and revocation of all access of a client or account.

import { accountLink, fetchList, renderList } from "./admin-list.js";
import { call, serverNow, succeeded } from "./api.js";
import { clientName } from "./client-details.js";
import { confirmAction } from "./dialog.js";
import { formatList, formatNodes, formatPlural, formatText, messages } from "./i18n.js";
import { facts, listItem, showError } from "./layout.js";
import { button, el, showMessage, timeElement } from "./page.js";

const PATH = "/api/admin/oauth/refresh-tokens";
const strings = messages.admin;

/** Renders the refresh tokens that match the filter. */
export async function tokens(view) {
  const { account: me, parameters } = view;
  const body = await fetchList(PATH, view);
  if (!body) return;
  const reload = () => tokens(view);
  const target = { account_id: parameters.get("account_id") || undefined, client_id: parameters.get("client_id") || undefined };
  const isNarrowed = target.account_id || target.client_id;
  renderList("tokens", parameters, {
    title: strings.tokens,
    about: strings.tokensAbout,
    fields: [
      { name: "client_id", label: strings.client },
      { name: "account_id", label: strings.account },
    ],
    body,
    items: (body.tokens ?? []).map((token) => tokenItem(token, me, reload)),
    more: isNarrowed ? [el("div", { class: "actions start" }, revokeAllButton(target, reload))] : [],
  });
}

function stateOf(token) {
  if (token.replaced_by_token_id) return "rotated"; // rotation revokes the token too
  if (token.revoked_at) return "revoked";
  return Date.parse(token.expires_at) <= serverNow() ? "expired" : "active";
}

function tokenItem(token, me, reload) {
  const state = stateOf(token);
  const name = clientName(token.client_name);
  const issued = timeElement(token.createdAt);
  const actions = [];
  if (state === "active") {
    const revoke = button(strings.token.revoke, async () => {
      const question = { title: formatText(strings.token.revokeQuestion.title, { name }), text: strings.token.revokeQuestion.text, action: strings.token.revoke };
      if (!(await confirmAction(question))) return;
      const answer = await call("DELETE", `${PATH}/${encodeURIComponent(token.id)}`);
      if (succeeded(answer) || answer.status === 404) {
        await reload();
        showMessage(strings.token.revokedMessage, "good");
      } else {
        showError(answer);
      }
    });
    revoke.setAttribute("aria-label", formatText(strings.token.revokeNamed, { name, time: issued.textContent }));
    actions.push(revoke);
  }
  const title = [el("a", { href: `#client/${encodeURIComponent(token.oauth_client_id)}` }, el("bdi", {}, name)), " ", el("span", { class: `mark ${state === "active" ? "good" : "over"}` }, strings.token[state])];
  return listItem(
    title,
    [
      facts(formatNodes(strings.accountOf, { account: accountLink(token.account_id, me) })),
      facts(
        formatNodes(strings.token.issued, { time: issued }),
        token.last_used_at ? formatNodes(strings.token.lastUsed, { time: timeElement(token.last_used_at) }) : null,
        state === "active" ? formatNodes(strings.token.expiresAt, { time: timeElement(token.expires_at) }) : null,
      ),
    ],
    ...actions,
  );
}

// ---- revocation ----------------------------------------------------------------------------

/** Creates a button that revokes all access of an account, of a client, or of a client to an account. A dry
 *  run counts first, so that the confirmation dialog can show the counts. */
export function revokeAllButton(target, then) {
  let text = strings.revokeAll.ofAccount;
  if (target.client_id) text = target.account_id ? strings.revokeAll.ofBoth : strings.revokeAll.ofClient;
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
