// Remembers which runs were chosen while one pages and filters, what is done with them, and which columns were shown.
import { BASE } from "./base.js";

const KEY = `ropewalk.chosen${BASE}`;
const COLUMNS = "ropewalk-columns";
const COLUMNS_LETTERS = 3500;
const YEAR_SECONDS = 31536000;
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
  const boxes = [...document.querySelectorAll("input[name=run][type=checkbox]")];
  for (const box of boxes) box.checked = chosen.has(box.value);
  const all = document.getElementById("choose-all");
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

// The form holds the boxes of this page; what was chosen on other pages goes along.
function send(event) {
  const form = event.target;
  // What is deleted, restored or tagged now is not chosen any more.
  if (form.matches(".sheet") && form.querySelector("input[name=run]")) sessionStorage.removeItem(KEY);
  if (form.id !== "chosen-runs") return;
  if (event.submitter?.classList.contains("go")) {
    event.preventDefault();
    location.assign(`${BASE}/compare?${[...chosen.keys()].map((id) => `run=${encodeURIComponent(id)}`).join("&")}`);
    return;
  }
  for (const old of form.querySelectorAll("input[name=run]")) old.remove();
  const here = new Set([...document.querySelectorAll("input[name=run][type=checkbox]")].map((box) => box.value));
  for (const id of chosen.keys()) {
    if (here.has(id)) continue;
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "run", value: id });
    form.append(input);
  }
}

function narrow(event) {
  const list = document.getElementById(event.target.dataset?.narrows ?? "");
  if (!list) return;
  const wanted = event.target.value.toLowerCase();
  for (const item of list.querySelectorAll("[data-word]")) item.hidden = !item.dataset.word.toLowerCase().includes(wanted);
}

// Columns are kept by the browser, for each choice of experiments; the server reads them from the cookie.
function columns() {
  try {
    const found = document.cookie.split("; ").find((one) => one.startsWith(`${COLUMNS}=`));
    return JSON.parse(decodeURIComponent(found.slice(COLUMNS.length + 1)));
  } catch {
    return {};
  }
}

function remember(place, shown) {
  const known = columns();
  delete known[place];
  if (shown.length) known[place] = shown;
  const written = () => encodeURIComponent(JSON.stringify(known));
  while (written().length > COLUMNS_LETTERS && Object.keys(known).length) delete known[Object.keys(known)[0]];
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${COLUMNS}=${written()}; path=${BASE}/; max-age=${YEAR_SECONDS}; samesite=strict${secure}`;
}

const table = document.querySelector("#table[data-columns]");
if (table) {
  const form = document.querySelector("#columns form");
  form.addEventListener("submit", () => remember(table.dataset.columns, new FormData(form).getAll("show")));
  document.getElementById("usual-columns").addEventListener("click", () => remember(table.dataset.columns, []));
  // What is shown stands in the address, so that it can be sent to somebody.
  if (!new URLSearchParams(location.search).has("show") && table.dataset.address.includes("show=")) history.replaceState(null, "", table.dataset.address);
}

document.addEventListener("change", change);
document.addEventListener("submit", send);
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
