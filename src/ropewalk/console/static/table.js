// Remembers which runs were chosen while one pages and filters, leads to their comparison, and narrows long lists.
import { BASE } from "./base.js";

const KEY = `ropewalk.chosen${BASE}`;
const MOST = 20;

function remembered() {
  try {
    return new Map(JSON.parse(sessionStorage.getItem(KEY) ?? "[]"));
  } catch {
    return new Map();
  }
}

let chosen = remembered();

function keep() {
  sessionStorage.setItem(KEY, JSON.stringify([...chosen]));
  show();
}

function show() {
  const bar = document.getElementById("chosen");
  if (!bar) return;
  for (const box of document.querySelectorAll("input[name=run][type=checkbox]")) box.checked = chosen.has(box.value);
  const all = document.getElementById("choose-all");
  const boxes = [...document.querySelectorAll("input[name=run][type=checkbox]")];
  if (all) all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
  const count = chosen.size;
  bar.hidden = count === 0;
  const names = [...chosen.values()];
  bar.querySelector(".said").textContent =
    count > MOST ? `${count} runs chosen; ${MOST} at most can be compared` : `${count} ${count === 1 ? "run" : "runs"} chosen: ${names.slice(0, 4).join(", ")}${count > 4 ? ", …" : ""}`;
  bar.querySelector(".go").disabled = count < 2 || count > MOST;
}

function change(event) {
  const box = event.target;
  if (box.id === "choose-all") {
    for (const one of document.querySelectorAll("input[name=run][type=checkbox]")) {
      if (box.checked) chosen.set(one.value, one.dataset.name);
      else chosen.delete(one.value);
    }
    keep();
  } else if (box.matches("input[name=run][type=checkbox]")) {
    if (box.checked) chosen.set(box.value, box.dataset.name);
    else chosen.delete(box.value);
    keep();
  }
}

function go(event) {
  if (event.target.id !== "compare") return;
  event.preventDefault();
  location.assign(`${BASE}/compare?${[...chosen.keys()].map((id) => `run=${encodeURIComponent(id)}`).join("&")}`);
}

function narrow(event) {
  const list = document.getElementById(event.target.dataset?.narrows ?? "");
  if (!list) return;
  const wanted = event.target.value.toLowerCase();
  for (const item of list.querySelectorAll("[data-word]")) item.hidden = !item.dataset.word.toLowerCase().includes(wanted);
}

document.addEventListener("change", change);
document.addEventListener("submit", go);
document.addEventListener("input", narrow);
document.addEventListener("refreshed", show);
document.addEventListener("click", (event) => {
  if (event.target.id === "unchoose") {
    chosen = new Map();
    keep();
  }
  for (const menu of document.querySelectorAll("details.plain[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.plain[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
window.addEventListener("pageshow", () => {
  chosen = remembered();
  show();
});
