// What the parts of the administration share: the way between them, filters, and how things are named.

import { call } from "./api.js";
import { empty, fail, pager, present } from "./frame.js";
import { el } from "./page.js";
import { texts } from "./words.js";

const words = texts.admin;

/** The parts, in the order of the page. */
export const VIEWS = ["clients", "tokens", "devices", "connections", "audit", "keys"];

/** The address of a view with a filter; what is empty is left out. */
export function address(view, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  return query.size > 0 ? `#${view}?${query}` : `#${view}`;
}

/** Says that the page is for administrators. */
export function forbidden() {
  present(words.heading, empty(words.notAllowed));
}

/** Shows a part below the way between the parts. */
export function presentPart(view, title, ...nodes) {
  const links = VIEWS.map((name) =>
    el("li", {}, el("a", { href: `#${name}`, "aria-current": name === view ? "page" : undefined }, words[name])),
  );
  const ways = el("nav", { class: "tabs", "aria-label": words.views }, el("ul", {}, ...links));
  present(title, ways, ...nodes);
}

/** Reads a page of a list. Returns the body, or null when there is nothing to show. */
export async function read(path, { parameters, isCurrent }) {
  const answer = await call("GET", parameters.size > 0 ? `${path}?${parameters}` : path);
  if (!isCurrent()) return null;
  if (answer.status === 200) return answer.body;
  if (answer.status === 403) forbidden();
  else fail(answer);
  return null;
}

/** Shows a list with its filter and the links to its pages. */
export function presentList(view, parameters, { title, about, fields, body, items, more = [] }) {
  const isFiltered = [...parameters.keys()].some((name) => name !== "page");
  const filter = fields ? [filterForm(view, parameters, fields, isFiltered)] : [];
  const at = (page) => {
    const target = new URLSearchParams(parameters);
    target.set("page", page);
    return `#${view}?${target}`;
  };
  const list =
    items.length > 0
      ? [el("ul", { class: "items" }, ...items), pager(body, at)]
      : [empty(isFiltered ? words.nothingFound : words.empty)];
  presentPart(view, title, el("p", { class: "lead" }, about), ...filter, ...more, ...list);
}

/** A form that puts its fields into the address: `[{ name, label, type, options }]`. */
function filterForm(view, parameters, fields, isFiltered) {
  const inputs = fields.map(({ name, label, type = "search", options }) => {
    const id = `filter-${name}`;
    const value = parameters.get(name) ?? "";
    let input;
    if (options) {
      const all = el("option", { value: "" }, words.all);
      const others = Object.entries(options).map(([key, text]) => el("option", { value: key, selected: key === value }, text));
      input = el("select", { id }, all, ...others);
    } else {
      input = el("input", { id, type, value: type === "date" ? value.slice(0, 10) : value, autocomplete: "off", spellcheck: "false" });
    }
    return { name, input, field: el("div", { class: "field" }, el("label", { for: id }, label), input) };
  });
  const form = el(
    "form",
    { class: "filter", role: "search", "aria-label": words.filter },
    ...inputs.map(({ field }) => field),
    el("div", { class: "do" }, el("button", { type: "submit" }, words.filter), el("a", { class: "button", href: `#${view}` }, words.clear)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = {};
    for (const { name, input } of inputs) chosen[name] = valueOf(input);
    location.hash = address(view, chosen).slice(1);
  });
  // On a phone the fields would push the list off the screen.
  const isOpen = isFiltered || !matchMedia("(max-width: 30rem)").matches;
  return el("details", { open: isOpen, class: "filters" }, el("summary", {}, words.filter), form);
}

// A day is sent as the instant at which it begins where the person is.
function valueOf(input) {
  const text = input.value.trim();
  if (input.type !== "date" || text === "") return text;
  return new Date(`${text}T00:00:00`).toISOString();
}

/** How an account is named: by its id, with a way to what it approved. */
export function accountName(id, me) {
  if (!id) return words.nobody;
  if (id === me?.id) return words.you;
  return el("a", { href: address("tokens", { account_id: id }) }, el("code", {}, id));
}
