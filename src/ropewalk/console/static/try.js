// The form that tries an endpoint: the row as typed, what is wrong beside its field, the answer with the way to its line.
import { BASE } from "./base.js";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

// A number goes out as it was typed: JavaScript's own would round whole numbers beyond 2^53.
function typed(input) {
  const text = input.value.trim();
  const kind = input.dataset.type;
  if (text === "") return "null";
  if (kind === "bool" && (text === "true" || text === "false")) return text;
  if ((kind === "int" || kind === "float") && NUMBER.test(text)) return text;
  return JSON.stringify(kind === "string" ? input.value : text);
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function mark(input, message, wrong = true) {
  const place = document.getElementById(`${input.id}-wrong`);
  place.hidden = message === "";
  place.textContent = message;
  place.classList.toggle("mild", !wrong);
  if (message !== "" && wrong) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function told(form, problems, wrong) {
  const others = [];
  let first = null;
  for (const problem of problems) {
    const input = [...form.elements].find((one) => one.name === problem.field);
    if (!input) others.push(`${problem.field}: ${problem.message}`);
    else {
      mark(input, problem.message, wrong);
      first ??= input;
    }
  }
  if (wrong) first?.focus();
  return others;
}

// `others` is what is wrong with no field of the form; what is wrong with a field stands beside it already.
function failed(place, problem, others) {
  const words = [problem.what, ...others, problem.problems?.length ? "" : problem.why].filter(Boolean);
  place.replaceChildren(element("p", words.join(" "), "wrong"));
  if (problem.fix) place.append(element("p", problem.fix, "quiet small"));
}

function answered(form, place, body) {
  const found = body.predictions?.[0] ?? {};
  if (found.error) {
    failed(place, found.error, []);
  } else {
    const list = element("dl", "", "outputs");
    for (const [name, value] of Object.entries(found)) {
      if (["id", "release", "warnings", "error"].includes(name)) continue;
      list.append(element("dt", name), element("dd", String(value)));
    }
    place.replaceChildren(list);
  }
  const others = told(form, found.warnings ?? [], false);
  if (others.length) place.append(element("p", others.join("; "), "quiet small"));
  if (!found.id) return;
  const line = element("p", "", "small");
  const link = element("a", "Where does this answer come from?");
  link.href = `${BASE}/predictions/${found.id}`;
  line.append(link, ` ${found.release ?? body.release ?? ""} `, element("code", found.id));
  place.append(line);
}

async function ask(event) {
  event.preventDefault();
  const form = event.target;
  const place = form.querySelector(".answer");
  const button = form.querySelector("button");
  const inputs = [...form.querySelectorAll("[data-type]")];
  for (const input of inputs) mark(input, "");
  const record = inputs.map((input) => `${JSON.stringify(input.name)}:${typed(input)}`).join(",");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `{"records":[{${record}}]}`,
    });
    const body = await answer.json();
    if (answer.ok) answered(form, place, body);
    else failed(place, body, told(form, body.problems ?? [], true));
  } catch (error) {
    failed(place, { what: "No answer came.", why: String(error), fix: "See whether `ropewalk up` still runs." }, []);
  } finally {
    button.disabled = false;
  }
}

document.querySelectorAll("form.try").forEach((form) => form.addEventListener("submit", ask));
