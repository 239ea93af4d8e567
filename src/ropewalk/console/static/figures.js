// Shows the figures of what the pointer or the focus is on; a finger's tap gives it the focus first.
let tip = null;

function place(box) {
  const left = Math.min(box.left + 8, window.innerWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
}

function show(event) {
  const part = event.target.closest?.("[data-figures]");
  if (!part) return event.type === "pointerover" && hide();
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip wrapped";
    tip.setAttribute("aria-hidden", "true");
    document.body.append(tip);
  }
  tip.textContent = part.dataset.figures;
  tip.hidden = false;
  place(part.getBoundingClientRect());
}

function hide() {
  if (tip) tip.hidden = true;
}

document.addEventListener("pointerover", show);
document.addEventListener("focusin", show);
document.addEventListener("focusout", hide);
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
document.addEventListener("scroll", hide, { passive: true, capture: true });
document.addEventListener("refreshed", hide);
