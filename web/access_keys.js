// A person's own access keys.

import { call, now, succeeded } from "./api.js";
import { visible } from "./asker.js";
import { ask } from "./dialog.js";
import { empty, enter, facts, fail, item, present, refuse, views } from "./frame.js";
import { button, el, instant, once, say, unsay } from "./page.js";
import { copyable } from "./secret.js";
import { filled, line, many, texts } from "./words.js";

const PATH = "/api/auth/access-keys";
const DAY = 24 * 3600 * 1000;
const words = texts.accessKeys;

if (await enter("accessKeys")) views((_, __, isCurrent) => overview(isCurrent));

async function overview(isCurrent = () => true) {
  const answer = await call("GET", PATH);
  if (!isCurrent()) return;
  const about = el("p", { class: "lead" }, words.about);
  if (answer.status === 403) {
    present(words.heading, about, empty(words.notAllowed));
    return;
  }
  if (answer.status !== 200) {
    fail(answer);
    return;
  }
  const keys = (answer.body.keys ?? []).toReversed(); // newest first
  const works = ({ enabled, expires_at: end }) => enabled && !(end && Date.parse(end) <= now());
  const live = keys.filter(works);
  const former = keys.filter((key) => !works(key));
  const nodes = [live.length === 0 ? empty(words.empty) : el("ul", { class: "items" }, ...live.map(shown))];
  if (former.length > 0) {
    nodes.push(el("details", {}, el("summary", {}, many(words.former, former.length)), el("ul", { class: "items" }, ...former.map(formerly))));
  }
  present(words.heading, about, ...nodes, creation());
}

function nameOf(key) {
  return visible(key.name) || key.id;
}

function shown(key) {
  const name = nameOf(key);
  const remove = button(texts.accessKeys.remove, async () => {
    const question = { title: line(words.removeAsk.title, { name }), text: words.removeAsk.text, action: words.remove };
    if (!(await ask(question))) return;
    const answer = await call("DELETE", `${PATH}/${encodeURIComponent(key.id)}`);
    if (succeeded(answer) || answer.status === 404) {
      await overview();
      say({ title: line(words.removed.title, { name }), text: words.removed.text }, "good");
    } else {
      refuse(answer);
    }
  });
  remove.setAttribute("aria-label", line(words.removeNamed, { name }));
  const end = key.expires_at ? filled(words.ends, { time: instant(key.expires_at) }) : words.endless;
  return item(el("bdi", {}, name), [facts(filled(words.made, { time: instant(key.createdAt) }), end)], remove);
}

function formerly(key) {
  const end = key.enabled ? filled(words.ended, { time: instant(key.expires_at) }) : words.deleted;
  return item(el("bdi", {}, nameOf(key)), [facts(filled(words.made, { time: instant(key.createdAt) }), end)]);
}

// ---- a new one -----------------------------------------------------------------------------

function creation() {
  const name = el("input", { id: "name", type: "text", maxlength: "64", autocomplete: "off", "aria-describedby": "name-hint" });
  const ends = el("select", { id: "expires" });
  for (const days of [7, 30, 90, 365, 0]) {
    ends.append(el("option", { value: String(days), selected: days === 90 }, words.expiries[days]));
  }
  const form = el(
    "form",
    { method: "post", novalidate: true, class: "slim" },
    el("div", { class: "field" }, el("label", { for: "name" }, words.name), name, el("p", { class: "hint", id: "name-hint" }, words.nameHint)),
    el("div", { class: "field" }, el("label", { for: "expires" }, words.expires), ends),
    el("div", { class: "actions start" }, el("button", { class: "primary", type: "submit" }, words.submit)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    once(() => create(name, Number(ends.value)));
  });
  return el("section", { "aria-labelledby": "create" }, el("h2", { id: "create" }, words.create), form);
}

async function create(input, days) {
  unsay();
  input.removeAttribute("aria-invalid");
  const name = input.value.trim();
  if (name === "") {
    input.setAttribute("aria-invalid", "true");
    say(words.nameless);
    return;
  }
  const wanted = { name };
  if (days > 0) wanted.expires_at = new Date(now() + days * DAY).toISOString();
  const answer = await call("POST", PATH, wanted);
  if (!succeeded(answer)) {
    refuse(answer);
    return;
  }
  present(
    line(words.created.title, { name: nameOf(answer.body) }),
    el("p", {}, words.created.text),
    copyable(words.secret, answer.body.secret, words.secretHint),
    el("div", { class: "actions start" }, button(words.done, () => overview(), "primary")),
  );
}
