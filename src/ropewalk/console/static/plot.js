// Reads a plot at the pointer, or at the arrow keys while the plot has the focus.
const SHOWN_MAX = 12;
const known = new WeakMap();
let tip = null;

function read(svg) {
  if (known.has(svg)) return known.get(svg);
  const [low, high, start, end] = svg.dataset.x.split(" ").map(Number);
  const curves = [...svg.querySelectorAll("g[data-values]")].map((group) => ({
    name: group.dataset.name,
    slot: Number(group.dataset.slot),
    points: group.dataset.values.split(" ").map((pair) => pair.split(":").map(Number)),
  }));
  const places = [...new Set(curves.flatMap((curve) => curve.points.map((point) => point[0])))].sort((a, b) => a - b);
  const found = { low, high, start, end, curves, places };
  known.set(svg, found);
  return found;
}

function nearest(points, x) {
  let from = 0;
  let to = points.length - 1;
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (points[middle][0] < x) from = middle;
    else to = middle;
  }
  return Math.abs(points[from][0] - x) <= Math.abs(points[to][0] - x) ? points[from] : points[to];
}

function said(axis, x) {
  if (axis === "step") return `step ${x.toLocaleString("en")}`;
  if (axis === "time") return `${x < 120 ? x.toPrecision(3) : Math.round(x).toLocaleString("en")} s after the start`;
  const at = new Date(x / 1000);
  return Number.isNaN(at.getTime()) ? `${x} µs` : `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function line(svg, place, x) {
  svg.querySelector(".cross")?.remove();
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const across = place.start + ((x - place.low) / (place.high - place.low)) * (place.end - place.start);
  path.setAttribute("class", "cross");
  path.setAttribute("d", `M${across.toFixed(1)} 8V${svg.viewBox.baseVal.height - 24}`);
  svg.append(path);
  return across;
}

function show(svg, wanted, at) {
  const place = read(svg);
  if (!place.curves.length) return;
  const x = nearest(place.places.map((value) => [value]), wanted)[0];
  const across = line(svg, place, x);
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("role", "status");
    document.body.append(tip);
  }
  const rows = place.curves.map((curve) => ({ ...curve, point: nearest(curve.points, x) })).filter((one) => place.curves.length === 1 || one.point[0] === x);
  rows.sort((a, b) => b.point[1] - a.point[1]);
  const head = document.createElement("div");
  head.textContent = said(svg.dataset.axis, x);
  tip.replaceChildren(head, ...rows.slice(0, SHOWN_MAX).map(row));
  if (rows.length > SHOWN_MAX) tip.append(`and ${rows.length - SHOWN_MAX} more`);
  tip.hidden = false;
  const box = svg.getBoundingClientRect();
  const left = at?.x ?? box.left + (across / svg.viewBox.baseVal.width) * box.width;
  const top = at?.y ?? box.top + 10;
  tip.style.left = `${Math.max(4, Math.min(left + 14, window.innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(4, Math.min(top + 14, window.innerHeight - tip.offsetHeight - 8))}px`;
  svg.dataset.at = String(x);
}

function row(one) {
  const item = document.createElement("div");
  item.className = `key c${one.slot % 10}${one.slot >= 10 ? " dashed" : ""}`;
  item.textContent = `${one.name}: ${one.point[1]}`;
  return item;
}

function hide() {
  if (tip) tip.hidden = true;
  document.querySelectorAll(".plot .cross").forEach((item) => item.remove());
}

function follow(event) {
  const svg = event.target.closest?.("svg.plot");
  if (!svg) {
    if (tip && !tip.hidden && !document.activeElement?.matches?.("svg.plot")) hide();
    return;
  }
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const place = read(svg);
  const share = (point.x - place.start) / (place.end - place.start);
  document.querySelectorAll(".plot .cross").forEach((item) => item.remove());
  show(svg, place.low + share * (place.high - place.low), { x: event.clientX, y: event.clientY });
}

function step(event) {
  if (event.key === "Escape") hide();
  const svg = event.target.closest?.("svg.plot");
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!svg || !by) return;
  event.preventDefault();
  const { places } = read(svg);
  const before = places.indexOf(Number(svg.dataset.at));
  const next = before < 0 ? (by > 0 ? 0 : places.length - 1) : Math.max(0, Math.min(places.length - 1, before + by));
  show(svg, places[next]);
}

document.addEventListener("pointermove", follow);
document.addEventListener("keydown", step);
document.addEventListener("focusout", hide);
document.addEventListener("scroll", hide, { passive: true });
