// Shared by all pages: elements, messages, focus, and protection against double submission.

import { serverNow } from "./api.js";
import { saveDraft } from "./drafts.js";
import { disableGuardedButtons } from "./guard.js";
import { formatDateTime, formatRelativeTime, messages } from "./i18n.js";

const LANGUAGE_COOKIE = "storyden-auth-language";
const YEAR_SECONDS = 31_536_000;

for (const place of document.querySelectorAll("[data-host]")) place.textContent = location.host;

// The choice of the language: the server reads the cookie.
document.getElementById("language")?.addEventListener("change", ({ target }) => {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${LANGUAGE_COOKIE}=${target.value}; path=/; max-age=${YEAR_SECONDS}; samesite=lax${secure}`;
  saveDraft({ reload: true });
  location.reload();
});

/** Returns the element with this id. */
export const $ = (id) => document.getElementById(id);

/** Creates an element. Children are nodes or text; text is never parsed as markup. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Shows one section of the page, hides the others, and focuses the heading. */
export function showSection(section) {
  for (const other of $("main").children) {
    if (other.tagName !== "NOSCRIPT" && !other.classList.contains("notices")) other.hidden = other !== section;
  }
  disableGuardedButtons();
  const heading = section.querySelector("h1");
  if (heading) {
    document.title = heading.textContent;
    scrollTo(0, 0);
    heading.focus();
  }
}

/** Shows a message and focuses it: above the buttons of the visible section, or at the top of a page with
 *  views. */
export function showMessage({ title, text }, tone = "bad") {
  const place = $("message");
  document.querySelector("#main > div:not([hidden], .message, #view) .actions")?.before(place);
  place.className = `message ${tone}`;
  place.replaceChildren(el("p", {}, el("strong", {}, title)), el("p", {}, text));
  place.hidden = false;
  place.focus();
}

/** Hides the message. */
export function hideMessage() {
  $("message").hidden = true;
}

/** Replaces the page by a final section: a heading, paragraphs, and optional actions. */
export function finishPage(title, lines, ...actions) {
  const paragraphs = lines.map((text) => el("p", {}, ...[text].flat()));
  const section = el("div", {}, el("h1", { tabindex: "-1" }, title), ...paragraphs);
  if (actions.length > 0) section.append(el("div", { class: "actions" }, ...actions));
  $("main").append(section);
  showSection(section);
}

/** Creates a button that runs `work` with all buttons disabled. */
export function button(text, work, kind = "") {
  const element = el("button", { type: "button", class: kind || undefined }, text);
  element.addEventListener("click", (event) => {
    // Ignore the second click of a double click: the first may have replaced the page's content.
    if (event.detail < 2) withButtonsDisabled(() => work(event));
  });
  return element;
}

/** Creates a link styled as a button. */
export function linkButton(text, href) {
  return el("a", { class: "button primary", href }, text);
}

/** Creates a button that reloads the page. */
export function reloadButton() {
  return button(messages.common.tryAgain, () => location.reload(), "primary");
}

/** Runs `work` with every button disabled, against double submission. The buttons stay disabled if `work`
 *  returns true, which announces a navigation. */
export async function withButtonsDisabled(work) {
  const buttons = [...document.querySelectorAll("button")].filter((button) => !button.disabled);
  if (buttons.length === 0) return;
  const focused = document.activeElement;
  for (const button of buttons) button.disabled = true;
  const leaving = await work();
  if (leaving === true) return;
  for (const button of buttons) button.disabled = false;
  // A disabled button loses the focus: restore it unless another element has it.
  if (document.activeElement === document.body && focused?.isConnected) focused.focus();
}

// An edited field is no longer marked as invalid.
addEventListener("input", ({ target }) => target.removeAttribute("aria-invalid"));

/** Creates a <time> element with relative text ("3 minutes ago") and the exact time as its title. The text is
 *  updated while the page is open. */
export function timeElement(value) {
  const date = new Date(value ?? NaN);
  if (Number.isNaN(date.getTime())) return el("span", {}, messages.common.unknownTime);
  const place = el("time", { datetime: date.toISOString(), title: formatDateTime(date) });
  place.textContent = relativeTime(date);
  return place;
}

function relativeTime(date) {
  return formatRelativeTime(Math.round((date.getTime() - serverNow()) / 1000));
}

setInterval(() => {
  for (const place of document.querySelectorAll("time[datetime]")) {
    const text = relativeTime(new Date(place.dateTime));
    if (place.textContent !== text) place.textContent = text;
  }
}, 15_000);
