// The recent errors of a client: what was sent, what the server answered, and what to change.

import { call, describeError } from "./api.js";
import { formatNodes, formatPlural, messages } from "./i18n.js";
import { emptyState, facts, subListItem } from "./layout.js";
import { button, el, timeElement } from "./page.js";
import { stripInvisible } from "./text.js";

const strings = messages.clients.errors;
const AT_ONCE = 10; // errors before the rest is folded

/** Fetches the errors at `path` and returns them as a section of the page. */
export async function errorsPart(path) {
  const list = el("div", { class: "stack", role: "status" });
  const update = async () => list.replaceChildren(...errorNodes(await call("GET", path)));
  await update();
  return el(
    "section",
    { id: "errors", "aria-labelledby": "errors-title" },
    el("h2", { id: "errors-title" }, strings.heading),
    el("p", { class: "hint" }, strings.about),
    list,
    el("div", { class: "actions start" }, button(strings.refresh, update)),
  );
}

function errorNodes(answer) {
  if (answer.status !== 200) {
    const { title, text } = describeError(answer);
    return [el("p", {}, el("strong", {}, title)), el("p", {}, text)];
  }
  const items = (answer.body.errors ?? []).map(errorItem);
  if (items.length === 0) return [emptyState(strings.empty)];
  const list = (some) => el("ul", { class: "items" }, ...some);
  const rest = items.slice(AT_ONCE);
  if (rest.length === 0) return [list(items)];
  return [list(items.slice(0, AT_ONCE)), el("details", {}, el("summary", {}, formatPlural(strings.more, rest.length)), list(rest))];
}

function errorItem({ count, description, endpoint, error, first_at: first, hint, last_at: last, mistake, value }) {
  const since = count > 1 ? el("span", {}, `${formatPlural(strings.times, count)} `, ...formatNodes(strings.since, { time: timeElement(first) })) : null;
  const rows = [
    [strings.sent, value ? el("code", {}, stripInvisible(value)) : null],
    [strings.answer, el("bdi", { lang: "en" }, stripInvisible(description))],
    [strings.change, strings.hints[mistake] ?? hint],
  ];
  const given = rows.filter(([, fact]) => fact !== null);
  return subListItem(el("code", {}, error), [
    facts(timeElement(last), el("code", {}, endpoint), since),
    el("dl", {}, ...given.flatMap(([term, fact]) => [el("dt", {}, term), el("dd", {}, fact)])),
  ]);
}
