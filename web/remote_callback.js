// The way back from a service that this server signs in to: hands on what the service sent and says what
// happened. What the service says is text of a stranger.

import { call, explanation, failure } from "./api.js";
import { visible } from "./asker.js";
import { $, finish, linkButton, reloadButton } from "./page.js";
import { goToLogin } from "./ways.js";
import { line, texts } from "./words.js";

const PATH = "/api/oauth/remote/callback";
const words = texts.remote;
const sent = new URLSearchParams(location.search);
const back = linkButton(words.back, "/admin/oauth#connections");

$("loading").hidden = false;
await hear();

async function hear() {
  const isError = sent.has("error");
  if (!isError && !(sent.has("code") && sent.has("state"))) {
    finish(words.incomplete.title, [words.incomplete.text], back);
    return;
  }
  const query = new URLSearchParams();
  for (const name of ["code", "state", "iss", "error", "error_description"]) {
    if (sent.has(name)) query.set(name, sent.get(name));
  }
  const answer = await call("GET", `${PATH}?${query}`);
  if (answer.status === 401) {
    goToLogin();
    return;
  }
  if (answer.status === 0) {
    const { title, text } = failure(answer);
    finish(title, [text], reloadButton());
    return;
  }
  // It works once: nothing of it stays in the address or the history.
  history.replaceState(null, "", location.pathname);
  if (isError) refused();
  else if (answer.status === 200) connected(answer.body.connection ?? {});
  else if (answer.status === 405 || (answer.status === 404 && !answer.body.detail)) finish(words.absent.title, [words.absent.text], back);
  else finish(words.failed.title, [explanation(answer, words.failed.text)], back);
}

function connected(connection) {
  const resource = visible(connection.resource_name) || connection.resource_url;
  finish(words.connected.title, [resource ? line(words.connected.text, { resource }) : words.connectedUnnamed], back);
}

function refused() {
  if (sent.get("error") === "access_denied") {
    finish(words.refusedBy.title, [words.refusedBy.text], back);
    return;
  }
  const said = visible(sent.get("error_description") || sent.get("error")).slice(0, 200);
  finish(words.refused.title, [line(words.refused.text, { said })], back);
}
