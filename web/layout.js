// Layout of the settings and administration pages: account, navigation, and the current view. The part of
// the address after `#` names the view, so links, reload and the back button work.

import { fetchSession, hasPermission, signedInAs } from "./account.js";
import { describeError } from "./api.js";
import { restoreDraft, setDraftOwner } from "./drafts.js";
import { formatPlural, formatText, messages } from "./i18n.js";
import { redirectToLogin, signOutButton } from "./navigation.js";
import { showNewSignIns } from "./origins.js";
import { $, el, finishPage, hideMessage, reloadButton, showMessage } from "./page.js";

const strings = messages.layout;

const PAGES = [
  ["applications", "/settings/applications"],
  ["clients", "/settings/clients"],
  ["accessKeys", "/settings/access-keys"],
  ["security", "/settings/security"],
  ["admin", "/admin/oauth"],
];

/** Loads the session and renders the navigation. Returns `{ account, sessions }`, or null after a redirect
 *  to the sign-in page or an error. */
export async function requireSession(current) {
  const answer = await fetchSession();
  if (answer.status === 401) {
    redirectToLogin();
    return null;
  }
  if (answer.status !== 200) {
    showErrorPage(answer);
    return null;
  }
  // The link must not change the address: the fragment names the view.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("main").focus();
  });
  const { account } = answer.body;
  setDraftOwner(account);
  if (account) $("account").append(el("span", {}, ...signedInAs(account)));
  $("account").append(signOutLink());
  const pages = PAGES.filter(([name]) => name !== "admin" || name === current || hasPermission(account, "ADMINISTRATOR"));
  const items = pages.map(([name, href]) => {
    const link = el("a", { href, "aria-current": name === current ? "page" : undefined }, strings[name]);
    return el("li", {}, link);
  });
  $("nav").setAttribute("aria-label", strings.pages);
  $("nav").replaceChildren(el("ul", {}, ...items));
  $("nav").hidden = false;
  showNewSignIns(answer.body.sessions);
  return answer.body;
}

function signOutLink() {
  const link = signOutButton(strings.signOut, () => {
    location.replace("/");
    return true;
  });
  link.className = "link";
  return link;
}

/** Shows the error of a failed operation; redirects to the sign-in page if the session has ended. */
export function showError(answer) {
  if (answer.status === 401) redirectToLogin();
  else showMessage(describeError(answer));
}

/** Replaces the page by an error; redirects to the sign-in page if the session has ended. */
export function showErrorPage(answer) {
  if (answer.status === 401) {
    redirectToLogin();
    return;
  }
  const { title, text } = describeError(answer);
  finishPage(title, [text], answer.status === 403 ? signOutButton(strings.signOut, redirectToFrontPage) : reloadButton());
}

function redirectToFrontPage() {
  location.replace("/");
  return true;
}

let wasRendered = false; // true after the first view
let pendingMessage = null; // message to show with the next view

/** Navigates to a view, or renders the current view again, and shows a success message there. */
export function navigateTo(name, message = null) {
  pendingMessage = message;
  if (location.hash === `#${name}`) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = name;
}

/** Renders a view with the heading `title`. The heading gets the focus, except in the first view of a page. */
export function renderView(title, ...nodes) {
  const heading = el("h1", { tabindex: "-1" }, title);
  $("view").replaceChildren(heading, ...nodes);
  $("loading").hidden = true;
  $("view").hidden = false;
  document.title = title;
  if (wasRendered) {
    scrollTo(0, 0);
    heading.focus();
  }
  wasRendered = true;
  const message = restoreDraft() ?? pendingMessage;
  if (message) showMessage(message, "good");
  pendingMessage = null;
}

/** Calls `render(name, parameters, isCurrent)` now and at every change of the fragment. `isCurrent()` is false
 *  after a navigation to another view, so `render` can drop a late response. */
export function startViews(render) {
  let latest = 0;
  const navigate = () => {
    const current = ++latest;
    const [name, ...query] = location.hash.slice(1).split("?");
    hideMessage();
    return render(name, new URLSearchParams(query.join("?")), () => current === latest);
  };
  addEventListener("hashchange", navigate);
  // The back/forward cache restored the page: another account may be signed in now.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  return navigate();
}

/** Returns the id of a view name of the form `app/ID`. */
export function idFromView(name) {
  const id = name.slice(name.indexOf("/") + 1);
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // invalid percent-encoding in a typed address
  }
}

/** Returns the placeholder of an empty list. */
export function emptyState({ title, text }, ...more) {
  return el("div", { class: "empty" }, el("p", {}, el("strong", {}, title)), el("p", {}, text), ...more);
}

/** Returns the links to the pages of a list, or the count if there is one page. `hrefOf` maps a page number to
 *  an address. */
export function pagination(pages, hrefOf) {
  const { current_page: page, total_pages: last, results } = pages;
  if (typeof page !== "number" || !(last > 1)) return el("p", { class: "count" }, typeof results === "number" ? formatPlural(messages.lists.count, results) : "");
  const link = (target, text) =>
    target >= 1 && target <= last
      ? el("a", { class: "button", href: hrefOf(target) }, text)
      : el("span", { class: "button", "aria-disabled": "true" }, text);
  const position = formatText(messages.lists.page, { page, pages: last });
  return el(
    "nav",
    { class: "pager", "aria-label": messages.lists.pages },
    link(page - 1, messages.lists.previous),
    el("span", { class: "count" }, `${position}, ${formatPlural(messages.lists.count, results)}`),
    link(page + 1, messages.lists.next),
  );
}

/** Returns a list item below the page's heading: title, lines of facts, and action buttons. */
export const listItem = listItemWith("h2");

/** Returns a list item below a section's heading. */
export const subListItem = listItemWith("h3");

function listItemWith(level) {
  return (title, lines, ...actions) => {
    const about = el("div", { class: "about" }, el(level, {}, ...[title].flat()), ...lines.filter(Boolean));
    return el("li", { class: "item" }, about, ...(actions.length > 0 ? [el("div", { class: "item-actions" }, ...actions)] : []));
  };
}

/** Returns a line of facts with dots between them; null, undefined and empty facts are left out. */
export function facts(...parts) {
  const present = parts.filter((part) => part !== null && part !== undefined && part !== "");
  return el("p", { class: "facts" }, ...present.map((part) => el("span", {}, ...[part].flat())));
}
