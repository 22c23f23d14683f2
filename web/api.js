// Speaks to the JSON API of this origin, with the session cookie.

import { duration, line, texts } from "./words.js";

let serverClock = 0; // how far the server's clock is ahead of this browser's, in milliseconds

/** The time on the server's clock, in milliseconds. */
export function now() {
  return Date.now() + serverClock;
}

/** Calls the API. Never throws: `status` is 0 when there was no answer.
 *  Returns `{ status, body, retryAfter }`; `body` is `{}` when there was no JSON object. */
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
    if (!Number.isNaN(date)) serverClock = date - Date.now();
    return {
      status: response.status,
      body: await readObject(response),
      retryAfter: secondsToWait(response.headers.get("Retry-After")),
    };
  } catch {
    return { status: 0, body: {}, retryAfter: null };
  }
}

/** Whether the API did what it was asked. */
export function succeeded({ status }) {
  return status >= 200 && status < 300;
}

/** A path with a query of what is given; what is empty is left out. */
export function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

async function readObject(response) {
  const text = await response.text();
  try {
    return Object(JSON.parse(text));
  } catch {
    return {}; // an empty 401, a plain-text 429, a proxy's page
  }
}

// Retry-After is a number of seconds or a date.
function secondsToWait(value) {
  if (!value) return null;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(1, Math.ceil(seconds));
}

/** What the server said went wrong, or the given words. */
export function explanation({ body }, otherwise) {
  const said = body.detail || body.message || body.error_description || body.title;
  return typeof said === "string" && said !== "" ? said : otherwise;
}

/** What to say about an answer that no page handles specially: `{ title, text }`. */
export function failure(answer) {
  const { away, offline, tooMany, forbidden, broken, other, gone } = texts.failures;
  if (answer.status === 0) return offline;
  if (answer.status === 404) return { title: gone.title, text: explanation(answer, gone.text) };
  if (answer.status === 429) {
    const wait = answer.retryAfter;
    return {
      title: tooMany.title,
      text: wait === null ? tooMany.textWithout : line(tooMany.text, { time: duration(wait) }),
    };
  }
  if (answer.status === 403) return { title: forbidden.title, text: explanation(answer, forbidden.text) };
  if (answer.status === 503) return { title: away.title, text: explanation(answer, broken.text) };
  if (answer.status >= 500) {
    const trace = answer.body.trace_id;
    const also = trace ? ` ${line(broken.trace, { trace })}` : "";
    return { title: broken.title, text: `${broken.text}${also}` };
  }
  return { title: other.title, text: explanation(answer, other.text) };
}

/** Ends the session; true when the server confirmed it. */
export async function signOut() {
  try {
    // The answer is a redirect to the front page, which is not wanted here.
    const response = await fetch("/api/auth/logout", { method: "POST", credentials: "same-origin", redirect: "manual" });
    return response.type === "opaqueredirect" || response.ok;
  } catch {
    return false;
  }
}
