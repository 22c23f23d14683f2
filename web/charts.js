// Charts: stacked bars by interval, drawn as SVG, with a legend and a table of the same values. Colours and sizes are in
// the style sheet; every text is HTML, so that it has the direction and the font of the page.

import { formatNumber, formatText, messages } from "./i18n.js";
import { el } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";

// Units of the drawing, which is stretched to the size of the page.
const SLOT = 10; // width of an interval
const BAR = 8; // width of a bar
const HEIGHT = 100;

const strings = messages.admin.overviewPage;

/** Returns a chart. `intervals` are the names of the intervals, in the order of time; `series` are `{ name, counts }`
 *  with a count for each interval. The name of a single series is not shown. */
export function barChart({ title, about, intervals, series }) {
  const sums = intervals.map((_, index) => sum(series.map(({ counts }) => counts[index])));
  const total = sum(sums);
  const head = el("figcaption", {}, el("h3", {}, title), el("p", { class: "total" }, formatNumber(total)));
  if (about) head.append(el("p", { class: "hint" }, about));
  if (total === 0) return el("figure", { class: "chart" }, head, el("p", { class: "nothing" }, strings.nothing));
  const most = Math.max(...sums);
  const when = intervals[sums.indexOf(most)];
  const label = formatText(strings.summary, { title, total: formatNumber(total), most: formatNumber(most), when });
  const parts = [plot(label, most, { intervals, series, sums }), axis(intervals)];
  if (series.length > 1) parts.push(legend(series));
  parts.push(valueTable(title, { intervals, series, sums }));
  return el("figure", { class: "chart" }, head, ...parts);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

function plot(label, most, { intervals, series, sums }) {
  const width = intervals.length * SLOT;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  const isMirrored = document.dir === "rtl"; // time runs in the direction of reading
  intervals.forEach((interval, index) => {
    const left = (isMirrored ? intervals.length - 1 - index : index) * SLOT;
    const group = svg("g", {}, svg("title", {}, `${interval}: ${formatNumber(sums[index])}`));
    group.append(svg("rect", { class: "slot", x: left, y: 0, width: SLOT, height: HEIGHT }));
    let top = HEIGHT;
    series.forEach(({ counts }, number) => {
      const height = (counts[index] / most) * HEIGHT;
      if (height === 0) return;
      top -= height;
      group.append(svg("rect", { class: `series-${number + 1}`, x: left + (SLOT - BAR) / 2, y: top, width: BAR, height }));
    });
    drawing.append(group);
  });
  return el("div", { class: "plot" }, el("span", { class: "most", "aria-hidden": "true" }, formatNumber(most)), drawing);
}

/** Returns the names of the first and the last interval, below the drawing. */
function axis(intervals) {
  return el("div", { class: "axis", "aria-hidden": "true" }, el("span", {}, intervals[0]), el("span", {}, intervals.at(-1)));
}

function legend(series) {
  const items = series.map(({ name, counts }, number) => {
    const key = svg("svg", { class: "key", viewBox: "0 0 10 10", "aria-hidden": "true" });
    key.append(svg("rect", { class: `series-${number + 1}`, width: 10, height: 10, rx: 2 }));
    return el("li", {}, key, el("span", {}, name), el("strong", {}, formatNumber(sum(counts))));
  });
  return el("ul", { class: "legend" }, ...items);
}

/** Returns the values as a table; intervals and series without events are left out. */
function valueTable(title, { intervals, series, sums }) {
  const heads = [messages.admin.table.time, title].map((name) => el("th", { scope: "col" }, name));
  const rows = intervals.flatMap((interval, index) => {
    if (sums[index] === 0) return [];
    return [el("tr", {}, el("th", { scope: "row" }, interval), el("td", {}, ...valuesAt(series, index)))];
  });
  const table = el("table", { class: "figures" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
  return el("details", {}, el("summary", {}, strings.values), table);
}

function valuesAt(series, index) {
  const present = series.filter(({ counts }) => counts[index] > 0);
  if (series.length === 1) return [formatNumber(present[0].counts[index])];
  return present.map(({ name, counts }) => el("div", {}, `${name}: ${formatNumber(counts[index])}`));
}
