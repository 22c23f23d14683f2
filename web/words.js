// Puts texts into the page: what stands for a part is filled in as a node or as text, never as markup.

import { LANGUAGE, texts } from "./texts.js";

export { texts };

const rules = new Intl.PluralRules(LANGUAGE);

/** A text with its parts filled in, as nodes and strings for `append`. */
export function filled(text, parts = {}) {
  return text.split(/\{(\w+)\}/).map((piece, index) => (index % 2 === 0 ? piece : parts[piece] ?? ""));
}

/** A text with its parts filled in, all of them text. */
export function line(text, parts = {}) {
  return filled(text, parts).join("");
}

/** The form of `forms` for a count, with {count} filled in. */
export function many(forms, count) {
  return line(forms[rules.select(count)] ?? forms.other, { count: number(count) });
}

/** "a, b and c" */
export function listed(parts) {
  return new Intl.ListFormat(LANGUAGE).format(parts);
}

/** A number as people of this language write it. */
export function number(value) {
  return value.toLocaleString(LANGUAGE);
}

/** "12 minutes" */
export function duration(seconds) {
  const [amount, unit] = rounded(seconds);
  return new Intl.NumberFormat(LANGUAGE, { style: "unit", unit, unitDisplay: "long" }).format(amount);
}

/** "in 3 minutes", "2 days ago", "just now" */
export function relative(seconds) {
  if (Math.abs(seconds) < 10) return texts.common.justNow;
  const [amount, unit] = rounded(Math.abs(seconds));
  return new Intl.RelativeTimeFormat(LANGUAGE).format(seconds < 0 ? -amount : amount, unit);
}

/** An instant with everything, for who wants it exactly. */
export function exact(date) {
  return date.toLocaleString(LANGUAGE, { dateStyle: "full", timeStyle: "long" });
}

function rounded(seconds) {
  if (seconds < 90) return [Math.round(seconds), "second"];
  // A few seconds over are not another minute.
  if (seconds < 90 * 60) return [Math.ceil((seconds - 5) / 60), "minute"];
  if (seconds < 36 * 3600) return [Math.round(seconds / 3600), "hour"];
  return [Math.round(seconds / 86_400), "day"];
}

document.documentElement.lang = LANGUAGE;

// The words of the static parts: <h1 data-text="login.heading">.
for (const place of document.querySelectorAll("[data-text]")) {
  place.replaceChildren(...filled(textAt(place.dataset.text), standing()));
}

/** The parts that every static text may have. */
function standing() {
  return { host: location.host, client: clientPlace() };
}

// Each text needs a node of its own for the name of the application.
function clientPlace() {
  const place = document.createElement("bdi");
  place.dataset.client = "";
  return place;
}

function textAt(path) {
  const text = path.split(".").reduce((found, key) => found?.[key], texts);
  if (typeof text !== "string") console.error(`there is no text ${path}`);
  return text ?? path;
}
