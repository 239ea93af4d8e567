// Follows a step's log while it runs: what is new is added at the end, what is too old leaves at the top.
const PERIOD_MS = 700;
const REST_MS_MAX = 30000;
const LINES_MAX = 5000;
const NEAR = 40;

const log = document.getElementById("printed");
const follow = document.getElementById("follow-log");
const wrap = document.getElementById("wrap-log");

function end() {
  if (follow.checked) log.scrollTop = log.scrollHeight;
}

function add(text) {
  const found = new DOMParser().parseFromString(text, "text/html").querySelector("[data-next]");
  if (!found) throw new Error("no piece of a log");
  if (found.dataset.anew) log.replaceChildren();
  if (found.dataset.next !== log.dataset.next || found.childNodes.length) {
    for (const line of log.querySelectorAll(".partial")) line.remove();
    log.append(...found.childNodes);
    while (log.childElementCount > LINES_MAX) log.firstElementChild.remove();
    log.dataset.next = found.dataset.next;
    end();
  }
  return Boolean(found.dataset.over);
}

let rest = PERIOD_MS;

async function beat() {
  let over = false;
  if (!document.hidden) {
    const note = document.getElementById("stale");
    try {
      const answer = await fetch(`${log.dataset.log}?from=${log.dataset.next}`, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(`${answer.status}`);
      over = add(await answer.text());
      note.hidden = true;
      rest = PERIOD_MS;
    } catch {
      note.hidden = false;
      rest = Math.min(2 * rest, REST_MS_MAX); // nobody is helped by a server that is asked all the time
    }
  }
  if (over) document.getElementById("log-told").textContent = "The step has ended; this is all that it printed.";
  else setTimeout(beat, rest);
}

if (log) {
  wrap.addEventListener("change", () => log.classList.toggle("wrapped", wrap.checked));
  if (log.dataset.log) {
    end();
    follow.addEventListener("change", end);
    // Whoever scrolls up wants to read there; whoever scrolls down to the end again wants to follow.
    log.addEventListener("scroll", () => {
      follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
    }, { passive: true });
    setTimeout(beat, PERIOD_MS);
  } else log.scrollTop = log.scrollHeight;
}
