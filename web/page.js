// What every page does: elements, messages, focus, and buttons that send once.

import { now } from "./api.js";
import { hold } from "./guard.js";
import { exact, relative, texts } from "./words.js";

for (const place of document.querySelectorAll("[data-host]")) place.textContent = location.host;

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** A new element. Children are nodes or text; text is never markup. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Shows one of the page's parts and hides the others; focus goes to its heading. */
export function show(part) {
  for (const other of $("main").children) {
    if (other.tagName !== "NOSCRIPT") other.hidden = other !== part;
  }
  hold();
  const heading = part.querySelector("h1");
  if (heading) {
    document.title = heading.textContent;
    scrollTo(0, 0);
    heading.focus();
  }
}

/** Shows a message and moves the focus to it: above the buttons of the part that is shown, and where
 *  a part is made anew with each view, at the top. */
export function say({ title, text }, tone = "bad") {
  const place = $("message");
  document.querySelector("#main > div:not([hidden], .message, #view) .actions")?.before(place);
  place.className = `message ${tone}`;
  place.replaceChildren(el("p", {}, el("strong", {}, title)), el("p", {}, text));
  place.hidden = false;
  place.focus();
}

/** Takes the message away. */
export function unsay() {
  $("message").hidden = true;
}

/** Ends the page with a heading, some paragraphs and perhaps things to do. */
export function finish(title, lines, ...actions) {
  const paragraphs = lines.map((text) => el("p", {}, ...[text].flat()));
  const part = el("div", {}, el("h1", { tabindex: "-1" }, title), ...paragraphs);
  if (actions.length > 0) part.append(el("div", { class: "actions" }, ...actions));
  $("main").append(part);
  show(part);
}

/** A button that does something, once at a time. */
export function button(text, work, kind = "") {
  const made = el("button", { type: "button", class: kind || undefined }, text);
  made.addEventListener("click", (event) => {
    // The second click of a double click is not an answer to what came up in between.
    if (event.detail < 2) once(() => work(event));
  });
  return made;
}

/** A link that looks like a button. */
export function linkButton(text, href) {
  return el("a", { class: "button primary", href }, text);
}

/** A button that loads this page again. */
export function reloadButton() {
  return button(texts.common.tryAgain, () => location.reload(), "primary");
}

/** Runs `work` with every button of the page disabled, so that nothing is sent twice. They stay
 *  disabled when it returns true: the page is about to be left. */
export async function once(work) {
  const buttons = [...document.querySelectorAll("button")].filter((button) => !button.disabled);
  if (buttons.length === 0) return;
  const focused = document.activeElement;
  for (const button of buttons) button.disabled = true;
  const leaving = await work();
  if (leaving === true) return;
  for (const button of buttons) button.disabled = false;
  // A button that is disabled loses the focus; give it back unless it went somewhere else.
  if (document.activeElement === document.body && focused?.isConnected) focused.focus();
}

// What is being mended is not marked any longer.
addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));

/** An instant as "3 minutes ago" or "in 3 minutes", with the exact time at hand. It stays right while
 *  the page is open. */
export function instant(value) {
  const date = new Date(value ?? NaN);
  if (Number.isNaN(date.getTime())) return el("span", {}, texts.common.unknownTime);
  const place = el("time", { datetime: date.toISOString(), title: exact(date) });
  place.textContent = relativeTo(date);
  return place;
}

function relativeTo(date) {
  return relative(Math.round((date.getTime() - now()) / 1000));
}

setInterval(() => {
  for (const place of document.querySelectorAll("time[datetime]")) {
    const text = relativeTo(new Date(place.dateTime));
    if (place.textContent !== text) place.textContent = text;
  }
}, 15_000);
