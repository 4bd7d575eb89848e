// From values to pixels, and the axes of a chart.

/** A scale with `at(value)`, `ticks` and its domain; `log` only where all of the domain is above 0. */
function scale(low, high, from, to, log = false) {
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) * 0.05, high + (Math.abs(high) || 1) * 0.05];
  const f = log && low > 0 ? Math.log10 : (v) => v;
  const a = f(low);
  const factor = (to - from) / (f(high) - a);
  const steps = Math.max(2, Math.round(Math.abs(to - from) / (from > to ? 42 : 75)));
  return {
    low,
    high,
    log: f === Math.log10,
    at: (v) => from + ((f === Math.log10 ? Math.log10(Math.max(v, low / 1e6)) : v) - a) * factor,
    ticks: f === Math.log10 ? logTicks(low, high, steps) : evenTicks(low, high, steps),
  };
}

function evenTicks(low, high, count) {
  const raw = (high - low) / count;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((s) => s * size).find((s) => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function logTicks(low, high, count) {
  const decades = Math.log10(high / low);
  if (decades < 1) return evenTicks(low, high, count).filter((v) => v > 0);
  const found = [];
  const inner = decades <= count / 3 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil(decades / count));
  for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
    for (const m of inner) if (e % stride === 0 && m * 10 ** e >= low && m * 10 ** e <= high) found.push(m * 10 ** e);
  return found;
}

/** Lowest and highest value to show: all of `must`, and of `may` as much as does not squash it. */
function limits(must, may, log) {
  let [low, high] = span(log ? must.filter((v) => v > 0) : must);
  const [least, most] = span(log ? may.filter((v) => v > 0) : may);
  if (low > high) [low, high] = [least, most];
  if (low > high) return [0, 1];
  if (log) return [Math.min(low, least) / 1.1, Math.max(high, most) * 1.1];
  const reach = high - low || Math.abs(high) || 1;
  if (least <= most) [low, high] = [Math.max(Math.min(low, least), low - reach), Math.min(Math.max(high, most), high + reach)];
  const margin = 0.05 * (high - low || reach);
  return [low - margin, high + margin];
}

function span(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (v === null || v === undefined) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [low, high];
}

let clips = 0;

/** A frame with axes. Gives the drawing's node, a group to draw in that is clipped to the frame, and the scales. */
function frame({ width, height, x, y, xLabel = "", yLabel = "", label, left = 52, logX = false, logY = false, wholeX = false, yText = num, yTicks }) {
  const box = { left, top: 8, right: width - 10, bottom: height - (xLabel ? 36 : 22) };
  const sx = scale(x[0], x[1], box.left, box.right, logX);
  const sy = scale(y[0], y[1], box.bottom, box.top, logY);
  const clip = `clip${clips++}`;
  const inside = svg("g", { "clip-path": `url(#${clip})` });
  const root = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    svg("clipPath", { id: clip }, svg("rect", { x: box.left - 5, y: box.top - 5, width: Math.max(0, box.right - box.left + 10), height: box.bottom - box.top + 10 })),
    (yTicks ?? sy.ticks).map((v) => [
      svg("line", { class: "grid", x1: box.left, x2: box.right, y1: sy.at(v), y2: sy.at(v) }),
      svg("text", { class: "tick", x: box.left - 6, y: sy.at(v) + 4, "text-anchor": "end" }, yText(v)),
    ]).flat(),
    sx.ticks.filter((v) => !wholeX || Number.isInteger(v)).map((v) => [
      svg("line", { class: "grid", x1: sx.at(v), x2: sx.at(v), y1: box.top, y2: box.bottom }),
      svg("text", { class: "tick", x: sx.at(v), y: box.bottom + 16, "text-anchor": "middle" }, num(v)),
    ]).flat(),
    xLabel && svg("text", { class: "axis", x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, xLabel),
    yLabel && svg("text", { class: "axis", x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${(box.top + box.bottom) / 2}) rotate(-90)` }, yLabel),
    inside,
  );
  return { root, inside, sx, sy, box };
}

/** The path through points; a point whose value is unknown is left out. */
function line(t, y, sx, sy) {
  let path = "";
  for (let i = 0; i < t.length; i++)
    if (t[i] !== null && y[i] !== null) path += `${path ? "L" : "M"}${sx.at(t[i]).toFixed(1)} ${sy.at(y[i]).toFixed(1)}`;
  return path;
}

/** The outline of a band between two lines; ends that are infinite lie on the frame. */
function band(t, low, high, sx, sy) {
  const up = t.map((v, i) => `${sx.at(v).toFixed(1)} ${sy.at(high[i] ?? sy.high).toFixed(1)}`);
  const down = t.map((v, i) => `${sx.at(v).toFixed(1)} ${sy.at(low[i] ?? sy.low).toFixed(1)}`).reverse();
  return `M${[...up, ...down].join("L")}Z`;
}

/** Marks told apart by their shape as well as by their colour. */
function mark(kind, x, y, attributes = {}) {
  const [u, v] = [x.toFixed(1), y.toFixed(1)];
  if (kind === "cross") return svg("path", { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, class: "mark cross", ...attributes });
  if (kind === "square") return svg("rect", { x: x - 3.5, y: y - 3.5, width: 7, height: 7, class: "mark square", ...attributes });
  return svg("circle", { cx: u, cy: v, r: 4, class: `mark ${kind}`, ...attributes });
}
