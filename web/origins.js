// Origins of sessions and grants, and the notice of a sign-in from an unknown browser.

import { call, describeError, succeeded } from "./api.js";
import { countryName, formatNodes, messages } from "./i18n.js";
import { button, el, linkButton, timeElement } from "./page.js";
import { stripInvisible } from "./text.js";

const strings = messages.security;
const KNOWN = "known-sessions"; // ids of sessions that the member recognized in this browser
const KNOWN_MAX = 100;
const PROGRAM_MAX = 60; // characters

/** Returns the name of the browser or program: "Firefox on Linux". */
export function programElement(origin) {
  const { browser, system, user_agent: program } = origin ?? {};
  if (browser && system) {
    const names = { browser: el("bdi", {}, browser), system: el("bdi", {}, system) };
    return el("bdi", { dir: document.documentElement.dir }, ...formatNodes(strings.browserOn, names));
  }
  return el("bdi", {}, browser ?? (stripInvisible(program).slice(0, PROGRAM_MAX) || strings.other));
}

/** Returns the place: the address, with the country if the server knows it; null without an address. */
export function placeElement(origin) {
  if (!origin?.address) return null;
  const address = el("bdi", {}, origin.address);
  if (!origin.country) return address;
  return el("span", {}, ...formatNodes(strings.place, { address, country: countryName(origin.country) }));
}

/** Shows the sessions of unknown browsers above the content, each with a button that ends the session. */
export function showNewSignIns(sessions) {
  const known = readKnown();
  const unknown = (sessions ?? []).filter(({ is_new: isNew, id }) => isNew && !known.includes(id));
  if (unknown.length === 0) return;
  // A single landmark, however many notices.
  const place = el("div", { class: "notices", role: "region", "aria-label": strings.newSignIn.title });
  place.append(...unknown.map((session) => notice(session, place)));
  document.getElementById("main").prepend(place);
}

function notice(session, notices) {
  const place = el("div", { class: "message warn notice" });
  const device = programElement(session.origin);
  const text = formatNodes(strings.newSignIn.text, { device, time: timeElement(session.createdAt), place: placeElement(session.origin) ?? messages.device.unknownAddress });
  const show = (title, ...lines) => place.replaceChildren(el("p", {}, el("strong", {}, title)), ...lines);
  const known = button(strings.newSignIn.known, () => {
    remember(session.id);
    place.remove();
    if (!notices.firstChild) notices.remove();
  });
  const end = button(strings.newSignIn.end, async () => {
    const answer = await call("DELETE", `/api/auth/sessions/${encodeURIComponent(session.id)}`);
    if (succeeded(answer) || answer.status === 404) {
      show(strings.newSignIn.ended.title, el("p", {}, strings.newSignIn.ended.text), el("div", { class: "actions start" }, linkButton(strings.change, "/settings/security")));
      place.setAttribute("role", "alert");
      dispatchEvent(new HashChangeEvent("hashchange")); // a list of sessions is shown again
    } else {
      place.append(el("p", { role: "alert" }, describeError(answer).text));
    }
  }, "quiet-danger");
  show(strings.newSignIn.title, el("p", {}, ...text), el("p", {}, strings.newSignIn.advice), el("div", { class: "actions start" }, end, known));
  return place;
}

// Kept in the browser: a thief with a session of the account must not hide that session from the member's other browsers.
function remember(id) {
  try {
    localStorage.setItem(KNOWN, JSON.stringify([id, ...readKnown()].slice(0, KNOWN_MAX)));
  } catch {
    // Storage is off: the notice comes back at the next visit.
  }
}

function readKnown() {
  try {
    const known = JSON.parse(localStorage.getItem(KNOWN));
    return Array.isArray(known) ? known : [];
  } catch {
    return [];
  }
}
