// Client of the JSON API of this origin; authenticates with the session cookie.

import { formatDuration, formatText, isEnglish, isolate, messages } from "./i18n.js";

let serverClockOffset = 0; // server clock minus browser clock, in milliseconds

/** Returns the time of the server's clock in milliseconds. */
export function serverNow() {
  return Date.now() + serverClockOffset;
}

/** Calls the API. Returns `{ status, body, retryAfter }`: `status` is 0 if no response arrived, `body` is `{}` if
 *  the response has no JSON object. Never throws. */
export async function call(method, path, body) {
  const request = {
    method,
    credentials: "same-origin",
    cache: "no-store",
    headers: { Accept: "application/json, application/problem+json" },
    signal: AbortSignal.timeout(30_000),
  };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(path, request);
    const date = Date.parse(response.headers.get("Date"));
    if (!Number.isNaN(date)) serverClockOffset = date - Date.now();
    return {
      status: response.status,
      body: await readJsonObject(response),
      retryAfter: parseRetryAfter(response.headers.get("Retry-After")),
    };
  } catch {
    return { status: 0, body: {}, retryAfter: null };
  }
}

/** Returns true for a status of the class 2xx. */
export function succeeded({ status }) {
  return status >= 200 && status < 300;
}

/** Appends a query to a path; empty parameters are left out. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

async function readJsonObject(response) {
  const text = await response.text();
  try {
    return Object(JSON.parse(text));
  } catch {
    return {}; // an empty 401, a plain-text 429, an HTML page of a proxy
  }
}

// RFC 9110 §10.2.3: Retry-After is a number of seconds or a date.
function parseRetryAfter(value) {
  if (!value) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - serverNow()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(1, Math.ceil(seconds));
}

/** Returns the error description of a response, or `fallback`. In other languages than English, the text for a known
 *  error code, or `fallback` with the English description. */
export function errorDetail({ body }, fallback) {
  const description = body.detail || body.message || body.error_description || body.title;
  if (typeof description !== "string" || description === "") return fallback;
  if (isEnglish()) return description;
  const known = messages.errors[body.error] ?? messages.errors[body.metadata?.code];
  return known ?? `${fallback} ${formatText(messages.failures.unexpected.detail, { detail: isolate(description) })}`;
}

/** Returns the description of a protocol error as a sentence. */
export function protocolErrorDetail(answer) {
  if (isEnglish()) return `${answer.body.error_description ?? answer.body.error}.`;
  return errorDetail(answer, messages.failures.unexpected.text);
}

/** Returns `{ title, text }` for a failed response that has no special handling on the page. */
export function describeError(answer) {
  const { unavailable: away, offline, tooMany, forbidden, serverError: broken, unexpected: other, notFound: gone } = messages.failures;
  if (answer.status === 0) return offline;
  if (answer.status === 404) return { title: gone.title, text: errorDetail(answer, gone.text) };
  if (answer.status === 429) {
    const wait = answer.retryAfter;
    return {
      title: tooMany.title,
      text: wait === null ? tooMany.textWithout : formatText(tooMany.text, { time: formatDuration(wait) }),
    };
  }
  if (answer.status === 403) return { title: forbidden.title, text: errorDetail(answer, forbidden.text) };
  if (answer.status === 503) return { title: away.title, text: errorDetail(answer, broken.text) };
  if (answer.status >= 500) {
    const trace = answer.body.trace_id;
    const reference = trace ? ` ${formatText(broken.trace, { trace })}` : "";
    return { title: broken.title, text: `${broken.text}${reference}` };
  }
  return { title: other.title, text: errorDetail(answer, other.text) };
}

/** Ends the session; returns true if the server confirmed it. */
export async function signOut() {
  try {
    // The response redirects to the front page; do not follow it.
    const response = await fetch("/api/auth/logout", { method: "POST", credentials: "same-origin", redirect: "manual" });
    return response.type === "opaqueredirect" || response.ok;
  } catch {
    return false;
  }
}
