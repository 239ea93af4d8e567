// Leads the addresses that MLflow's client prints after a run to the pages that show the same things here.
import { BASE } from "./base.js";

const PLACES = [
  [/^#\/experiments\/\d+\/runs\/([0-9a-f]{32})/, (run) => `/runs/${run}`],
  [/^#\/experiments\/\d+\/traces.*[?&]selected(?:Evaluation|Trace)Id=([\w.:-]+)/, (trace) => `/traces/${trace}`],
  [/^#\/experiments\/(\d+)\/traces/, (experiment) => `/traces?experiment=${experiment}`],
  [/^#\/experiments\/\d+\/models\/([\w-]+)/, (model) => `/logged/${model}`],
  [/^#\/experiments\/(\d+)/, (experiment) => `/runs?experiment=${experiment}`],
  [/^#\/models\/([^/?]+)\/versions\/(\d+)/, (model, version) => `/models/${model}/${version}`],
  [/^#\/models\/([^/?]+)/, (model) => `/models/${model}`],
  [/^#\/prompts\/([^/?]+)/, (prompt) => `/prompts/${prompt}`],
];

function lead() {
  const elsewhere = /[?&]workspace=([\w%.-]+)/.exec(location.hash)?.[1];
  const base = elsewhere ? `/workspaces/${elsewhere}` : BASE;
  for (const [shape, address] of PLACES) {
    const found = shape.exec(location.hash);
    if (found) return location.replace(`${base}${address(...found.slice(1))}`);
  }
}

if (location.pathname === `${BASE}/`) {
  lead();
  window.addEventListener("hashchange", lead);
}
