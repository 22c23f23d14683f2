// Asks a person whether they want to sign out: an application sent them, and may have no right to.

import { signOut } from "./api.js";
import { $, finish, forgetSignIn, linkButton, once, returnTarget, say, unsay } from "./page.js";

$("sign-out").disabled = false;

$("sign-out").addEventListener("click", () =>
  once(async () => {
    unsay();
    if (!(await signOut())) {
      say({ title: "You are not signed out", text: "The server did not confirm it. Try again." });
      return false;
    }
    forgetSignIn();
    // Back to where the application wants the person, if the server knows the address.
    if (new URLSearchParams(location.search).has("return_url")) {
      location.replace(returnTarget());
      return true;
    }
    finish("You are signed out", ["Applications you allowed keep their access."], linkButton("To the front page", "/"));
    return true;
  }),
);

// Back from a page that was left a moment ago: the question as it was, ready again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
