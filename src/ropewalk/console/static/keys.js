// Single keys for tables: `/` filters, j and k or the arrows go from row to row, x chooses, c compares.
const OFF = "ropewalk.keys";

function off() {
  try {
    return localStorage.getItem(OFF) === "off";
  } catch {
    return false;
  }
}

function links() {
  return [...document.querySelectorAll("table.runs tbody tr")].map((row) => row.querySelector("td.name a, td a")).filter(Boolean);
}

function go(by) {
  const all = links();
  if (!all.length) return;
  const row = document.activeElement?.closest?.("table.runs tbody tr");
  const at = row ? all.findIndex((link) => row.contains(link)) : -1;
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by));
  all[next].focus();
  all[next].scrollIntoView({ block: "nearest" });
}

function press(event) {
  const inRow = document.activeElement?.closest?.("table.runs tbody tr");
  if (event.key === "/") document.querySelector("#filter, input[name=filter]")?.focus();
  else if (event.key === "j" || (event.key === "ArrowDown" && inRow)) go(1);
  else if (event.key === "k" || (event.key === "ArrowUp" && inRow)) go(-1);
  else if (event.key === "x" && inRow) inRow.querySelector("input[type=checkbox]")?.click();
  else if (event.key === "c") document.querySelector("#chosen:not([hidden]) .go:not([disabled])")?.click();
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || off()) return;
  if (event.target.closest("textarea, select, input:not([type=checkbox])")) return;
  if (document.querySelector("table.runs") || event.key === "/") press(event);
});

const box = document.getElementById("single-keys");
if (box) {
  box.checked = !off();
  box.addEventListener("change", () => localStorage.setItem(OFF, box.checked ? "on" : "off"));
}
