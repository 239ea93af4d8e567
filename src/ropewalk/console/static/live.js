// Keeps the marked parts of a page live, and shows them anew when a form beside them says how to look.
const BEAT_MS = 500;
const PERIOD_MS = 1000;
// A part that takes long to gather is asked for less often: the server has other things to do.
const REST = 6;
const REST_MS_MAX = 30000;
const due = new WeakMap();
const failed = new WeakMap();

function held(part) {
  const active = document.activeElement;
  if (!part.contains(active)) return null;
  for (const name of ["id", "href", "data-key"]) {
    const value = active.getAttribute(name);
    if (value) return `[${name}="${CSS.escape(value)}"]`;
  }
  return active.name && active.value ? `[name="${CSS.escape(active.name)}"][value="${CSS.escape(active.value)}"]` : null;
}

export async function refresh(part) {
  const address = part.dataset.live;
  // What is shown of all the page, asked before this part is: what comes after a run's end is the last of it.
  const all = document.querySelector("[data-all]");
  const own = part.contains(all);
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const text = await answer.text();
  // A later look at the same part may have been asked for meanwhile.
  if (part.dataset.live !== address) return;
  if (text !== part.dataset.shown) show(part, text);
  // What is over never changes; what rests, such as a run that was interrupted, may be taken up again one day.
  part.dataset.usual ??= part.dataset.period ?? PERIOD_MS;
  const said = part.querySelector("[data-over], [data-rest]") ?? (own ? null : all);
  part.dataset.period = said ? said.dataset.rest ?? 0 : part.dataset.usual;
}

function show(part, text) {
  const opened = [...part.querySelectorAll("details[open][id]")].map((item) => item.id);
  const focus = held(part);
  part.innerHTML = text;
  part.dataset.shown = text;
  for (const id of opened) part.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  if (focus) part.querySelector(focus)?.focus({ preventScroll: true });
  part.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
}

async function timed(part) {
  const begun = performance.now();
  const period = () => Number(part.dataset.period ?? PERIOD_MS);
  try {
    await refresh(part);
  } catch (error) {
    const times = (failed.get(part) ?? 0) + 1;
    failed.set(part, times);
    // Nobody is helped by a server that is asked all the time.
    due.set(part, performance.now() + Math.min(period() * 2 ** times, REST_MS_MAX));
    throw error;
  }
  failed.delete(part);
  due.set(part, begun + Math.max(period(), REST * (performance.now() - begun)));
}

function isDue(part, now) {
  const period = Number(part.dataset.period ?? PERIOD_MS);
  if (!period || now < (due.get(part) ?? 0)) return false;
  due.set(part, now + period);
  return true;
}

async function beat() {
  const note = document.getElementById("stale");
  if (!document.hidden) {
    const now = performance.now();
    const all = [...document.querySelectorAll("[data-live]")];
    const parts = all.filter((part) => isDue(part, now));
    await Promise.allSettled(parts.map(timed));
    if (parts.length) note.hidden = !all.some((part) => failed.has(part));
  }
  setTimeout(beat, BEAT_MS);
}

// A form with data-part="ID" says how that part is looked at: the address follows, the page does not load again.
function look(event) {
  const form = event.target.closest("form[data-part]");
  if (!form) return;
  if (event.type === "submit") event.preventDefault();
  const part = document.getElementById(form.dataset.part);
  const words = new URLSearchParams(new FormData(form));
  part.dataset.live = `${part.dataset.live.split("?")[0]}?${words}`;
  history.replaceState(null, "", `${location.pathname}?${words}${location.hash}`);
  refresh(part).catch(() => {
    document.getElementById("stale").hidden = false;
  });
}

for (const part of document.querySelectorAll("[data-live]")) due.set(part, performance.now() + Number(part.dataset.period ?? PERIOD_MS));
document.addEventListener("change", look);
document.addEventListener("submit", look);
if (document.querySelector("[data-live]")) setTimeout(beat, BEAT_MS);
