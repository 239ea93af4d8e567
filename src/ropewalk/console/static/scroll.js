// What can be scrolled can be scrolled with the keyboard: parts that hold nothing to stop at become a stop themselves.
const STOPS = "a[href], button, input, select, textarea, summary, [tabindex]";

function look() {
  for (const part of document.querySelectorAll(".scroll")) {
    const stop = part.scrollWidth > part.clientWidth && !part.querySelector(STOPS);
    if (stop) part.tabIndex = 0;
    else part.removeAttribute("tabindex");
  }
}

look();
window.addEventListener("resize", look);
document.addEventListener("refreshed", look);
document.addEventListener("toggle", look, true);
