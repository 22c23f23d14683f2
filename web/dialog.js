// Confirmation dialog before an action that cannot be undone.

import { messages } from "./i18n.js";
import { el } from "./page.js";

/** Asks for confirmation. Resolves to false if the user cancels; to true, or to the value of the field
 *  `choice`, if the user confirms. */
export function confirmAction({ title, text, action, kind = "danger", choice }) {
  return new Promise((resolve) => {
    const cancel = el("button", { type: "button", autofocus: true }, messages.common.cancel);
    const confirm = el("button", { type: "button", class: kind }, action);
    const dialog = el(
      "dialog",
      { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" },
      el("h2", { id: "ask-title" }, title),
      el("p", { id: "ask-text" }, text),
      ...(choice ? [choice.field] : []),
      el("div", { class: "actions" }, cancel, confirm),
    );
    cancel.addEventListener("click", () => dialog.close());
    confirm.addEventListener("click", (event) => {
      // Ignore the second click of the double click that opened the dialog.
      if (event.detail < 2) dialog.close("yes");
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" && (choice ? choice.value() : true));
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
