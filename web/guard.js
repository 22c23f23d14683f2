// Against double-clickjacking: another page asks for a double click and brings this page up between the
// two clicks. A button with data-guarded acts only after the page was visible, focused and unchanged for
// half a second, and only on a press that began after that. Until then it says aria-disabled.

const HOLD = 500; // milliseconds; longer than the interval of a double click on most systems

let ready = false;
let timer;
let presses = 0;
let held = false; // a key or a button of the mouse is down
let early = false; // ... since before the buttons were ready

function mark() {
  for (const button of document.querySelectorAll("[data-guarded]")) {
    if (ready) button.removeAttribute("aria-disabled");
    else button.setAttribute("aria-disabled", "true");
  }
}

function isSeen() {
  return document.visibilityState === "visible" && document.hasFocus();
}

/** Holds the guarded buttons back, for half a second from now or from when the page is seen. */
export function hold() {
  ready = false;
  clearTimeout(timer);
  mark();
  if (!isSeen()) return;
  timer = setTimeout(() => {
    ready = isSeen();
    mark();
  }, HOLD);
}

for (const type of ["focus", "blur", "pageshow"]) addEventListener(type, hold);
document.addEventListener("visibilitychange", hold);

function press() {
  presses += 1;
  held = true;
  early = !ready;
}

// After the click that the release causes.
function release() {
  const last = presses;
  setTimeout(() => {
    if (last !== presses) return; // the next press has begun
    held = false;
    early = false;
  });
}

addEventListener("pointerdown", press, true);
addEventListener("keydown", (event) => {
  if (!event.repeat) press();
  else if (!held) early = true; // the key is down since before this page
}, true);
for (const type of ["pointerup", "pointercancel", "keyup"]) addEventListener(type, release, true);

addEventListener("click", (event) => {
  if ((ready && !early) || !event.target.closest?.("[data-guarded]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

hold();
