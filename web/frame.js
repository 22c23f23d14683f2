// The frame of a signed-in person's pages: who they are, where they can go, and the view that is
// shown. A view is named by the part of the address after `#`, so that links, reload and the back
// button work as everywhere.

import { holds, signedInAs, whoIsIt } from "./account.js";
import { failure } from "./api.js";
import { $, el, finish, reloadButton, say, unsay } from "./page.js";
import { goToLogin, signOutButton } from "./ways.js";
import { line, many, texts } from "./words.js";

const words = texts.frame;

const PLACES = [
  ["applications", "/settings/applications"],
  ["clients", "/settings/clients"],
  ["accessKeys", "/settings/access-keys"],
  ["security", "/settings/security"],
  ["admin", "/admin/oauth"],
];

/** Lets a signed-in person in: returns `{ account, sessions }`, or null when the page is over. */
export async function enter(current) {
  const answer = await whoIsIt();
  if (answer.status === 401) {
    goToLogin();
    return null;
  }
  if (answer.status !== 200) {
    fail(answer);
    return null;
  }
  // Not by its address: what follows the # names the view.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("main").focus();
  });
  const { account } = answer.body;
  if (account) $("account").append(el("span", {}, ...signedInAs(account)));
  $("account").append(signOutLink());
  const places = PLACES.filter(([name]) => name !== "admin" || name === current || holds(account, "ADMINISTRATOR"));
  const items = places.map(([name, href]) => {
    const link = el("a", { href, "aria-current": name === current ? "page" : undefined }, words[name]);
    return el("li", {}, link);
  });
  $("nav").setAttribute("aria-label", words.pages);
  $("nav").replaceChildren(el("ul", {}, ...items));
  $("nav").hidden = false;
  return answer.body;
}

function signOutLink() {
  const link = signOutButton(words.signOut, () => {
    location.replace("/");
    return true;
  });
  link.className = "link";
  return link;
}

/** Says why something was not done; who is not signed in any more signs in again. */
export function refuse(answer) {
  if (answer.status === 401) goToLogin();
  else say(failure(answer));
}

/** Ends the page with what went wrong. */
export function fail(answer) {
  if (answer.status === 401) {
    goToLogin();
    return;
  }
  const { title, text } = failure(answer);
  finish(title, [text], answer.status === 403 ? signOutButton(words.signOut, leaveForGood) : reloadButton());
}

function leaveForGood() {
  location.replace("/");
  return true;
}

let shown = false; // whether there was a view before
let news = null; // a message for the view that comes next

/** Goes to a view, which is made anew when it is shown already, and tells something good there. */
export function goTo(name, message = null) {
  news = message;
  if (location.hash === `#${name}`) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = name;
}

/** Shows a view. `title` is its heading; when it follows another view, the heading gets the focus. */
export function present(title, ...nodes) {
  const heading = el("h1", { tabindex: "-1" }, title);
  $("view").replaceChildren(heading, ...nodes);
  $("loading").hidden = true;
  $("view").hidden = false;
  document.title = title;
  if (shown) {
    scrollTo(0, 0);
    heading.focus();
  }
  shown = true;
  if (news) say(news, "good");
  news = null;
}

/** Calls `render` with the view's name and its parameters, now and whenever they change. An answer that
 *  comes after the person went on is not shown: `render` asks `isCurrent()` before it presents. */
export function views(render) {
  let turn = 0;
  const go = () => {
    const mine = ++turn;
    const [name, ...query] = location.hash.slice(1).split("?");
    unsay();
    return render(name, new URLSearchParams(query.join("?")), () => mine === turn);
  };
  addEventListener("hashchange", go);
  // Back from elsewhere: somebody else may be signed in by now.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  return go();
}

/** The id in the name of a view, as in `app/ID`. */
export function idIn(name) {
  const id = name.slice(name.indexOf("/") + 1);
  try {
    return decodeURIComponent(id);
  } catch {
    return id; // somebody typed it
  }
}

/** Where there is nothing to list. */
export function empty({ title, text }, ...more) {
  return el("div", { class: "empty" }, el("p", {}, el("strong", {}, title)), el("p", {}, text), ...more);
}

/** Links to the pages of a list; nothing when there is one page. `at` makes the address of a page. */
export function pager(pages, at) {
  const { current_page: page, total_pages: last, results } = pages;
  if (typeof page !== "number" || !(last > 1)) return el("p", { class: "count" }, typeof results === "number" ? many(texts.lists.count, results) : "");
  const link = (target, text) =>
    target >= 1 && target <= last
      ? el("a", { class: "button", href: at(target) }, text)
      : el("span", { class: "button", "aria-disabled": "true" }, text);
  const place = line(texts.lists.page, { page, pages: last });
  return el(
    "nav",
    { class: "pager", "aria-label": texts.lists.pages },
    link(page - 1, texts.lists.previous),
    el("span", { class: "count" }, `${place}, ${many(texts.lists.count, results)}`),
    link(page + 1, texts.lists.next),
  );
}

/** One thing of a list under the page's heading: its title, lines about it, and what can be done. */
export const item = listed("h2");

/** One thing of a list under a part's heading. */
export const subitem = listed("h3");

function listed(level) {
  return (title, lines, ...actions) => {
    const about = el("div", { class: "about" }, el(level, {}, ...[title].flat()), ...lines.filter(Boolean));
    return el("li", { class: "item" }, about, ...(actions.length > 0 ? [el("div", { class: "do" }, ...actions)] : []));
  };
}

/** A line about a thing: its parts with dots between. */
export function facts(...parts) {
  const there = parts.filter((part) => part !== null && part !== undefined && part !== "");
  return el("p", { class: "facts" }, ...there.map((part) => el("span", {}, ...[part].flat())));
}
