// The keys that sign tokens, as everybody can fetch them.

import { presentPart, read } from "./admin_list.js";
import { copyable } from "./secret.js";
import { empty } from "./frame.js";
import { el } from "./page.js";
import { texts } from "./words.js";

const PATH = "/api/oauth/jwks";
const words = texts.admin;

/** Shows the keys. */
export async function keys(view) {
  const body = await read(PATH, { ...view, parameters: new URLSearchParams() });
  if (!body) return;
  const shown = (body.keys ?? []).map(({ kid, alg, use, kty }) => {
    const rows = [
      [words.key.alg, alg],
      [words.key.use, words.key.uses[use] ?? use],
      [words.key.type, kty],
    ].filter(([, fact]) => fact);
    return el("div", { class: "values" }, copyable(words.key.current, kid), el("dl", {}, ...rows.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)])));
  });
  presentPart(
    "keys",
    words.keys,
    el("p", { class: "lead" }, words.keysAbout),
    ...(shown.length > 0 ? shown : [empty(words.empty)]),
    el("p", {}, el("a", { href: PATH }, words.keysDocument)),
  );
}
