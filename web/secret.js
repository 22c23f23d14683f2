// Text to take along: a value or a block of code with a button that copies it.

import { el } from "./page.js";
import { texts } from "./words.js";

/** A button that copies `text` and says so. */
function copyButton(text, selectable) {
  const made = el("button", { type: "button", class: "copy" }, texts.common.copy);
  const said = el("span", { class: "unseen", role: "status" });
  let timer;
  made.addEventListener("click", async () => {
    let result = texts.common.copied;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      result = texts.common.copyFailed; // no permission, or no https
      getSelection().selectAllChildren(selectable);
    }
    made.textContent = result;
    said.textContent = result;
    clearTimeout(timer);
    timer = setTimeout(() => {
      made.textContent = texts.common.copy;
      said.textContent = "";
    }, 4000);
  });
  return [made, said];
}

/** A value with its name and a button that copies it. */
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

/** A block of code with a button that copies it. */
export function codeBlock(code, label) {
  const block = el("pre", { tabindex: "0", role: "region", "aria-label": label }, el("code", {}, code));
  return el("div", { class: "codeblock" }, ...copyButton(code, block), block);
}
