// Charts of runs: all of them, one fan each, their order, and what was decided when.

const BANDS = [[0, 6, "band95"], [1, 5, "band80"], [2, 4, "band50"]];

/** Whether a run is still forecast. */
const isOpen = (run) => Boolean(run.fan);

function kindOf(run) {
  if (run.status === "diverged") return "cross";
  return run.status === "running" ? "dot" : "square";
}

function runLines(run) {
  const lines = [run.run, `${run.status}, rank ${run.rank}`, `last seen: ${num(run.y)} at ${num(run.t)}`];
  if (isOpen(run)) lines.push(`forecast: ${num(run.mean)} (${num(run.low)} to ${num(run.high)})`);
  lines.push(`P(best of all): ${percent(run.best)}`);
  if (run.why) lines.push(run.why);
  return lines;
}

/** Every run in one picture; the nearest is told to whoever points at it, or goes through them with the arrow keys. */
function overviewChart(runs, view, width) {
  const { head } = view;
  const drawn = runs.filter((r) => r.t_.length);
  const ends = drawn.flatMap((r) => (isOpen(r) ? [r.low, r.high] : [r.y])).filter((v) => v !== null);
  const { root, inside, sx, sy } = frame({
    width,
    height: width < 600 ? 280 : 380,
    x: limitsOfTime(drawn, head.at, view.logT),
    y: limits(quantiles(ends), quantiles(drawn.flatMap((r) => r.y_)), view.logY),
    logX: view.logT,
    logY: view.logY,
    wholeX: view.whole,
    xLabel: head.unit ?? "t",
    yLabel: head.metric.name,
    label: `Curves of ${many(runs.length, "run")} with forecasts of the running ones; the table of the ranking holds the numbers`,
  });
  const nodes = new Map();
  for (const run of drawn) {
    const group = svg("g", { class: `run ${run.status}${run.stop ? " stop" : ""}` }, svg("path", { d: line(run.t_, run.y_, sx, sy) }));
    if (isOpen(run))
      group.append(
        svg("path", { class: "ahead", d: line([run.t_.at(-1), ...run.fan.t], [run.y_.at(-1), ...run.fan.q[3]], sx, sy) }),
        svg("line", { class: "span", x1: sx.at(head.at), x2: sx.at(head.at), y1: sy.at(run.low ?? sy.low), y2: sy.at(run.high ?? sy.high) }),
      );
    nodes.set(run, group);
  }
  // Running runs lie above finished ones.
  inside.append(...[...nodes].sort((a, b) => isOpen(a[0]) - isOpen(b[0])).map(([, node]) => node));
  if (head.incumbent) inside.append(rule(head.incumbent.value, sx, sy, "incumbent"));
  const points = drawn.flatMap((run) => run.t_.map((t, i) => [sx.at(t), sy.at(run.y_[i]), run]));
  for (const run of drawn.filter(isOpen)) run.fan.t.forEach((t, i) => points.push([sx.at(t), sy.at(run.fan.q[3][i] ?? sy.low), run]));
  return pointing(root, points, nodes, drawn, runLines);
}

function limitsOfTime(runs, at, log) {
  const [low, high] = span(runs.flatMap((r) => [r.t_[0], r.t_.at(-1)]).concat(at));
  if (!log) return [low, high];
  const [first] = span(runs.flatMap((r) => r.t_).filter((t) => t > 0));
  return [Math.min(first, high), high];
}

/** Values without the outer 2 % on both sides. */
function quantiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.floor(sorted.length * 0.02);
  return sorted.slice(cut, sorted.length - cut);
}

function rule(value, sx, sy, kind) {
  return svg("line", { class: kind, x1: sx.at(sx.low), x2: sx.at(sx.high), y1: sy.at(value), y2: sy.at(value) });
}

/** One running run: what was seen, the median and the central 50, 80 and 95 %. */
function fanChart(run, view, width) {
  const { head } = view;
  const fan = run.fan;
  const must = [...fan.q[0], ...fan.q[6], run.y].concat(head.incumbent ? head.incumbent.value : []);
  const logY = view.logY && must.every((v) => v === null || v > 0);
  const { root, inside, sx, sy } = frame({
    width,
    height: 190,
    x: limitsOfTime([run], head.at, view.logT),
    y: limits(must, run.y_, logY),
    logX: view.logT,
    logY,
    wholeX: view.whole,
    label: `${run.run}: seen up to ${num(run.t)}, last value ${num(run.y)}; forecast at ${num(head.at)} ${num(run.mean)}, 90 % interval ${num(run.low)} to ${num(run.high)}`,
  });
  const t = [run.t, ...fan.t];
  const from = (row) => [run.y, ...row];
  for (const [low, high, kind] of BANDS)
    inside.append(svg("path", { class: kind, d: band(t, from(fan.q[low]), from(fan.q[high]), sx, sy) }));
  if (head.incumbent) inside.append(rule(head.incumbent.value, sx, sy, "incumbent"));
  inside.append(
    svg("path", { class: "median", d: line(t, from(fan.q[3]), sx, sy) }),
    svg("path", { class: "observed", d: line(run.t_, run.y_, sx, sy) }),
    svg("circle", { class: "seen", cx: sx.at(run.t), cy: sy.at(run.y), r: 3 }),
  );
  cursor(root, inside, run, sx, sy);
  return root;
}

