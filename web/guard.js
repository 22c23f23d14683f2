// Protection against double-clickjacking: an attacker's page asks for a double click and shows this page
// between the two clicks. A button with data-guarded acts only after the page was visible, focused and
// unchanged for half a second, and only on a press that began after that. Until then it is aria-disabled.

const GUARD_MILLISECONDS = 500; // milliseconds; longer than the interval of a double click on most systems

let isReady = false;
let timer;
let pressCount = 0;
let isPressed = false; // a key or a mouse button is down
let pressedTooEarly = false; // the press began before the buttons were enabled

function updateButtons() {
  for (const button of document.querySelectorAll("[data-guarded]")) {
    if (isReady) button.removeAttribute("aria-disabled");
    else button.setAttribute("aria-disabled", "true");
  }
}

function isVisibleAndFocused() {
  return document.visibilityState === "visible" && document.hasFocus();
}

/** Disables the guarded buttons until the page was visible and focused for half a second. */
export function disableGuardedButtons() {
  isReady = false;
  clearTimeout(timer);
  updateButtons();
  if (!isVisibleAndFocused()) return;
  timer = setTimeout(() => {
    isReady = isVisibleAndFocused();
    updateButtons();
  }, GUARD_MILLISECONDS);
}

for (const type of ["focus", "blur", "pageshow"]) addEventListener(type, disableGuardedButtons);
document.addEventListener("visibilitychange", disableGuardedButtons);

function onPress() {
  pressCount += 1;
  isPressed = true;
  pressedTooEarly = !isReady;
}

// Runs after the click event that the release causes.
function onRelease() {
  const last = pressCount;
  setTimeout(() => {
    if (last !== pressCount) return; // another press has begun
    isPressed = false;
    pressedTooEarly = false;
  });
}

addEventListener("pointerdown", onPress, true);
addEventListener("keydown", (event) => {
  if (!event.repeat) onPress();
  else if (!isPressed) pressedTooEarly = true; // the key was down before this page had the focus
}, true);
for (const type of ["pointerup", "pointercancel", "keyup"]) addEventListener(type, onRelease, true);

addEventListener("click", (event) => {
  if ((isReady && !pressedTooEarly) || !event.target.closest?.("[data-guarded]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

disableGuardedButtons();
