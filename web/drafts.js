// What a member typed into a form when the session ended: kept in this tab until the member has signed in again, then
// filled in. Never passwords and secrets.

import { messages } from "./i18n.js";

const KEY = "draft";
const LIFETIME_MILLISECONDS = 3_600_000;

let owner = null; // id of the account whose forms are shown
const edited = new WeakSet(); // controls that the member has changed

for (const type of ["input", "change"]) addEventListener(type, ({ target }) => edited.add(target));

/** Sets the account of the forms of this page. A draft comes back for the same account only. */
export function setDraftOwner(account) {
  owner = account?.id ?? null;
}

/** Keeps the changed fields of the current view, if an account was signed in. With `reload`, fields come back without a
 *  message, and without an account. */
export function saveDraft({ reload = false } = {}) {
  if (owner === null && !reload) return;
  const fields = controls().flatMap((control, index) => (edited.has(control) ? [{ index, type: control.type, ...stateOf(control) }] : []));
  const kept = fields.filter(({ type, checked }) => type !== "radio" || checked);
  if (kept.length === 0) return;
  const draft = { owner, place: placeOf(location), at: Date.now(), reload, fields: kept };
  sessionStorage.setItem(KEY, JSON.stringify(draft));
}

/** True if a draft waits for the view at this address. */
export function hasDraftFor(address) {
  const draft = readDraft();
  return draft !== null && !draft.reload && draft.place === placeOf(new URL(address, location.origin));
}

/** Fills in the draft of the current view. Returns the message to show, or null. */
export function restoreDraft() {
  const draft = readDraft();
  if (draft === null || draft.place !== placeOf(location)) return null;
  sessionStorage.removeItem(KEY); // first: a choice may render the view again
  if (draft.owner !== owner) return null;
  const choices = draft.fields.filter(({ type }) => type === "radio");
  // A choice can change the fields below it, so choices are made first.
  const filled = [...choices, ...draft.fields.filter((field) => !choices.includes(field))].filter(fill);
  return filled.length > 0 && !draft.reload ? messages.drafts.restored : null;
}

function fill({ index, type, value, checked }) {
  const control = controls()[index];
  if (control?.type !== type) return false; // the form has changed
  if (checked === undefined) control.value = value;
  else control.checked = checked;
  for (let place = control.closest("details"); place; place = place.parentElement.closest("details")) place.open = true;
  for (const event of ["input", "change"]) control.dispatchEvent(new Event(event, { bubbles: true }));
  return true;
}

function controls() {
  return [...document.querySelectorAll("#main :is(input, select, textarea)")].filter(isKept);
}

// A revealed password is a text field: `autocomplete` tells its purpose.
function isKept(control) {
  return !["password", "hidden", "file"].includes(control.type) && !/password/.test(control.autocomplete) && !control.readOnly && !control.closest("dialog, [data-unsaved]");
}

function stateOf(control) {
  return ["checkbox", "radio"].includes(control.type) ? { checked: control.checked } : { value: control.value };
}

function placeOf({ pathname, search, hash }) {
  return pathname + search + hash;
}

function readDraft() {
  try {
    const draft = JSON.parse(sessionStorage.getItem(KEY));
    return draft !== null && Date.now() - draft.at < LIFETIME_MILLISECONDS ? draft : null;
  } catch {
    return null;
  }
}
