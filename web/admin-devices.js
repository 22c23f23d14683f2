// View of the device authorizations.

import { fetchList, renderList, sortHref } from "./admin-list.js";
import { dataTable } from "./admin-table.js";
import { call, serverNow } from "./api.js";
import { clientName } from "./client-details.js";
import { messages } from "./i18n.js";
import { el, timeElement } from "./page.js";
import { accountLink, fetchPeople } from "./people.js";

const strings = messages.admin;
const clientNames = new Map(); // names of fetched clients by row id

/** Renders the device authorizations that match the filter. */
export async function devices(view) {
  const parameters = new URLSearchParams(view.parameters);
  if (!parameters.has("page")) parameters.set("page", "1");
  if (!parameters.has("sort")) parameters.set("sort", "-created");
  const body = await fetchList("/api/admin/oauth/device-authorizations", { ...view, parameters });
  if (!body) return;
  const found = body.device_authorisations ?? [];
  await Promise.all([fetchClientNames(found.map((device) => device.client_id)), fetchPeople(found.map((device) => device.approved_by_account_id))]);
  if (!view.isCurrent()) return;
  const table = dataTable(strings.devices, {
    columns: [
      { label: strings.table.application },
      { label: strings.state },
      { label: strings.table.decidedBy },
      { label: strings.table.created, sort: "created" },
      { label: strings.table.expires },
      { label: strings.table.polled },
    ],
    rows: found.map((device) => deviceCells(device, view.account)),
    sorted: parameters.get("sort"),
    hrefOf: sortHref("devices", view.parameters),
  });
  renderList("devices", view.parameters, {
    title: strings.devices,
    about: strings.devicesAbout,
    fields: [
      { name: "state", label: strings.state, options: strings.states },
      { name: "client_id", label: strings.client },
      { name: "account_id", label: strings.account },
    ],
    body,
    table: found.length > 0 ? table : null,
  });
}

/** Fetches the names of the clients on a page; the list contains only the row ids. */
async function fetchClientNames(ids) {
  const unknown = [...new Set(ids)].filter((id) => !clientNames.has(id));
  const fetchName = async (id) => {
    const { status, body } = await call("GET", `/api/admin/oauth/clients/${encodeURIComponent(id)}`);
    if (status === 200) clientNames.set(id, clientName(body.name));
  };
  await Promise.all(unknown.map(fetchName));
}

function stateOf(device) {
  if (device.consumed_at) return "consumed";
  if (device.denied_at) return "denied";
  if (Date.parse(device.expires_at) <= serverNow()) return "expired";
  return device.approved_at ? "approved" : "pending";
}

function deviceCells(device, me) {
  const state = stateOf(device);
  const tone = { consumed: "good", approved: "good", pending: "warn" }[state] ?? "over";
  const name = clientNames.get(device.client_id) ?? device.client_id;
  const decider = device.approved_by_account_id;
  return [
    el("a", { href: `#client/${encodeURIComponent(device.client_id)}` }, el("bdi", {}, name)),
    el("span", { class: `mark ${tone}` }, strings.states[state]),
    decider ? accountLink(decider, me) : null,
    timeElement(device.createdAt),
    state === "pending" ? timeElement(device.expires_at) : null,
    device.last_polled_at ? timeElement(device.last_polled_at) : null,
  ];
}
