// What every page loads: live parts, plots that can be read, runs that can be chosen, and the form that tries an endpoint.
import "./away.js";
import { BASE } from "./base.js";
import "./figures.js";
import "./keys.js";
import "./live.js";
import "./log.js";
import "./plot.js";
import "./scroll.js";
import "./table.js";
import "./press.js";

function typed(input) {
  if (input.value === "") return null;
  if (input.dataset.type === "string") return input.value;
  if (input.dataset.type === "bool") return input.value === "true";
  const number = Number(input.value);
  return Number.isNaN(number) ? input.value : number;
}

async function ask(event) {
  event.preventDefault();
  const form = event.target;
  const record = Object.fromEntries([...form.querySelectorAll("input")].map((input) => [input.name, typed(input)]));
  const place = form.querySelector(".answer");
  const answer = await fetch(form.action, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ records: [record] }),
  });
  const body = await answer.json();
  place.textContent = JSON.stringify(body, null, 2);
  const id = body.predictions?.[0]?.id;
  if (id) {
    const link = document.createElement("a");
    link.href = `${BASE}/predictions/${id}`;
    link.textContent = "Where does this answer come from?";
    place.append("\n\n", link);
  }
}

document.querySelectorAll("form.try").forEach((form) => form.addEventListener("submit", ask));
