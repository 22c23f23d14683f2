// Everybody's refresh tokens, and the end of what was granted.

import { accountName, presentList, read } from "./admin_list.js";
import { call, now, succeeded } from "./api.js";
import { clientName } from "./asker.js";
import { ask } from "./dialog.js";
import { facts, item, refuse } from "./frame.js";
import { button, el, instant, say } from "./page.js";
import { filled, line, listed, many, texts } from "./words.js";

const PATH = "/api/admin/oauth/refresh-tokens";
const words = texts.admin;

/** Shows the tokens that a filter finds. */
export async function tokens(view) {
  const { account: me, parameters } = view;
  const body = await read(PATH, view);
  if (!body) return;
  const again = () => tokens(view);
  const target = { account_id: parameters.get("account_id") || undefined, client_id: parameters.get("client_id") || undefined };
  const isNarrowed = target.account_id || target.client_id;
  presentList("tokens", parameters, {
    title: words.tokens,
    about: words.tokensAbout,
    fields: [
      { name: "client_id", label: words.client },
      { name: "account_id", label: words.account },
    ],
    body,
    items: (body.tokens ?? []).map((token) => shown(token, me, again)),
    more: isNarrowed ? [el("div", { class: "actions start" }, endButton(target, again))] : [],
  });
}

function stateOf(token) {
  if (token.replaced_by_token_id) return "used"; // which revokes it too
  if (token.revoked_at) return "revoked";
  return Date.parse(token.expires_at) <= now() ? "expired" : "live";
}

function shown(token, me, again) {
  const state = stateOf(token);
  const name = clientName(token.client_name);
  const issued = instant(token.createdAt);
  const actions = [];
  if (state === "live") {
    const revoke = button(words.token.revoke, async () => {
      const question = { title: line(words.token.ask.title, { name }), text: words.token.ask.text, action: words.token.revoke };
      if (!(await ask(question))) return;
      const answer = await call("DELETE", `${PATH}/${encodeURIComponent(token.id)}`);
      if (succeeded(answer) || answer.status === 404) {
        await again();
        say(words.token.ended, "good");
      } else {
        refuse(answer);
      }
    });
    revoke.setAttribute("aria-label", line(words.token.revokeNamed, { name, time: issued.textContent }));
    actions.push(revoke);
  }
  const title = [el("a", { href: `#client/${encodeURIComponent(token.oauth_client_id)}` }, el("bdi", {}, name)), " ", el("span", { class: `mark ${state === "live" ? "good" : "over"}` }, words.token[state])];
  return item(
    title,
    [
      facts(filled(words.accountOf, { account: accountName(token.account_id, me) })),
      facts(
        filled(words.token.issued, { time: issued }),
        token.last_used_at ? filled(words.token.lastUsed, { time: instant(token.last_used_at) }) : null,
        state === "live" ? filled(words.token.ends, { time: instant(token.expires_at) }) : null,
      ),
    ],
    ...actions,
  );
}

// ---- the end of what was granted -----------------------------------------------------------

/** A button that ends what an account approved, a client was given, or the one gave the other. It
 *  counts first and asks with the figures. */
export function endButton(target, then) {
  let text = words.end.ofAccount;
  if (target.client_id) text = target.account_id ? words.end.ofBoth : words.end.ofClient;
  return button(
    text,
    async () => {
      const counted = await call("POST", "/api/admin/oauth/revoke", { ...target, dry_run: true });
      if (!succeeded(counted)) return refuse(counted);
      if (figures(counted.body).figures === "") return say(words.end.nothing, "good");
      const question = { title: words.end.title, text: line(words.end.text, figures(counted.body)), action: words.end.action };
      if (!(await ask(question))) return undefined;
      const ended = await call("POST", "/api/admin/oauth/revoke", target);
      if (!succeeded(ended)) return refuse(ended);
      await then();
      return say({ title: words.end.done.title, text: line(words.end.done.text, figures(ended.body)) }, "good");
    },
    "quiet-danger",
  );
}

/** What is ended, in words; what there is none of is left out. */
function figures(body) {
  const kinds = { grants: "grants", refresh_tokens: "tokens", codes: "codes", device_authorizations: "devices" };
  const there = Object.entries(kinds).filter(([name]) => body[name] > 0);
  return { figures: listed(there.map(([name, kind]) => many(words.end[kind], body[name]))) };
}
