// A question before something that cannot be taken back.

import { el } from "./page.js";
import { texts } from "./words.js";

/** Asks once. Resolves to false when the person turns away, else to true, or to what was chosen in
 *  `choice`, a field of the dialog. */
export function ask({ title, text, action, kind = "danger", choice }) {
  return new Promise((resolve) => {
    const no = el("button", { type: "button", autofocus: true }, texts.common.cancel);
    const yes = el("button", { type: "button", class: kind }, action);
    const dialog = el(
      "dialog",
      { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" },
      el("h2", { id: "ask-title" }, title),
      el("p", { id: "ask-text" }, text),
      ...(choice ? [choice.field] : []),
      el("div", { class: "actions" }, no, yes),
    );
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", (event) => {
      // The second click of the double click that opened this is no answer.
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
