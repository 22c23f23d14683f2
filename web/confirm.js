// The second confirmation of privileged scopes, on the consent page and the device page.

import { scopeGroup, selectedScopes } from "./client-details.js";
import { $, hideMessage, showSection, withButtonsDisabled } from "./page.js";
import { groupScopes, privilegedScopes } from "./scopes.js";

/** Makes the button `allow` call `approve`, after a second confirmation if privileged scopes are selected. */
export function confirmPrivileged(approve) {
  $("allow").addEventListener("click", () => {
    hideMessage();
    const privileged = privilegedScopes(selectedScopes($("scopes")));
    if (privileged.length === 0) {
      withButtonsDisabled(approve);
      return;
    }
    $("privileged").replaceChildren(...groupScopes(privileged).map((group) => scopeGroup(group, { level: "h2" })));
    showSection($("confirm"));
  });
  // Ignore the second click of a double click on "allow": it must not confirm the privileged scopes.
  $("allow-privileged").addEventListener("click", (event) => {
    if (event.detail < 2) withButtonsDisabled(approve);
  });
  $("back").addEventListener("click", (event) => {
    if (event.detail < 2) showSection($("review"));
  });
}
