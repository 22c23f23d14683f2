// View of the public signing keys (the JWK set).

import { fetchList, renderAdminView } from "./admin-list.js";
import { copyable } from "./copyable.js";
import { messages } from "./i18n.js";
import { emptyState } from "./layout.js";
import { el } from "./page.js";

const PATH = "/api/oauth/jwks";
const strings = messages.admin;

/** Renders the keys. */
export async function keys(view) {
  const body = await fetchList(PATH, { ...view, parameters: new URLSearchParams() });
  if (!body) return;
  const shown = (body.keys ?? []).map(({ kid, alg, use, kty }) => {
    const rows = [
      [strings.key.alg, alg],
      [strings.key.use, strings.key.uses[use] ?? use],
      [strings.key.type, kty],
    ].filter(([, fact]) => fact);
    return el("div", { class: "values" }, copyable(strings.key.keyId, kid), el("dl", {}, ...rows.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)])));
  });
  renderAdminView(
    "keys",
    strings.keys,
    el("p", { class: "lead" }, strings.keysAbout),
    ...(shown.length > 0 ? shown : [emptyState(strings.empty)]),
    el("p", {}, el("a", { href: PATH }, strings.keysDocument)),
  );
}
