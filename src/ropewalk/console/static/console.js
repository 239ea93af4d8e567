// Keeps the marked parts of a page live, and sends the form that tries an endpoint.
const PERIOD_MS = 1000;

async function refresh(part) {
  const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const text = await answer.text();
  if (text !== part.dataset.shown) {
    const held = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.innerHTML = text;
    part.dataset.shown = text;
    if (held) part.querySelector(`[href="${CSS.escape(held)}"]`)?.focus();
  }
}

async function beat() {
  const note = document.getElementById("stale");
  if (!document.hidden) {
    try {
      await Promise.all([...document.querySelectorAll("[data-live]")].map(refresh));
      note.hidden = true;
    } catch {
      note.hidden = false;
    }
  }
  setTimeout(beat, PERIOD_MS);
}

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
    link.href = `/predictions/${id}`;
    link.textContent = "Where does this answer come from?";
    place.append("\n\n", link);
  }
}

document.querySelectorAll("form.try").forEach((form) => form.addEventListener("submit", ask));
if (document.querySelector("[data-live]")) setTimeout(beat, PERIOD_MS);
