// Confirmation of a sign-out that a client requested (OpenID Connect RP-Initiated Logout 1.0 §2, CSRF).

import { messages } from "./i18n.js";
import { endSession, returnUrl } from "./navigation.js";
import { $, finishPage, hideMessage, linkButton, withButtonsDisabled } from "./page.js";

$("sign-out").disabled = false;

$("sign-out").addEventListener("click", () =>
  withButtonsDisabled(() => {
    hideMessage();
    return endSession(() => {
      // The logout endpoint validated post_logout_redirect_uri before it added `return_url`.
      if (new URLSearchParams(location.search).has("return_url")) {
        location.replace(returnUrl());
        return true;
      }
      const { title, text } = messages.layout.signedOut;
      finishPage(title, [text], linkButton(messages.common.home, "/"));
      return true;
    });
  }),
);

// The back/forward cache restored the page: reload it to enable the button.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
