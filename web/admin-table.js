// Compact lists: a table on wide screens, a card per row on narrow ones; columns sort, and rows can be selected.

import { formatText, messages } from "./i18n.js";
import { el, withButtonsDisabled } from "./page.js";

const strings = messages.admin.table;

/** Returns a table. `columns` are `{ label, sort }`: `sort` is the name of an order. `rows` are arrays of cells,
 *  a cell is a node, a text, an array of these, or null. `sorted` is the order of the rows, and `hrefOf` maps an order
 *  to an address. */
export function dataTable(label, { columns, rows, sorted, hrefOf }) {
  const heads = columns.map((column) => headerCell(column, sorted, hrefOf));
  const lines = rows.map((cells) => el("tr", { role: "row" }, ...cells.map((cell, index) => dataCell(columns[index].label, cell))));
  return el(
    "table",
    { class: columns.some(({ sort }) => sort) ? "data" : "data unsorted", role: "table", "aria-label": label },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)),
    el("tbody", { role: "rowgroup" }, ...lines),
  );
}

function headerCell({ label, sort }, sorted, hrefOf) {
  if (!sort) return el("th", { role: "columnheader", scope: "col" }, label);
  const isAscending = sorted === sort;
  const isDescending = sorted === `-${sort}`;
  const direction = isAscending ? "ascending" : isDescending ? "descending" : undefined;
  const link = el("a", { href: hrefOf(isAscending ? `-${sort}` : sort), title: formatText(strings.sortBy, { column: label }) }, label);
  if (direction) link.append(el("span", { "aria-hidden": "true" }, isAscending ? " ↑" : " ↓"));
  return el("th", { role: "columnheader", scope: "col", "aria-sort": direction }, link);
}

function dataCell(label, cell) {
  const parts = [cell ?? []].flat().filter((part) => part !== null && part !== undefined && part !== "");
  return el("td", { role: "cell", "data-label": parts.length > 0 ? label : undefined, class: parts.length > 0 ? undefined : "none" }, el("div", {}, ...parts));
}

/** Makes rows selectable. Returns `{ box, bar }`: `box(value, label)` is the checkbox of a row, and `bar` has a
 *  checkbox for all rows and a button that calls `work` with the selected values. */
export function selection(action, work) {
  const boxes = new Map();
  const all = el("input", { type: "checkbox", id: "select-all" });
  const count = el("span", { class: "count", role: "status" });
  const run = el("button", { type: "button", class: "quiet-danger" }, action);
  const chosen = () => [...boxes].filter(([, box]) => box.checked).map(([value]) => value);
  const update = () => {
    const number = chosen().length;
    count.textContent = number > 0 ? formatText(strings.selected, { count: String(number) }) : "";
    run.disabled = number === 0;
    all.checked = number > 0 && number === boxes.size;
    all.indeterminate = number > 0 && number < boxes.size;
  };
  all.addEventListener("change", () => {
    for (const box of boxes.values()) box.checked = all.checked;
    update();
  });
  run.addEventListener("click", (event) => {
    if (event.detail < 2) withButtonsDisabled(() => work(chosen())).then(update);
  });
  const box = (value, label) => {
    const input = el("input", { type: "checkbox", "aria-label": formatText(strings.select, { row: label }) });
    input.addEventListener("change", update);
    boxes.set(value, input);
    return input;
  };
  const bar = el("div", { class: "selection" }, el("label", { class: "check", for: "select-all" }, all, el("span", {}, strings.selectAll)), run, count);
  update();
  return { box, bar };
}
