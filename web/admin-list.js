// Shared by the administration views: navigation between views, filters, pages.

import { call } from "./api.js";
import { messages } from "./i18n.js";
import { emptyState, pagination, renderView, showErrorPage } from "./layout.js";
import { el } from "./page.js";

const strings = messages.admin;

/** The views in the order of the navigation. */
export const VIEWS = ["overview", "members", "clients", "tokens", "devices", "connections", "resources", "issuers", "audit", "keys"];

/** Returns the address of a view with a filter; empty parameters are left out. */
export function viewHref(view, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value) query.set(name, value);
  return query.size > 0 ? `#${view}?${query}` : `#${view}`;
}

/** Returns a function that maps an order to the address of a list with its filter, at the first page. */
export function sortHref(view, parameters) {
  return (sort) => viewHref(view, { ...Object.fromEntries(parameters), page: "", sort });
}

/** Renders the message for accounts without the permission ADMINISTRATOR. */
export function renderForbidden() {
  renderView(strings.heading, emptyState(strings.notAllowed));
}

/** Renders a view below the navigation between views. */
export function renderAdminView(view, title, ...nodes) {
  const links = VIEWS.map((name) =>
    el("li", {}, el("a", { href: `#${name}`, "aria-current": name === view ? "page" : undefined }, strings[name])),
  );
  const tabs = el("nav", { class: "tabs", "aria-label": strings.views }, el("ul", {}, ...links));
  renderView(title, tabs, ...nodes);
}

/** Fetches one page of a list. Returns the body; null after an error or a navigation to another view. */
export async function fetchList(path, { parameters, isCurrent }) {
  const answer = await call("GET", parameters.size > 0 ? `${path}?${parameters}` : path);
  if (!isCurrent()) return null;
  if (answer.status === 200) return answer.body;
  if (answer.status === 403) renderForbidden();
  else showErrorPage(answer);
  return null;
}

/** Renders a list with its filter and pagination; `table` is null if the list is empty. */
export function renderList(view, parameters, { title, about, fields, body, table, more = [] }) {
  const isFiltered = [...parameters.keys()].some((name) => name !== "page" && name !== "sort");
  const filter = fields ? [filterForm(view, parameters, fields, isFiltered)] : [];
  const hrefOf = (page) => {
    const target = new URLSearchParams(parameters);
    target.set("page", page);
    return `#${view}?${target}`;
  };
  const list =
    table
      ? [table, pagination(body, hrefOf)]
      : [emptyState(isFiltered ? strings.noMatch : strings.empty)];
  renderAdminView(view, title, el("p", { class: "lead" }, about), ...filter, ...more, ...list);
}

/** Returns a form that writes its fields `[{ name, label, type, options }]` into the address. */
function filterForm(view, parameters, fields, isFiltered) {
  const inputs = fields.map(({ name, label, type = "search", options }) => {
    const id = `filter-${name}`;
    const value = parameters.get(name) ?? "";
    let input;
    if (options) {
      const all = el("option", { value: "" }, strings.all);
      const others = Object.entries(options).map(([key, text]) => el("option", { value: key, selected: key === value }, text));
      input = el("select", { id }, all, ...others);
    } else {
      input = el("input", { id, type, value: type === "datetime-local" ? localTime(value) : value, autocomplete: "off", spellcheck: "false" });
    }
    return { name, input, field: el("div", { class: "field" }, el("label", { for: id }, label), input) };
  });
  const form = el(
    "form",
    { class: "filter", role: "search", "aria-label": strings.filter },
    ...inputs.map(({ field }) => field),
    el("div", { class: "item-actions" }, el("button", { type: "submit" }, strings.filter), el("a", { class: "button", href: `#${view}` }, strings.clear)),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = { sort: parameters.get("sort") };
    for (const { name, input } of inputs) chosen[name] = fieldValue(input);
    location.hash = viewHref(view, chosen).slice(1);
  });
  // On a narrow screen the fields would push the list out of view.
  const isOpen = isFiltered || !matchMedia("(max-width: 30rem)").matches;
  return el("details", { open: isOpen, class: "filters" }, el("summary", {}, strings.filter), form);
}

// A time is shown and entered in the time zone of the browser, and sent in UTC.
function fieldValue(input) {
  const text = input.value.trim();
  if (input.type !== "datetime-local" || text === "") return text;
  return new Date(text).toISOString();
}

function localTime(value) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return "";
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
