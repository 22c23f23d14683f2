// The front page: only signing out needs a script.

import { signOut } from "./api.js";
import { $, forgetSignIn, once, say } from "./page.js";

$("sign-out").addEventListener("click", () =>
  once(async () => {
    if (await signOut()) {
      forgetSignIn();
      say({ title: "You are signed out", text: "Applications you allowed keep their access." }, "good");
    } else {
      say({ title: "You are not signed out", text: "The server did not confirm it. Try again." });
    }
  }),
);
