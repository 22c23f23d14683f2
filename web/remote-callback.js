// Redirect URI of remote connections, where this server is the client: forwards the authorization response to the
// API and shows the result. The parameters are untrusted text.

import { call, describeError, errorDetail } from "./api.js";
import { formatText, messages } from "./i18n.js";
import { redirectToLogin } from "./navigation.js";
import { $, finishPage, linkButton, reloadButton } from "./page.js";
import { stripInvisible } from "./text.js";

const PATH = "/api/oauth/remote/callback";
const strings = messages.remote;
const parameters = new URLSearchParams(location.search);
const backLink = linkButton(strings.back, "/admin/oauth#connections");

$("loading").hidden = false;
await handleCallback();

async function handleCallback() {
  const isError = parameters.has("error");
  if (!isError && !(parameters.has("code") && parameters.has("state"))) {
    finishPage(strings.incomplete.title, [strings.incomplete.text], backLink);
    return;
  }
  const query = new URLSearchParams();
  for (const name of ["code", "state", "iss", "error", "error_description"]) {
    if (parameters.has(name)) query.set(name, parameters.get(name));
  }
  const answer = await call("GET", `${PATH}?${query}`);
  if (answer.status === 401) {
    redirectToLogin();
    return;
  }
  if (answer.status === 0) {
    const { title, text } = describeError(answer);
    finishPage(title, [text], reloadButton());
    return;
  }
  // Remove the code and state from the address and the history.
  history.replaceState(null, "", location.pathname);
  if (isError) finishRefused();
  else if (answer.status === 200) finishConnected(answer.body.connection ?? {});
  else if (answer.status === 405 || (answer.status === 404 && !answer.body.detail)) finishPage(strings.unsupported.title, [strings.unsupported.text], backLink);
  else finishPage(strings.failed.title, [errorDetail(answer, strings.failed.text)], backLink);
}

function finishConnected(connection) {
  const resource = stripInvisible(connection.resource_name) || connection.resource_url;
  finishPage(strings.connected.title, [resource ? formatText(strings.connected.text, { resource }) : strings.connectedUnnamed], backLink);
}

function finishRefused() {
  if (parameters.get("error") === "access_denied") {
    finishPage(strings.accessDenied.title, [strings.accessDenied.text], backLink);
    return;
  }
  const description = stripInvisible(parameters.get("error_description") || parameters.get("error")).slice(0, 200);
  finishPage(strings.refused.title, [formatText(strings.refused.text, { description })], backLink);
}
