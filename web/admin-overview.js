// View of the overview: open alerts, what happened in the last day and month, and the state of the server.

import { fetchList, renderAdminView, viewHref } from "./admin-list.js";
import { dataTable } from "./admin-table.js";
import { barChart } from "./charts.js";
import { LANGUAGE, formatNodes, formatNumber, messages } from "./i18n.js";
import { emptyState } from "./layout.js";
import { el, timeElement } from "./page.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/admin/oauth/overview";
const DAY_SECONDS = 86_400;
const strings = messages.admin.overviewPage;

/** Renders the overview. The parameter `period` is `month`, or absent for the last day. */
export async function overview(view) {
  const body = await fetchList(PATH, { ...view, parameters: new URLSearchParams() });
  if (!body) return;
  const period = view.parameters.get("period") === "month" ? "month" : "day";
  renderAdminView(
    "overview",
    messages.admin.overview,
    el("p", { class: "lead" }, messages.admin.overviewAbout),
    section(strings.alerts, ...alerts(body.alerts ?? [])),
    section(strings.activity, ...activity(body.statistics, period)),
    section(strings.operation, operation(body)),
  );
}

function section(title, ...nodes) {
  return el("section", {}, el("h2", {}, title), ...nodes);
}

// The texts of findings are those of the command `doctor`, in English.
function alerts(found) {
  const english = { lang: "en", dir: "ltr" };
  const items = found.map(({ status, check, finding, advice }) => {
    const kind = status === "fail" ? "bad" : "warn";
    const head = el("p", {}, el("span", { class: `mark ${kind}` }, strings.levels[status]), " ", el("code", {}, check));
    const texts = [finding, advice].filter(Boolean).map((text) => el("p", english, stripInvisible(text)));
    return el("li", { class: `alert ${kind}` }, head, ...texts);
  });
  const list = items.length > 0 ? el("ul", { class: "alerts" }, ...items) : el("p", {}, strings.noAlerts);
  return [list, el("p", { class: "hint" }, ...formatNodes(strings.doctor, { command: el("code", {}, "storyden-auth doctor") }))];
}

function activity(statistics, period) {
  if (!statistics) return [emptyState(strings.off)];
  const figures = period === "month" ? statistics.last_month : statistics.last_day;
  const link = (name) => {
    const href = viewHref("overview", { period: name === "month" ? name : "" });
    return el("li", {}, el("a", { href, "aria-current": name === period ? "true" : undefined }, strings.periods[name]));
  };
  const choice = el("nav", { class: "periods", "aria-label": strings.period }, el("ul", {}, ...["day", "month"].map(link)));
  const nodes = [choice, el("div", { class: "charts" }, ...charts(figures)), ...errorTable(figures.errors_by_client)];
  return [...nodes, el("p", { class: "hint" }, period === "month" ? strings.countedMonth : strings.counted)];
}

function charts(figures) {
  const intervals = intervalNames(figures);
  const grants = messages.admin.details.grantNames;
  const chart = (name, ...series) => barChart({ title: strings.charts[name], about: strings.about[name], intervals, series });
  const tokens = figures.tokens.map(({ grant_type, counts }) => ({ name: grants[grant_type] ?? grant_type, counts }));
  return [
    chart("signIns", { counts: figures.sign_ins }),
    chart("approvals", { name: strings.asked, counts: figures.approvals }, { name: strings.repeated, counts: figures.repeated_approvals }),
    chart("tokens", ...tokens),
    chart("errors", { counts: figures.client_errors }),
    chart("thefts", { counts: figures.thefts }),
    chart("lockouts", { counts: figures.lockouts }),
  ];
}

/** Returns the names of the intervals: hours in the time zone of the browser, or days in UTC. */
function intervalNames({ starts_at, interval_seconds, sign_ins }) {
  const isDay = interval_seconds >= DAY_SECONDS;
  const options = isDay ? { day: "numeric", month: "short", timeZone: "UTC" } : { weekday: "short", hour: "numeric", minute: "2-digit" };
  const format = new Intl.DateTimeFormat(LANGUAGE, options);
  const start = Date.parse(starts_at);
  return sign_ins.map((_, index) => format.format(start + index * interval_seconds * 1000));
}

function errorTable(clients) {
  if (clients.length === 0) return [];
  const columns = [{ label: messages.admin.table.application }, { label: strings.errorCount }];
  const rows = clients.map((one) => [clientCell(one), formatNumber(one.errors)]);
  return [el("h3", {}, strings.errorsByClient), dataTable(strings.errorsByClient, { columns, rows })];
}

function clientCell({ kind, id, client_id, name }) {
  if (kind !== "client") return strings.clients[kind];
  if (!client_id) return strings.clients.deleted;
  const label = stripInvisible(name) || client_id;
  return el("a", { href: `#client/${encodeURIComponent(id)}`, title: client_id }, el("bdi", {}, label));
}

function operation({ version, backlog, signing_keys }) {
  const facts = [el("dt", {}, strings.version), el("dd", {}, el("bdi", {}, version))];
  facts.push(el("dt", {}, messages.admin.keys), ...signing_keys.map((key) => el("dd", {}, ...keyFacts(key))));
  if (signing_keys.length === 0) facts.push(el("dd", {}, strings.noKeys));
  facts.push(el("dt", {}, strings.dueRows), el("dd", {}, ...dueRows(backlog)));
  facts.push(el("dt", {}, strings.lastCleanUp), el("dd", {}, backlog.completed_at ? timeElement(backlog.completed_at) : strings.notYet));
  if (backlog.revocation_in_progress) facts.push(el("dt", {}, strings.jobs), el("dd", {}, strings.revocation));
  return el("dl", { class: "operation" }, ...facts);
}

function keyFacts({ algorithm, kid, signs_from, rotates_at }) {
  const texts = messages.admin.key;
  const parts = [el("bdi", {}, algorithm), " ", el("code", {}, kid), ": "];
  if (!signs_from) return [...parts, texts.fromSettings];
  parts.push(...formatNodes(texts.signedFrom, { time: timeElement(signs_from) }));
  if (rotates_at) parts.push(" · ", ...formatNodes(strings.rotates, { time: timeElement(rotates_at) }));
  return parts;
}

// The names of steps are those of the metrics.
function dueRows({ due_rows, steps }) {
  if (steps.length === 0) return [formatNumber(due_rows)];
  const items = steps.map(({ name, due_rows: rows, more }) => el("li", {}, el("bdi", { lang: "en" }, name), `: ${formatNumber(rows)}${more ? "+" : ""}`));
  return [el("details", {}, el("summary", {}, formatNumber(due_rows)), el("ul", {}, ...items))];
}
