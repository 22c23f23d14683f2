// Everybody's device authorizations.

import { accountName, presentList, read } from "./admin_list.js";
import { call, now } from "./api.js";
import { clientName } from "./asker.js";
import { facts, item } from "./frame.js";
import { el, instant } from "./page.js";
import { filled, texts } from "./words.js";

const words = texts.admin;
const names = new Map(); // the names of applications by their row, as far as they were looked up

/** Shows the device authorizations that a filter finds. */
export async function devices(view) {
  const parameters = new URLSearchParams(view.parameters);
  if (!parameters.has("page")) parameters.set("page", "1");
  const body = await read("/api/admin/oauth/device-authorizations", { ...view, parameters });
  if (!body) return;
  const found = body.device_authorisations ?? [];
  await lookUp(found.map((device) => device.client_id));
  if (!view.isCurrent()) return;
  presentList("devices", view.parameters, {
    title: words.devices,
    about: words.devicesAbout,
    fields: [
      { name: "state", label: words.state, options: words.states },
      { name: "client_id", label: words.client },
      { name: "account_id", label: words.account },
    ],
    body,
    items: found.map((device) => shown(device, view.account)),
  });
}

/** Finds out how the applications of a page are called; the list has their rows alone. */
async function lookUp(rows) {
  const unknown = [...new Set(rows)].filter((row) => !names.has(row));
  const ask = async (row) => {
    const { status, body } = await call("GET", `/api/admin/oauth/clients/${encodeURIComponent(row)}`);
    if (status === 200) names.set(row, clientName(body.name));
  };
  await Promise.all(unknown.map(ask));
}

function stateOf(device) {
  if (device.consumed_at) return "consumed";
  if (device.denied_at) return "denied";
  if (Date.parse(device.expires_at) <= now()) return "expired";
  return device.approved_at ? "approved" : "pending";
}

function shown(device, me) {
  const state = stateOf(device);
  const tone = { consumed: "good", approved: "good", pending: "warn" }[state] ?? "over";
  const name = names.get(device.client_id) ?? device.client_id;
  const link = el("a", { href: `#client/${encodeURIComponent(device.client_id)}` }, el("bdi", {}, name));
  const { asked, ends, by, polled } = words.device;
  const decider = device.approved_by_account_id;
  return item([link, " ", el("span", { class: `mark ${tone}` }, words.states[state])], [
    facts(
      decider ? filled(by, { account: accountName(decider, me) }) : null,
      filled(asked, { time: instant(device.createdAt) }),
      state === "pending" ? filled(ends, { time: instant(device.expires_at) }) : null,
      device.last_polled_at ? filled(polled, { time: instant(device.last_polled_at) }) : null,
    ),
  ]);
}
