// Values and code blocks with a button that copies them.

import { messages } from "./i18n.js";
import { el } from "./page.js";

/** Creates a button that copies `text`, with a status for screen readers. */
function copyButton(text, selectable) {
  const copy = el("button", { type: "button", class: "copy" }, messages.common.copy);
  const status = el("span", { class: "visually-hidden", role: "status" });
  let timer;
  copy.addEventListener("click", async () => {
    let result = messages.common.copied;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      result = messages.common.copyFailed; // no permission, or no https
      getSelection().selectAllChildren(selectable);
    }
    copy.textContent = result;
    status.textContent = result;
    clearTimeout(timer);
    timer = setTimeout(() => {
      copy.textContent = messages.common.copy;
      status.textContent = "";
    }, 4000);
  });
  return [copy, status];
}

/** Creates a labelled value with a copy button. */
export function copyable(name, value, hint) {
  const code = el("code", {}, value);
  return el(
    "div",
    { class: "copyable" },
    el("p", { class: "label" }, name),
    el("div", { class: "value" }, code, ...copyButton(value, code)),
    ...(hint ? [el("p", { class: "hint" }, hint)] : []),
  );
}

/** Creates a code block with a copy button. */
export function codeBlock(code, label) {
  const block = el("pre", { tabindex: "0", role: "region", "aria-label": label }, el("code", {}, code));
  return el("div", { class: "codeblock" }, ...copyButton(code, block), block);
}