/** A line at the time pointed at, and what is known then. */
function cursor(root, inside, run, sx, sy) {
  const bar = svg("line", { class: "cursor", y1: sy.at(sy.low), y2: sy.at(sy.high), visibility: "hidden" });
  inside.append(bar);
  const moments = [
    ...run.t_.map((t, i) => [t, [`t = ${num(t)}`, `seen: ${num(run.y_[i])}`]]),
    ...run.fan.t.map((t, i) => {
      const at = run.fan.q.map((row) => row[i]);
      return [t, [`t = ${num(t)}`, `median: ${num(at[3])}`, `50 %: ${num(at[2])} to ${num(at[4])}`, `80 %: ${num(at[1])} to ${num(at[5])}`, `95 %: ${num(at[0])} to ${num(at[6])}`]];
    }),
  ];
  root.addEventListener("pointermove", (event) => {
    const x = event.clientX - root.getBoundingClientRect().left;
    const [t, lines] = moments.reduce((a, b) => (Math.abs(sx.at(b[0]) - x) < Math.abs(sx.at(a[0]) - x) ? b : a));
    for (const side of ["x1", "x2"]) bar.setAttribute(side, sx.at(t));
    bar.setAttribute("visibility", "visible");
    tip.show(event.clientX, event.clientY, [run.run, ...lines]);
  });
  root.addEventListener("pointerleave", () => {
    bar.setAttribute("visibility", "hidden");
    tip.hide();
  });
}

/** Runs in their order: expected value, 90 % interval, and how likely each is the best. */
function rankingChart(runs, view, width) {
  const { head } = view;
  const row = 22;
  const longest = Math.max(...runs.map((r) => r.run.length));
  const left = Math.min(16 + 7.2 * longest, 230, width * 0.34);
  const known = runs.flatMap((r) => [r.low, r.high, r.mean]).concat(head.incumbent ? head.incumbent.value : []);
  const [low, high] = limits(quantiles(known.filter((v) => v !== null)), [], view.logY);
  const height = runs.length * row + 44;
  const { root, inside, sx } = frame({
    width: width - 64,
    height,
    left,
    x: [low, high],
    y: [0, 1],
    yTicks: [],
    logX: view.logY,
    xLabel: `${head.metric.name} at ${num(head.at)}`,
    label: `The best ${many(runs.length, "run")} with 90 % intervals and probabilities; the table beneath holds the numbers`,
  });
  root.setAttribute("width", width);
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  if (head.incumbent) inside.append(svg("line", { class: "incumbent", x1: sx.at(head.incumbent.value), x2: sx.at(head.incumbent.value), y1: 0, y2: height }));
  const nodes = new Map();
  const points = [];
  runs.forEach((run, i) => {
    const y = 8 + row * (i + 0.5);
    const clipped = svg("g", {}, svg("line", { class: "span", x1: sx.at(run.low ?? low), x2: sx.at(run.high ?? high), y1: y, y2: y }));
    if (run.mean !== null) clipped.append(mark(kindOf(run), sx.at(run.mean), y));
    inside.append(clipped);
    const label = svg("text", { class: `name${run.stop ? " stop" : ""}`, x: left - 8, y: y + 4, "text-anchor": "end" }, short(run.run, Math.floor(left / 7.2)));
    const bar = svg("rect", { class: "chance", x: width - 60, y: y - 7, width: Math.max(0.5, 56 * (run.best ?? 0)), height: 14 });
    const text = svg("text", { class: "tick", x: width - 58, y: y + 4 }, percent(run.best));
    const group = svg("g", { class: `row ${run.status}` }, svg("rect", { class: "back", x: 0, y: y - row / 2, width, height: row }), label, bar, text);
    root.insertBefore(group, inside);
    nodes.set(run, group);
    for (let x = 0; x < width; x += 20) points.push([x, y, run]);
  });
  return pointing(root, points, new Map(), runs, runLines);
}

/** Probability of beating the incumbent as runs went on, with what was decided. */
function timelineChart(runs, log, view, width) {
  const { head } = view;
  const floor = 0.001;
  const past = runs.filter((r) => r.past?.length || (r.p !== null && r.p !== undefined));
  const times = past.flatMap((r) => [r.t, ...(r.past ?? []).map(([t]) => t)]).concat(log.map((d) => d.t));
  const [low, high] = span(times);
  const { root, inside, sx, sy } = frame({
    width,
    height: 300,
    left: 64,
    x: [low, high],
    wholeX: view.whole,
    y: [floor, 1],
    logY: true,
    yText: (v) => (v <= floor ? `≤ ${percent(v)}` : percent(v)),
    xLabel: head.unit ?? "t",
    yLabel: "P(beats the best finished run)",
    label: `How likely each of ${many(past.length, "running run")} beats the best finished one, as it went on; the table beneath holds the decisions`,
  });
  inside.append(rule(head.threshold, sx, sy, "threshold"));
  const nodes = new Map();
  const points = [];
  for (const run of past) {
    const trail = (run.past ?? []).filter(([, p]) => p !== null).map(([t, p]) => [t, Math.max(p, floor)]);
    const last = run.p === null || run.p === undefined ? trail.at(-1) : [run.t, Math.max(run.p, floor)];
    const group = svg("g", { class: `trail${run.stop ? " stop" : ""}` });
    const all = last && trail.at(-1)?.[0] !== last[0] ? [...trail, last] : trail;
    group.append(svg("path", { d: line(all.map((p) => p[0]), all.map((p) => p[1]), sx, sy) }));
    if (last) group.append(mark(run.stop ? "cross" : "dot", sx.at(last[0]), sy.at(last[1])));
    for (const [t, p] of all) points.push([sx.at(t), sy.at(p), run]);
    nodes.set(run, group);
  }
  inside.append(...nodes.values());
  for (const d of log.filter((one) => one.stop && one.p !== null && one.t !== null)) inside.append(mark("cross", sx.at(d.t), sy.at(Math.max(d.p, floor)), { class: "mark cross logged" }));
  return pointing(root, points, nodes, past, (run) => [run.run, ...(run.why ? [run.why] : []), `P: ${percent(run.p)} at ${num(run.t)}`]);
}
