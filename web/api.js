// Speaks to the JSON API of this origin, with the session cookie.

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
  const said = body.message || body.detail || body.error_description || body.title;
  return typeof said === "string" && said !== "" ? said : otherwise;
}

/** What to say about an answer that no page handles specially: `{ title, text }`. */
export function failure(answer) {
  if (answer.status === 0) {
    return { title: "The server cannot be reached", text: "Check your connection, then try again." };
  }
  if (answer.status === 429) {
    const wait = answer.retryAfter === null ? "Wait a little" : `Wait ${duration(answer.retryAfter)}`;
    return { title: "Too many tries", text: `${wait}, then try again.` };
  }
  if (answer.status === 403) {
    return { title: "Your account may not do this", text: explanation(answer, "It may be suspended. Ask an administrator of this community.") };
  }
  if (answer.status >= 500) {
    const trace = answer.body.trace_id ? ` If it stays like this, tell an administrator this number: ${answer.body.trace_id}` : "";
    return { title: "The server has a problem", text: `Try again in a moment.${trace}` };
  }
  return { title: "That did not work", text: explanation(answer, "The server refused the request.") };
}

/** "12 minutes" */
export function duration(seconds) {
  const count = (n, unit) => `${n} ${unit}${n === 1 ? "" : "s"}`;
  if (seconds < 90) return count(seconds, "second");
  // A few seconds over are not another minute.
  if (seconds < 90 * 60) return count(Math.ceil((seconds - 5) / 60), "minute");
  return count(Math.ceil(seconds / 3600), "hour");
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
