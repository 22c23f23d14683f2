// Formats messages, numbers and times. Values are inserted as nodes or as text, never as markup (XSS).
// The server chooses the language; the messages are in messages/LANGUAGE.json. {name} is a placeholder.

/** Language of the page (BCP 47), also used to format dates and numbers. */
export const LANGUAGE = document.documentElement.lang;

/** The messages of the page. */
export const messages = await loadMessages();

const pluralRules = new Intl.PluralRules(LANGUAGE);

/** Inserts values into a message; returns nodes and strings for `append`. */
export function formatNodes(message, values = {}) {
  return message.split(/\{(\w+)\}/).map((piece, index) => (index % 2 === 0 ? piece : values[piece] ?? ""));
}

/** Inserts text values into a message; returns a string. */
export function formatText(message, values = {}) {
  return formatNodes(message, values).join("");
}

/** Returns the plural form for `count`, with {count} inserted. */
export function formatPlural(forms, count) {
  return formatText(forms[pluralRules.select(count)] ?? forms.other, { count: formatNumber(count) });
}

/** Marks a text of unknown direction, so that it does not change the order of the text around it. */
export function isolate(text) {
  return `\u2068${text}\u2069`;
}

/** True if the texts of the API, which are English, fit the language of the page. */
export function isEnglish() {
  return /^en\b/i.test(LANGUAGE);
}

/** Returns the name of a country in the language of the page; `code` is of ISO 3166-1. */
export function countryName(code) {
  return new Intl.DisplayNames(LANGUAGE, { type: "region" }).of(code);
}

/** Formats a list: "a, b and c". */
export function formatList(items) {
  return new Intl.ListFormat(LANGUAGE).format(items);
}

/** Formats a number for `LANGUAGE`. */
export function formatNumber(value) {
  return value.toLocaleString(LANGUAGE);
}

/** Formats a duration: "12 minutes". */
export function formatDuration(seconds) {
  const [amount, unit] = roundToUnit(seconds);
  return new Intl.NumberFormat(LANGUAGE, { style: "unit", unit, unitDisplay: "long" }).format(amount);
}

/** Formats a time relative to now: "in 3 minutes", "2 days ago", "just now". */
export function formatRelativeTime(seconds) {
  if (Math.abs(seconds) < 10) return messages.common.justNow;
  const [amount, unit] = roundToUnit(Math.abs(seconds));
  return new Intl.RelativeTimeFormat(LANGUAGE).format(seconds < 0 ? -amount : amount, unit);
}

/** Formats a date with full precision and time zone. */
export function formatDateTime(date) {
  return date.toLocaleString(LANGUAGE, { dateStyle: "full", timeStyle: "long" });
}

function roundToUnit(seconds) {
  if (seconds < 90) return [Math.round(seconds), "second"];
  // Tolerate five seconds, so that 605 seconds are 10 minutes.
  if (seconds < 90 * 60) return [Math.ceil((seconds - 5) / 60), "minute"];
  if (seconds < 36 * 3600) return [Math.round(seconds / 3600), "hour"];
  return [Math.round(seconds / 86_400), "day"];
}

// Messages of static elements: <h1 data-text="login.heading">.
for (const place of document.querySelectorAll("[data-text]")) {
  place.replaceChildren(...formatNodes(messageAt(place.dataset.text), staticValues()));
}

async function loadMessages() {
  try {
    const response = await fetch(`/web/messages/${LANGUAGE}.json`);
    return await response.json();
  } catch (error) {
    document.getElementById("main").textContent = "This page could not be loaded. Reload it."; // no messages to translate it
    throw error;
  }
}

/** Returns the values that every static message may use. */
function staticValues() {
  return { host: location.host, client: clientNameElement() };
}

// Each message needs its own element for the client's name.
function clientNameElement() {
  const place = document.createElement("bdi");
  place.dataset.client = "";
  return place;
}

function messageAt(path) {
  const text = path.split(".").reduce((found, key) => found?.[key], messages);
  if (typeof text !== "string") console.error(`no message ${path}`);
  return text ?? path;
}
