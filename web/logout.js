// Asks a person whether they want to sign out: an application sent them, and may have no right to.

import { $, finish, linkButton, once, unsay } from "./page.js";
import { endSession, returnTarget } from "./ways.js";
import { texts } from "./words.js";

$("sign-out").disabled = false;

$("sign-out").addEventListener("click", () =>
  once(() => {
    unsay();
    return endSession(() => {
      // Back to where the application wants the person, if the server knows the address.
      if (new URLSearchParams(location.search).has("return_url")) {
        location.replace(returnTarget());
        return true;
      }
      const { title, text } = texts.frame.signedOut;
      finish(title, [text], linkButton(texts.common.home, "/"));
      return true;
    });
  }),
);

// Back from a page that was left a moment ago: the question as it was, ready again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
