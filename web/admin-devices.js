// View of the device authorizations.

import { accountLink, fetchList, renderList } from "./admin-list.js";
import { call, serverNow } from "./api.js";
import { clientName } from "./client-details.js";
import { formatNodes, messages } from "./i18n.js";
import { facts, listItem } from "./layout.js";
import { el, timeElement } from "./page.js";

const strings = messages.admin;
const clientNames = new Map(); // names of fetched clients by row id

/** Renders the device authorizations that match the filter. */
export async function devices(view) {
  const parameters = new URLSearchParams(view.parameters);
  if (!parameters.has("page")) parameters.set("page", "1");
  const body = await fetchList("/api/admin/oauth/device-authorizations", { ...view, parameters });
  if (!body) return;
  const found = body.device_authorisations ?? [];
  await fetchClientNames(found.map((device) => device.client_id));
  if (!view.isCurrent()) return;
  renderList("devices", view.parameters, {
    title: strings.devices,
    about: strings.devicesAbout,
    fields: [
      { name: "state", label: strings.state, options: strings.states },
      { name: "client_id", label: strings.client },
      { name: "account_id", label: strings.account },
    ],
    body,
    items: found.map((device) => deviceItem(device, view.account)),
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

function deviceItem(device, me) {
  const state = stateOf(device);
  const tone = { consumed: "good", approved: "good", pending: "warn" }[state] ?? "over";
  const name = clientNames.get(device.client_id) ?? device.client_id;
  const link = el("a", { href: `#client/${encodeURIComponent(device.client_id)}` }, el("bdi", {}, name));
  const { requestedAt: asked, expiresAt: ends, decidedBy: by, polledAt: polled } = strings.device;
  const decider = device.approved_by_account_id;
  return listItem([link, " ", el("span", { class: `mark ${tone}` }, strings.states[state])], [
    facts(
      decider ? formatNodes(by, { account: accountLink(decider, me) }) : null,
      formatNodes(asked, { time: timeElement(device.createdAt) }),
      state === "pending" ? formatNodes(ends, { time: timeElement(device.expires_at) }) : null,
      device.last_polled_at ? formatNodes(polled, { time: timeElement(device.last_polled_at) }) : null,
    ),
  ]);
}
